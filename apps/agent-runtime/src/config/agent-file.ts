import { mqttAgentIdSchema } from '@hivekeeper/contract/agent2389';
import { z } from 'zod';

const seconds = (least: number, most: number) => z.number().min(least).max(most);
const variableName = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'the name of an environment variable, not its value');

const agentSchema = z.strictObject({
  id: mqttAgentIdSchema,
  description: z.string().min(1).max(2_000),
  capabilities: z.array(z.string().min(1).max(200)).max(100).default([]),
  /** Tasks at a time. */
  concurrency: z.int().min(1).max(1_000).default(4),
  task_timeout_secs: seconds(0.1, 86_400).default(300),
});

const mqttSchema = z.strictObject({
  broker_url: z
    .string()
    .refine((text) => URL.canParse(text) && /^mqtts?:$/.test(new URL(text).protocol), 'expected mqtt://host:port or mqtts://host:port')
    // What stands in a file is shown by `config --show`, and kept in places where secrets are not.
    .refine((text) => !URL.canParse(text) || new URL(text).password === '', 'a password belongs into the variable that password_env names'),
  username_env: variableName.exactOptional(),
  password_env: variableName.exactOptional(),
  heartbeat_interval_secs: seconds(1, 86_400).default(900),
  /** How long the broker keeps tasks for a replica that is away. */
  session_expiry_secs: z.int().min(1).max(4_294_967_294).default(3_600),
});

const scriptRuleSchema = z
  .strictObject({
    /** A regular expression on the last message, which begins with `user: ` or `tool: `. */
    when: z.string().refine(isRegExp, 'not a regular expression').default(''),
    reply: z.string().exactOptional(),
    tool: z.string().exactOptional(),
    arguments: z.record(z.string(), z.json()).exactOptional(),
    fail: z.string().exactOptional(),
    delay_ms: z.int().min(0).max(3_600_000).default(0),
  })
  .refine(
    ({ reply, tool, fail }) => [reply, tool, fail].filter((part) => part !== undefined).length === 1,
    'expected one of reply, tool and fail',
  );
/** What the simulated model does when its last message matches. */
export type ScriptRule = z.infer<typeof scriptRuleSchema>;

const llmSchema = z
  .strictObject({
    provider: z.enum(['openai', 'anthropic', 'openai-compatible', 'simulated']),
    model: z.string().min(1),
    api_key_env: variableName.exactOptional(),
    base_url: z.url({ protocol: /^https?$/ }).exactOptional(),
    system_prompt: z.string().default(''),
    temperature: z.number().min(0).max(2).exactOptional(),
    max_tokens: z.int().min(1).max(10_000_000).exactOptional(),
    request_timeout_secs: seconds(0.1, 3_600).default(60),
    max_retries: z.int().min(0).max(20).default(3),
    script: z.array(scriptRuleSchema).exactOptional(),
  })
  .refine(({ provider, script }) => provider === 'simulated' || script === undefined, {
    path: ['script'],
    message: 'only the simulated provider has a script',
  })
  .refine(({ provider, base_url }) => provider !== 'openai-compatible' || base_url !== undefined, {
    path: ['base_url'],
    message: 'openai-compatible needs one',
  })
  .refine(({ provider, api_key_env }) => !/^(openai|anthropic)$/.test(provider) || api_key_env !== undefined, {
    path: ['api_key_env'],
    message: 'this provider needs a key',
  });
/** Section `[llm]`. */
export type LlmSection = z.infer<typeof llmSchema>;

const toolSchema = z.union([
  z.literal('builtin'),
  z.strictObject({
    impl: z.enum(['builtin', 'command']),
    timeout_ms: z.int().min(1).max(3_600_000).default(30_000),
    config: z.record(z.string(), z.unknown()).default({}),
  }),
]);
/** One entry of `[tools]`. */
export type ToolEntry = z.infer<typeof toolSchema>;

const mcpSchema = z
  .strictObject({
    command: z.array(z.string()).min(1).exactOptional(),
    /** Names of variables that the command sees besides PATH and HOME. */
    environment: z.array(variableName).default([]),
    url: z.url({ protocol: /^https?$/ }).exactOptional(),
    token_env: variableName.exactOptional(),
    timeout_ms: z.int().min(1).max(3_600_000).default(30_000),
  })
  .refine(({ command, url }) => (command === undefined) !== (url === undefined), 'expected either command or url');
/** One entry of `[mcp]`. */
export type McpEntry = z.infer<typeof mcpSchema>;

const routingSchema = z
  .strictObject({
    strategy: z.enum(['llm', 'gatekeeper']),
    max_iterations: z.int().min(1).max(1_000).default(10),
    llm: llmSchema.exactOptional(),
    gatekeeper: z
      .strictObject({
        url: z.url({ protocol: /^https?$/ }),
        timeout_ms: z.int().min(1).max(600_000).default(5_000),
        retry_attempts: z.int().min(0).max(20).default(3),
      })
      .exactOptional(),
  })
  .refine(({ strategy, ...sections }) => sections[strategy] !== undefined, 'the section that the strategy names is missing');
/** Section `[routing]`. */
export type RoutingSection = z.infer<typeof routingSchema>;

/** The file of an agent. Keys are those of the 2389 agent; ours besides are in docs/agents-over-mqtt.md. */
export const agentFileSchema = z.strictObject({
  agent: agentSchema,
  mqtt: mqttSchema,
  llm: llmSchema,
  tools: z.record(z.string().regex(/^[a-zA-Z0-9_-]{1,64}$/), toolSchema).default({}),
  mcp: z.record(z.string().regex(/^[a-zA-Z0-9-]{1,32}$/), mcpSchema).default({}),
  budget: z
    .strictObject({ max_tool_calls: z.int().min(0).max(100_000), max_iterations: z.int().min(1).max(100_000) })
    .default({ max_tool_calls: 50, max_iterations: 10 }),
  routing: routingSchema.exactOptional(),
});
/** {@link agentFileSchema} */
export type AgentFile = z.infer<typeof agentFileSchema>;

function isRegExp(text: string): boolean {
  try {
    return new RegExp(text) instanceof RegExp;
  } catch {
    return false;
  }
}
