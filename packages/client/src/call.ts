import type { ErrorBody } from '@hivekeeper/contract';
import { isErrorCode } from '@hivekeeper/contract/error-codes';
import { HiveError } from '@hivekeeper/contract/hive-error';

/** How a client reaches a control plane. */
export interface ClientOptions {
  /** Base address, e.g. `http://127.0.0.1:9002`. */
  readonly url: string;
  readonly token?: string;
  readonly fetch?: typeof globalThis.fetch;
  /** Longest wait for an answer; must exceed a poll's `waitMs`. A minute where absent. */
  readonly timeoutMs?: number;
  /** Waits between attempts to reconnect; tests pass their own. */
  readonly pause?: Pause;
}

/** Resolves after `delayMs`, or at once when the signal aborts. */
export type Pause = (delayMs: number, signal?: AbortSignal) => Promise<void>;

/** One request to `/v1`. */
export interface Request {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** Instead of the client's own. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
}

/** Sends one request and gives the parsed answer; `T` is believed, not checked: both ends share the contract. */
export type Call = <T>(request: Request) => Promise<T>;

const defaultTimeoutMs = 60_000;

/** Makes calls to one control plane. @throws HiveError with the server's code, or UNREACHABLE. */
export function callerOf(options: ClientOptions): Call {
  return async <T>(request: Request) => {
    const deadline = AbortSignal.timeout(request.timeoutMs ?? options.timeoutMs ?? defaultTimeoutMs);
    const signal = request.signal === undefined ? deadline : AbortSignal.any([request.signal, deadline]);
    const response = await send(options, { ...request, signal });
    const text = await response.text().catch((error: unknown) => Promise.reject(unreachable(options.url, error)));
    return (text === '' ? undefined : parseAnswer(text, options.url)) as T;
  };
}

/** Sends one request and gives the response, its body unread, where the server agreed. */
export async function send(options: ClientOptions, request: Request): Promise<Response> {
  const response = await fetchOnce(options, request);
  if (response.ok) return response;
  throw errorOf(response.status, await response.text().catch(() => ''));
}

async function fetchOnce(options: ClientOptions, { method, path, query, headers, body, signal }: Request): Promise<Response> {
  const doFetch = options.fetch ?? globalThis.fetch;
  const address = addressOf(options.url, path, query);
  try {
    return await doFetch(address, {
      method: method ?? 'GET',
      headers: {
        accept: 'application/json',
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(options.token !== undefined && { authorization: `Bearer ${options.token}` }),
        ...headers,
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      ...(signal !== undefined && { signal }),
    });
  } catch (error) {
    // The caller's own abort is the caller's to see; our deadline means that nobody answered.
    if (signal?.aborted && !isTimeout(signal.reason)) throw signal.reason;
    throw unreachable(options.url, error);
  }
}

function addressOf(url: string, path: string, query: Request['query'] = {}): URL {
  let address: URL;
  try {
    address = new URL(`${url.replace(/\/+$/, '')}${path}`);
  } catch (cause) {
    throw new HiveError('CONFIGURATION_INVALID', `"${url}" is not an address such as http://127.0.0.1:9002`, { cause });
  }
  for (const [name, value] of Object.entries(query)) if (value !== undefined) address.searchParams.set(name, String(value));
  return address;
}

const isTimeout = (reason: unknown): boolean => reason instanceof DOMException && reason.name === 'TimeoutError';

/** The error for a control plane that does not answer. */
export const unreachable = (url: string, cause: unknown): HiveError =>
  new HiveError('UNREACHABLE', `no control plane answers at ${url} (${reasonOf(cause)})`, { cause });

// fetch hides the reason ("fetch failed") in `cause`, and an address with several IPs in an AggregateError without message.
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.cause !== undefined) return reasonOf(error.cause);
  if (isTimeout(error)) return 'it took too long';
  return error.message === '' && 'code' in error ? String(error.code) : error.message;
}

function parseAnswer(text: string, url: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw unreachable(url, error);
  }
}

/** The error an answer carries; one without our body comes from something else in between. */
export function errorOf(status: number, text: string): HiveError {
  const told = toldError(text);
  if (told === undefined)
    return new HiveError(status >= 502 ? 'UNREACHABLE' : 'INTERNAL', `the answer was HTTP ${status}, and not from a control plane`);
  const options = told.issues === undefined ? {} : { issues: told.issues };
  // A newer server may know codes that this client does not.
  return isErrorCode(told.code)
    ? new HiveError(told.code, told.message, options)
    : new HiveError('INTERNAL', `${String(told.code)}: ${told.message}`, options);
}

function toldError(text: string): ErrorBody['error'] | undefined {
  try {
    const { error } = JSON.parse(text) as Partial<ErrorBody>;
    return typeof error?.code === 'string' && typeof error.message === 'string' ? error : undefined;
  } catch {
    return undefined;
  }
}
