/** Where an agent's tasks are taken, done and answered (workshop.ts), and where workflows go on from it (routing.ts). */
export { Routing } from './routing.ts';
export { Workshop } from './workshop.ts';
