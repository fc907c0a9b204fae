import { request as requestHttp, type IncomingMessage } from 'node:http';
import { request as requestHttps } from 'node:https';
import { HiveError } from '@hivekeeper/contract';
import { assertAllowedHost, type Egress, guardedLookup } from './egress.ts';

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
  readonly signal: AbortSignal;
}

const mostRedirects = 5;
// What was meant for one host is not told to another.
const privateHeaders = /^(authorization|cookie|proxy-authorization|x-api-key)$/i;

/** Makes a request and follows redirects, each checked as the first one. @throws HiveError TOOL_FAILED */
export async function exchange(request: HttpRequest, rules: ExchangeRules): Promise<HttpAnswer> {
  let current = request;
  for (let redirects = 0; redirects <= mostRedirects; redirects += 1) {
    const response = await send(current, rules);
    const { location } = response.headers;
    const status = response.statusCode ?? 0;
    if (location === undefined || ![301, 302, 303, 307, 308].includes(status)) return answerOf(response, rules.maxResponseBytes);
    response.destroy();
    current = redirected(current, status, location);
  }
  throw new HiveError('TOOL_FAILED', `more than ${mostRedirects} redirects`);
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

function send({ method, url: text, headers = {}, body }: HttpRequest, { egress, signal }: ExchangeRules): Promise<IncomingMessage> {
  const url = urlOf(text);
  assertAllowedHost(url, egress);
  const request = url.protocol === 'https:' ? requestHttps : requestHttp;
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers, signal, lookup: guardedLookup(egress), agent: false }, resolve);
    // Without a listener neither an answer nor an error would ever come of it.
    sent.on('upgrade', (_, socket) => {
      socket.destroy();
      reject(new HiveError('TOOL_FAILED', `${url.host}: it switches to another protocol`));
    });
    sent.on('error', (error) => reject(HiveError.is(error) ? error : new HiveError('TOOL_FAILED', `${url.host}: ${error.message}`)));
    sent.end(body);
  });
}

/** Counts while it comes: one byte too many ends it. */
async function answerOf(response: IncomingMessage, maxResponseBytes: number): Promise<HttpAnswer> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of response as AsyncIterable<Buffer>) {
    size += piece.length;
    if (size > maxResponseBytes) {
      response.destroy();
      throw new HiveError('TOOL_FAILED', `the answer is larger than ${maxResponseBytes} bytes`);
    }
    pieces.push(piece);
  }
  const headers = Object.entries(response.headers).map(([name, value]) => [name, String(value)] as const);
  return { status: response.statusCode ?? 0, headers: Object.fromEntries(headers), body: Buffer.concat(pieces).toString('utf8') };
}
