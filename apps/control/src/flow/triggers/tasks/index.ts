/**
 * Tasks over MQTT (the 2389 protocol) that start runs; loaded only where there is a broker.
 *
 * tasks.ts      what a task comes to: a run, once · pipeline.ts  its agents as a workflow, task-answer.ts  its run's end as an answer (both pure)
 * task-door.ts  where they come in · task-line.ts  the port to the broker
 */
export { Tasks } from './tasks.ts';
export { TaskDoor } from './task-door.ts';
export type { OpenTaskLine } from './task-line.ts';
