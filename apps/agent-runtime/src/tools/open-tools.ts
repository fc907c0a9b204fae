import { HiveError } from '@hivekeeper/contract';
import { closest } from 'fastest-levenshtein';
import type { AgentFile, ToolEntry } from '../config/index.ts';
import { openCommandTool } from './command-tool.ts';
import { openFileRead, openFileWrite } from './file-tools.ts';
import { openHttpRequest } from './http-request.ts';
import type { OpenTool, Tool, ToolContext } from './tool.ts';
import { openWebSearch } from './web-search.ts';

const builtins: Readonly<Record<string, OpenTool>> = {
  http_request: openHttpRequest,
  file_read: openFileRead,
  file_write: openFileWrite,
  web_search: openWebSearch,
};

const defaultTimeoutMs = 30_000;

/** Opens what `[tools]` names. @throws HiveError AGENT_FILE_INVALID, AGENT_NOT_READY */
export const openTools = ({ tools }: Pick<AgentFile, 'tools'>, context: ToolContext): Tool[] =>
  Object.entries(tools).map(([name, entry]) => openOne(name, entry, context));

function openOne(name: string, entry: ToolEntry, context: ToolContext): Tool {
  const { impl, timeout_ms, config } = entry === 'builtin' ? { impl: entry, timeout_ms: defaultTimeoutMs, config: {} } : entry;
  const open = impl === 'command' ? openCommandTool : Object.hasOwn(builtins, name) ? builtins[name] : undefined;
  if (open === undefined) {
    const message = `there is no built-in tool "${name}"; did you mean "${closest(name, Object.keys(builtins))}"?`;
    throw new HiveError('AGENT_FILE_INVALID', `/tools/${name}: ${message}`, { issues: [{ path: `/tools/${name}`, message }] });
  }
  try {
    return { ...open(config, context), name, timeoutMs: timeout_ms };
  } catch (error) {
    if (!HiveError.is(error)) throw error;
    const issues = error.issues.map(({ path, message }) => ({ path: `/tools/${name}${path}`, message }));
    throw new HiveError(error.code, `/tools/${name}: ${error.message}`, { issues });
  }
}
