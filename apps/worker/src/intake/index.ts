/**
 * Pulls tickets from the control plane: intake.ts registers, polls and leaves; holdings.ts keeps a session and a fence a
 * ticket; heartbeat.ts renews the leases.
 */
export { type IntakeOptions, Intake } from './intake.ts';
