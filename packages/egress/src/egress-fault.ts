/** `refused`: the rules do not allow it; `unreachable`: nobody answers there, or not in HTTP; `too-large`: more came than may. */
export type EgressFaultReason = 'refused' | 'unreachable' | 'too-large';

/** A request that came to nothing. */
export class EgressFault extends Error {
  readonly reason: EgressFaultReason;

  constructor(reason: EgressFaultReason, message: string) {
    super(message);
    this.name = 'EgressFault';
    this.reason = reason;
  }
}
