/**
 * The door for Neural Hive's agents: its `ServiceRegistry` over gRPC. Off unless a port is set, and loaded no sooner.
 *
 * door.ts  opens it · calls.ts  who may call, what errors are · service-registry.ts  the calls · messages.ts  their words for ours (pure)
 */
export { openGrpcDoor } from './door.ts';
