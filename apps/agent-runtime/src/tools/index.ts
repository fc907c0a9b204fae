/**
 * What an agent can do besides talking. tool.ts what a tool is · tool-box.ts checks, times and counts each call ·
 * open-tools.ts makes those of the file: http-request.ts, file-tools.ts, web-search.ts, command-tool.ts · egress.ts and
 * file-access.ts keep them where they may be.
 */
import type { AgentFile } from '../config/index.ts';
import type { Metrics } from '../observe/index.ts';
import type { ToolBox } from '../task/index.ts';
import { openTools } from './open-tools.ts';
import { CheckedTools } from './tool-box.ts';
import type { ToolContext } from './tool.ts';

export { openTools } from './open-tools.ts';

/** Opens every tool of the file. @throws HiveError AGENT_FILE_INVALID, AGENT_NOT_READY */
export async function openToolBox(file: AgentFile, context: ToolContext & { readonly metrics: Metrics }): Promise<ToolBox> {
  return new CheckedTools(openTools(file, context), context);
}
