/**
 * HTTP to the outside, to where rules allow and nowhere else.
 *
 * public-address.ts  which addresses are the public internet · egress.ts  rules, held by name and by what the name resolves to
 * request.ts         one request under them: no redirect is followed, and no more is read than may be
 */
export { type Egress, egressSchema } from './egress.ts';
export { EgressFault, type EgressFaultReason } from './egress-fault.ts';
export { isPublicAddress } from './public-address.ts';
export { bodyOf, type OutgoingRequest, sendRequest } from './request.ts';
