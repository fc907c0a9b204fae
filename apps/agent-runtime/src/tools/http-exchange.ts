import { HiveError } from '@hivekeeper/contract';
import { bodyOf, type Egress, EgressFault, sendRequest } from '@hivekeeper/egress';
import type { IncomingMessage } from 'node:http';

/** One request. */
export interface HttpRequest {
  readonly method: string;
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: string | undefined;
}

/** What came back, whole. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Where it may go, and how much may come back. */
export interface ExchangeRules {
  readonly egress: Egress;
  readonly maxResponseBytes: number;
  readonly maxRedirects: number;
  readonly signal: AbortSignal;
}

// What was meant for one host is not told to another.
const privateHeaders = /^(authorization|cookie|proxy-authorization|x-api-key)$/i;

/** Makes a request and follows redirects, each checked as the first one. @throws HiveError TOOL_FAILED */
export async function exchange(request: HttpRequest, rules: ExchangeRules): Promise<HttpAnswer> {
  try {
    return await exchangeWithin(request, rules);
  } catch (error) {
    throw error instanceof EgressFault ? new HiveError('TOOL_FAILED', error.message) : error;
  }
}

async function exchangeWithin(request: HttpRequest, { maxRedirects, maxResponseBytes, ...rules }: ExchangeRules): Promise<HttpAnswer> {
  let current = request;
  for (let redirects = 0; redirects <= maxRedirects; redirects += 1) {
    const response = await sendRequest({ ...current, url: urlOf(current.url) }, rules);
    const { location } = response.headers;
    const status = response.statusCode ?? 0;
    if (location === undefined || ![301, 302, 303, 307, 308].includes(status)) return answerOf(response, maxResponseBytes);
    response.destroy();
    current = redirected(current, status, location);
  }
  throw new HiveError('TOOL_FAILED', `more than ${maxRedirects} redirects`);
}

function redirected({ method, url, headers = {}, body }: HttpRequest, status: number, location: string): HttpRequest {
  const target = urlOf(location, url);
  const isOther = target.origin !== new URL(url).origin;
  const kept = Object.fromEntries(Object.entries(headers).filter(([name]) => !(isOther && privateHeaders.test(name))));
  const becomesGet = status === 303 || ((status === 301 || status === 302) && method === 'POST');
  return { method: becomesGet ? 'GET' : method, url: target.href, headers: kept, body: becomesGet ? undefined : body };
}

function urlOf(text: string, base?: string): URL {
  const url = URL.parse(text, base);
  if (url === null || !/^https?:$/.test(url.protocol)) throw new HiveError('TOOL_FAILED', 'expected an http or https address');
  return url;
}

async function answerOf(response: IncomingMessage, maxResponseBytes: number): Promise<HttpAnswer> {
  const body = await bodyOf(response, maxResponseBytes);
  const headers = Object.entries(response.headers).map(([name, value]) => [name, String(value)] as const);
  return { status: response.statusCode ?? 0, headers: Object.fromEntries(headers), body: body.toString('utf8') };
}
