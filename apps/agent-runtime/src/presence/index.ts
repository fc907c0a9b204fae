/** Who is there: presence.ts says so for each replica of this agent · neighbours.ts hears it of all agents. */
export { Neighbours } from './neighbours.ts';
export { Presence } from './presence.ts';
