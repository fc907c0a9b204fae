/** Whether an agent is there, said by each of its replicas (presence.ts). */
export { Presence } from './presence.ts';
