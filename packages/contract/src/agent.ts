import { z } from 'zod';
import { jsonObjectSchema } from './workflow.ts';
import { nameSchema } from './ids.ts';
import { microUsdSchema } from './budget.ts';
import { codingSchema } from './coding-agent.ts';
import { containerSchema } from './container-agent.ts';
import { httpEndpointSchema } from './http-agent.ts';
import { agentConcurrencySchema, breakerRuleSchema, dependenciesSchema, rateSchema } from './throttle.ts';

/** Whether a person must agree before the agent acts. */
export const riskLevelSchema = z.enum(['AUTO', 'APPROVAL_REQUIRED']);
/** How the agent's process is started. `exec` runs the entry itself. */
export const agentRuntimeSchema = z.enum(['node', 'python', 'exec']);
/** `trusted` agents ship with the product and may run without a sandbox where none can be had; others may not. */
export const trustSchema = z.enum(['trusted', 'untrusted']);

/** One thing an agent can do; a node's `action` names it. */
export const capabilitySchema = z.strictObject({
  name: z.string().min(1).max(100),
  description: z.string().max(4_000).optional(),
  /** The agent's where absent. */
  riskLevel: riskLevelSchema.optional(),
  /** JSON Schema (draft 2020-12) the input must satisfy. */
  inputSchema: jsonObjectSchema.optional(),
  /** JSON Schema (draft 2020-12) the output must satisfy. */
  outputSchema: jsonObjectSchema.optional(),
});

/** Gives the agent's sandbox one path, named by a field of its input. */
export const pathGrantSchema = z.strictObject({
  /** The input field that holds the path, e.g. `target`; ignored where the input lacks it. */
  field: z.string().min(1).max(100),
  access: z.enum(['read', 'write']),
});

/** Bounds on one execution; the worker may set lower ones. */
export const limitsSchema = z.strictObject({
  memoryBytes: z
    .int()
    .min(16 * 1024 * 1024)
    .default(512 * 1024 * 1024),
  cpuCores: z.number().min(0.05).max(64).default(1),
  maxProcesses: z.int().min(1).max(4_096).default(128),
  outputBytes: z
    .int()
    .min(1_024)
    .max(64 * 1024 * 1024)
    .default(8 * 1024 * 1024),
});

const manifestShape = z.strictObject({
  name: nameSchema,
  version: z.string().regex(/^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/, 'a semantic version such as 1.2.3'),
  description: z.string().max(4_000).optional(),
  kind: z.enum(['process', 'builtin', 'http', 'coding', 'container']).default('process'),
  /** Where it is; of the kind `http`, and of no other. */
  http: httpEndpointSchema.exactOptional(),
  /** What it does in a repository; of the kind `coding`, and of no other. */
  coding: codingSchema.exactOptional(),
  /** Its image; of the kind `container`, and of no other. */
  container: containerSchema.exactOptional(),
  runtime: agentRuntimeSchema.default('node'),
  /** File to start, relative to the manifest's directory. */
  entry: z.string().min(1).max(1_000).default('index.ts'),
  riskLevel: riskLevelSchema.default('AUTO'),
  capabilities: z.array(capabilitySchema).max(100).default([]),
  grants: z.array(pathGrantSchema).max(20).default([]),
  network: z.boolean().default(false),
  /** Takes tasks of the 2389 protocol over MQTT, with an input of `{instruction, input, original_query}`: whoever may publish may start it. */
  overMqtt: z.boolean().optional(),
  /** Classes and models it may call through its worker; none where absent. */
  models: z.array(z.string().min(1).max(200)).min(1).max(20).optional(),
  /** An output whose `success` is `false` says that the agent failed, whatever its exit status: CommandCenter's convention. */
  successFalseFails: z.boolean().optional(),
  /** Names of environment variables of the worker that the agent may see. */
  environment: z
    .array(z.string().regex(/^[A-Z_][A-Z0-9_]{0,99}$/))
    .max(50)
    .default([]),
  limits: limitsSchema.prefault({}),
  /** What makes its tickets wait though a worker is free; nothing does where all five are absent. */
  concurrency: agentConcurrencySchema.optional(),
  rate: rateSchema.optional(),
  breaker: breakerRuleSchema.optional(),
  /** What it cannot do without, such as `{"github-api": {}}`: while one of these is down no ticket of any agent that needs it starts. */
  dependsOn: dependenciesSchema.optional(),
  /** The most that one attempt may cost: so much is reserved from every budget that it counts in, before it starts. */
  maxCostMicroUsd: microUsdSchema.min(1).optional(),
});

/**
 * An agent as `agent.json` describes it. Kinds: `process` (JSON in by AGENT_INPUT, argv[2] and stdin; one JSON document out on
 * stdout; logs on stderr; exit 0 or 1), `http` (somewhere else: POSTed to), `coding` (a command in a checkout of its own: the diff
 * is the output), `container` (an image, asked as a process is) and `builtin` (run inside the executor; for tests and benchmarks).
 */
export const agentManifestSchema = manifestShape.superRefine((manifest, context) => {
  for (const { path, message } of faultsOfKind(manifest)) context.addIssue({ code: 'custom', path: [path], message });
});

/** What does not go with an agent's kind would be silently without effect. */
function faultsOfKind(manifest: z.infer<typeof manifestShape>): readonly { readonly path: string; readonly message: string }[] {
  const { kind, grants, models } = manifest;
  const ofKinds = (['http', 'coding', 'container'] as const).flatMap((of) => {
    if ((kind === of) === (manifest[of] !== undefined)) return [];
    return [{ path: of, message: kind === of ? `an agent of the kind ${of} needs it` : `only an agent of the kind ${of} has it` }];
  });
  if (kind !== 'http') return ofKinds;
  return [
    ...ofKinds,
    ...(grants.length > 0 ? [{ path: 'grants', message: 'an agent behind HTTP sees no paths of the worker' }] : []),
    ...(models !== undefined ? [{ path: 'models', message: 'an agent behind HTTP has no socket to call models by' }] : []),
  ];
}

/** {@link agentManifestSchema}, with its defaults filled in. */
export type AgentManifest = z.infer<typeof agentManifestSchema>;
/** {@link limitsSchema}, with its defaults filled in. */
export type AgentLimits = z.infer<typeof limitsSchema>;
/** {@link riskLevelSchema} */
export type RiskLevel = z.infer<typeof riskLevelSchema>;
/** {@link trustSchema} */
export type Trust = z.infer<typeof trustSchema>;

/**
 * Whether a person must agree before the agent does `action`: what its capability says, else what the agent says. Where no
 * capability of that name is known it could be any of them, so the strictest level holds.
 */
export function riskLevelOf({ riskLevel, capabilities }: Pick<AgentManifest, 'riskLevel' | 'capabilities'>, action?: string): RiskLevel {
  const capability = capabilities.find(({ name }) => name === action);
  if (capability !== undefined) return capability.riskLevel ?? riskLevel;
  const mayNeedApproval = [riskLevel, ...capabilities.map((each) => each.riskLevel)].includes('APPROVAL_REQUIRED');
  return mayNeedApproval ? 'APPROVAL_REQUIRED' : 'AUTO';
}

/**
 * An agent as a ticket carries it to a worker: its manifest and where its files lie. One of the kind `mqtt` was never
 * registered: it is somewhere, and hears of its tasks from a broker.
 */
export const agentSpecSchema = manifestShape.extend({
  kind: z.enum(['process', 'builtin', 'http', 'coding', 'container', 'mqtt']).default('process'),
  /** Absolute path of the directory that holds the entry; absent for `builtin`. */
  directory: z.string().max(4_096).optional(),
  /** Only the entry is the agent's: what lies beside it in `directory` is somebody else's, and stays unseen. */
  isSingleFile: z.boolean().optional(),
  trust: trustSchema,
});
/** {@link agentSpecSchema} */
export type AgentSpec = z.infer<typeof agentSpecSchema>;
