import type { JsonObject, JsonValue } from '@hivekeeper/contract';
import { HiveError } from '@hivekeeper/contract';
import type { Clock } from '@hivekeeper/kernel';
import { z } from 'zod';

/** A tool that is open for calls. */
export interface Tool {
  readonly name: string;
  readonly description: string;
  /** JSON Schema of the arguments. */
  readonly parameters: JsonObject;
  readonly timeoutMs: number;
  /** Arguments fit the schema. @throws HiveError TOOL_FAILED; the signal's reason where that aborts */
  run(args: JsonObject, signal: AbortSignal): Promise<JsonValue>;
  close?(): Promise<void>;
}

/** What tools are opened with. */
export interface ToolContext {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
}

/** What a tool says of itself and does; its name and timeout are the file's. */
export type ToolBody = Omit<Tool, 'name' | 'timeoutMs'>;

/** Makes a tool of its entry's `config`. @throws HiveError AGENT_FILE_INVALID, AGENT_NOT_READY */
export type OpenTool = (config: Readonly<Record<string, unknown>>, context: ToolContext) => ToolBody;

/** Arguments and their JSON Schema; the function gets them with their types. */
export const typed = <Shape extends z.ZodObject>(
  schema: Shape,
  run: (args: z.output<Shape>, signal: AbortSignal) => Promise<JsonValue>,
): Pick<ToolBody, 'parameters' | 'run'> => {
  return {
    parameters: z.toJSONSchema(schema, { io: 'input' }) as unknown as JsonObject,
    run: (args, signal) => run(schema.parse(args), signal),
  };
};

/** Reads an entry's `config`. @throws HiveError AGENT_FILE_INVALID */
export function configOf<Shape extends z.ZodType>(schema: Shape, config: unknown): z.output<Shape> {
  const read = schema.safeParse(config);
  if (read.success) return read.data;
  const issues = read.error.issues.map(({ path, message }) => ({ path: `/${['config', ...path].join('/')}`, message }));
  throw new HiveError('AGENT_FILE_INVALID', issues.map(({ path, message }) => `${path}: ${message}`).join('; '), { issues });
}
