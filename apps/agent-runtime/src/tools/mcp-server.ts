import { HiveError, type JsonObject, type JsonValue } from '@hivekeeper/contract';
import type { McpEntry } from '../config/index.ts';
import type { Tool, ToolContext } from './tool.ts';

/**
 * Connects to an MCP server and gives its tools, each named `<server>__<tool>`.
 *
 * @throws HiveError AGENT_NOT_READY where it is not there
 */
export async function openMcpServer(server: string, entry: McpEntry, { environment }: ToolContext): Promise<Tool[]> {
  const { Client } = await import('@modelcontextprotocol/client');
  const client = new Client({ name: 'hivekeeper-agent', version: '1' });
  try {
    await client.connect(await transportOf(entry, environment), { timeout: entry.timeout_ms });
    const { tools } = await client.listTools();
    return tools.map(({ name, description = '', inputSchema }, index) => ({
      name: `${server}__${name}`,
      description,
      parameters: inputSchema as unknown as JsonObject,
      timeoutMs: entry.timeout_ms,
      run: async (args, signal) => {
        const { content, structuredContent, isError } = await client.callTool(
          { name, arguments: { ...args } },
          { signal, timeout: entry.timeout_ms },
        );
        const text = (content as readonly { readonly type: string; readonly text?: string }[])
          .map((part) => (part.type === 'text' ? (part.text ?? '') : `[${part.type}]`))
          .join('\n');
        if (isError === true) throw new HiveError('TOOL_FAILED', text);
        return structuredContent === undefined ? text : (structuredContent as JsonValue);
      },
      // The connection is one for all of them.
      ...(index === 0 && { close: () => client.close() }),
    }));
  } catch (cause) {
    await client.close().catch(() => {});
    throw new HiveError('AGENT_NOT_READY', `/mcp/${server}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

async function transportOf({ command, environment: names, url, token_env }: McpEntry, environment: ToolContext['environment']) {
  if (command !== undefined) {
    const { StdioClientTransport } = await import('@modelcontextprotocol/client/stdio');
    const [file = '', ...args] = command;
    const set = ['PATH', 'HOME', ...names].map((name) => [name, environment[name]] as const);
    const env = Object.fromEntries(set.filter((pair): pair is readonly [string, string] => pair[1] !== undefined));
    return new StdioClientTransport({ command: file, args, env, stderr: 'ignore' });
  }
  const { StreamableHTTPClientTransport } = await import('@modelcontextprotocol/client');
  const token = token_env === undefined ? undefined : environment[token_env];
  if (token_env !== undefined && !token) throw new HiveError('AGENT_NOT_READY', `the variable ${token_env} is not set`);
  const headers = token === undefined ? {} : { requestInit: { headers: { authorization: `Bearer ${token}` } } };
  return new StreamableHTTPClientTransport(new URL(url ?? ''), headers);
}
