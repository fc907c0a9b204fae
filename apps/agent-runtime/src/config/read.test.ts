import { HiveError } from '@hivekeeper/contract';
import { describe, expect, it } from 'vitest';
import { parseAgentFile } from './read.ts';

const least = {
  agent: 'id = "a"\ndescription = "d"',
  mqtt: 'broker_url = "mqtt://localhost:1883"',
  llm: 'provider = "simulated"\nmodel = "m"',
};
const file = (sections: Readonly<Record<string, string>> = {}, end = '') =>
  `${Object.entries({ ...least, ...sections })
    .map(([name, text]) => `[${name}]\n${text}`)
    .join('\n')}\n${end}`;

function faultsOf(text: string): readonly string[] {
  try {
    parseAgentFile(text);
    return [];
  } catch (error) {
    expect(HiveError.is(error) && error.code).toBe('AGENT_FILE_INVALID');
    const { issues, message } = error as HiveError;
    return issues.length === 0 ? [message] : issues.map((issue) => `${issue.path}: ${issue.message}`);
  }
}

describe('the file of an agent', () => {
  it('needs no more than who it is, where the broker is and which model', () => {
    expect(parseAgentFile(file())).toMatchObject({
      agent: { id: 'a', capabilities: [], concurrency: 4, task_timeout_secs: 300 },
      mqtt: { heartbeat_interval_secs: 900, session_expiry_secs: 3_600 },
      budget: { max_tool_calls: 50, max_iterations: 10 },
    });
  });

  it('may say everything that a 2389 agent’s file says', () => {
    const openai =
      'provider = "openai"\nmodel = "gpt-4o"\napi_key_env = "OPENAI_API_KEY"\nsystem_prompt = "s"\ntemperature = 0.7\nmax_tokens = 4000';
    const end = `
[tools]
http_request = "builtin"
file_read = { impl = "builtin", config = { max_file_size = 1048576 } }
[budget]
max_tool_calls = 15
max_iterations = 8
[routing]
strategy = "gatekeeper"
[routing.gatekeeper]
url = "http://localhost:8080/route"
`;
    const mqtt = 'broker_url = "mqtts://broker"\nusername_env = "U"\npassword_env = "P"\nheartbeat_interval_secs = 900';
    expect(parseAgentFile(file({ llm: openai, mqtt }, end))).toMatchObject({
      tools: { http_request: 'builtin', file_read: { timeout_ms: 30_000 } },
      routing: { max_iterations: 10, gatekeeper: { timeout_ms: 5_000, retry_attempts: 3 } },
    });
  });

  it.each([
    ['[agent]', { agent: `${least.agent}\ncapabilites = []` }, '/agent/capabilites: there is no such key; did you mean "capabilities"?'],
    ['[mqtt]', { mqtt: `${least.mqtt}\nbroker_ulr = ""` }, '/mqtt/broker_ulr: there is no such key; did you mean "broker_url"?'],
    ['[llm]', { llm: `${least.llm}\ntempreature = 1` }, '/llm/tempreature: there is no such key; did you mean "temperature"?'],
    ['the whole', { toolz: 'a = 1' }, '/toolz: there is no such key; did you mean "tools"?'],
    [
      'a tool',
      { tools: 'http_request = { impl = "builtin", timeout = 3 }' },
      '/tools/http_request/timeout: there is no such key; did you mean "timeout_ms"?',
    ],
  ])('has no key in %s that means nothing, and tells which was meant', (_where, sections, fault) => {
    expect(faultsOf(file(sections as Readonly<Record<string, string>>))).toEqual([fault]);
  });

  it.each([
    ['no TOML', '[agent', /^line 1, column/],
    ['an id with a slash', file({ agent: 'id = "a/b"\ndescription = "d"' }), /^\/agent\/id: only letters/],
    ['a password in the address', file({ mqtt: 'broker_url = "mqtt://u:p@b"' }), /a password belongs into the variable/],
    ['a broker that is none', file({ mqtt: 'broker_url = "http://x"' }), /^\/mqtt\/broker_url: expected mqtt/],
    [
      'a password where its variable’s name belongs',
      file({ mqtt: `${least.mqtt}\npassword_env = "p@ss!"` }),
      /the name of an environment variable/,
    ],
    ['a provider nobody knows', file({ llm: 'provider = "gemini"\nmodel = "m"' }), /^\/llm\/provider/],
    ['a provider without a key', file({ llm: 'provider = "openai"\nmodel = "m"' }), /^\/llm\/api_key_env: this provider needs a key/],
    ['a provider without an address', file({ llm: 'provider = "openai-compatible"\nmodel = "m"' }), /^\/llm\/base_url/],
    ['a budget that says half', file({ budget: 'max_tool_calls = 1' }), /^\/budget\/max_iterations/],
    ['a strategy without its section', file({ routing: 'strategy = "llm"' }), /section that the strategy names/],
    ['tools as a list', file({}, '[[tools]]\nname = "x"'), /^\/tools/],
    [
      'a script for a model that has none',
      file({ llm: 'provider = "openai"\nmodel = "m"\napi_key_env = "K"\nscript = [{ reply = "x" }]' }),
      /only the simulated/,
    ],
    ['a pattern that is none', file({ llm: `${least.llm}\nscript = [{ when = "(", reply = "x" }]` }), /not a regular expression/],
    ['a rule that does nothing', file({ llm: `${least.llm}\nscript = [{ when = "x" }]` }), /expected one of reply, tool and fail/],
    ['an MCP server of two kinds', file({ 'mcp.x': 'command = ["a"]\nurl = "http://b"' }), /either command or url/],
  ])('with %s is refused', (_what, text, fault) => {
    expect(faultsOf(text).join('\n')).toMatch(fault);
  });
});
