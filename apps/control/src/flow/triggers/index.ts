/** Triggers: whatever starts a run comes through here. */
export { type Trigger, type Triggered, Triggers } from './triggers.ts';
