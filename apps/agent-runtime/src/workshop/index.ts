/** Where an agent's tasks are taken, done and answered (workshop.ts). */
export { Workshop } from './workshop.ts';
