import { HiveError } from '@hivekeeper/contract';
import { z } from 'zod';
import { exchange } from './http-exchange.ts';
import { configOf, type OpenTool, typed } from './tool.ts';

const configSchema = z.strictObject({
  /** Which way of asking the address understands. */
  engine: z.enum(['serper', 'searxng']).default('serper'),
  url: z.url({ protocol: /^https?$/ }).exactOptional(),
  api_key_env: z.string().default('SERPER_API_KEY'),
  max_results: z.int().min(1).max(20).default(10),
});
type SearchConfig = z.infer<typeof configSchema>;

const argsSchema = z.strictObject({ query: z.string().min(1), num_results: z.int().min(1).max(20).optional() });

const found = z.object({ title: z.string().default(''), snippet: z.string().default('') });
const serperAnswer = z.object({ organic: z.array(found.extend({ link: z.string() })).default([]) });
const searxngAnswer = z.object({
  results: z.array(z.object({ title: z.string().default(''), url: z.string(), content: z.string().default('') })).default([]),
});

/** `web_search`: Serper, which needs a key, or a SearXNG of one's own. Without either the agent does not start. */
export const openWebSearch: OpenTool = (config, { environment }) => {
  const read = configOf(configSchema, config);
  const ask = read.engine === 'serper' ? serper(read, environment[read.api_key_env]) : searxng(read);
  return {
    description: 'Search the web; gives titles, addresses and snippets.',
    ...typed(argsSchema, async ({ query, num_results = read.max_results }, signal) => {
      const results = await ask(query, Math.min(num_results, read.max_results), signal);
      return { query, results: results.slice(0, num_results) };
    }),
  };
};

interface SearchResult {
  readonly title: string;
  readonly url: string;
  readonly snippet: string;
  readonly [key: string]: string;
}
type Ask = (query: string, count: number, signal: AbortSignal) => Promise<SearchResult[]>;

// The operator names the engine, so it may stand in the local network; what the model says is only the query. Where the engine
// would send us the operator did not say: no redirect is followed.
const rules = (signal: AbortSignal) => ({ egress: { allow_private: true }, maxResponseBytes: 1_048_576, maxRedirects: 0, signal });

function serper({ url = 'https://google.serper.dev/search', api_key_env }: SearchConfig, key: string | undefined): Ask {
  if (!key) throw new HiveError('AGENT_NOT_READY', `web_search: the variable ${api_key_env} is not set`);
  return async (q, num, signal) => {
    const headers = { 'x-api-key': key, 'content-type': 'application/json' };
    const body = JSON.stringify({ q, num, gl: 'us', hl: 'en' });
    const { organic } = readAnswer(serperAnswer, await exchange({ method: 'POST', url, headers, body }, rules(signal)));
    return organic.map(({ title, link, snippet }) => ({ title, url: link, snippet }));
  };
}

function searxng({ url }: SearchConfig): Ask {
  if (url === undefined) throw new HiveError('AGENT_NOT_READY', 'web_search: a SearXNG needs its url');
  return async (query, _count, signal) => {
    const asked = new URL(url);
    asked.searchParams.set('q', query);
    asked.searchParams.set('format', 'json');
    const { results } = readAnswer(searxngAnswer, await exchange({ method: 'GET', url: asked.href }, rules(signal)));
    return results.map(({ title, url: address, content }) => ({ title, url: address, snippet: content }));
  };
}

function readAnswer<Shape extends z.ZodType>(
  schema: Shape,
  { status, body }: { readonly status: number; readonly body: string },
): z.output<Shape> {
  if (status !== 200) throw new HiveError('TOOL_FAILED', `the search engine answers ${status}`);
  try {
    return schema.parse(JSON.parse(body));
  } catch (cause) {
    throw new HiveError('TOOL_FAILED', 'the search engine’s answer cannot be read', { cause });
  }
}
