import { agentManifestSchema, type AgentSpec } from '@hivekeeper/contract';

const unmanifested = agentManifestSchema.parse({ name: 'mqtt', version: '0.0.0' });

/** An agent that was never registered: nothing is known of it but what nodes call it. */
export const specOverMqtt = (name: string): AgentSpec => ({ ...unmanifested, name, kind: 'mqtt', trust: 'untrusted' });
