/**
 * What an agent can do besides talking. tool.ts what a tool is · tool-box.ts checks, times and counts each call ·
 * open-tools.ts makes those of the file: http-request.ts, file-tools.ts, web-search.ts, command-tool.ts · mcp-server.ts those
 * of an MCP server · egress.ts, http-exchange.ts and file-access.ts keep them where they may be.
 */
import type { AgentFile } from '../config/index.ts';
import type { Metrics } from '../observe/index.ts';
import type { ToolBox } from '../task/index.ts';
import { openMcpServer } from './mcp-server.ts';
import { openTools } from './open-tools.ts';
import { CheckedTools } from './tool-box.ts';
import type { Tool, ToolContext } from './tool.ts';

export { openTools } from './open-tools.ts';

/** Opens every tool of the file, and every MCP server. @throws HiveError AGENT_FILE_INVALID, AGENT_NOT_READY */
export async function openToolBox(file: AgentFile, context: ToolContext & { readonly metrics: Metrics }): Promise<ToolBox> {
  const tools: Tool[] = openTools(file, context);
  // What is open already is closed again where the next one cannot be opened.
  await using opened = new AsyncDisposableStack();
  for (const [server, entry] of Object.entries(file.mcp)) {
    const more = await openMcpServer(server, entry, context);
    opened.defer(async () => void (await more[0]?.close?.()));
    tools.push(...more);
  }
  const box = new CheckedTools(tools, context);
  opened.move();
  return box;
}
