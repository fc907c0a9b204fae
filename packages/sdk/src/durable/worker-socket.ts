import type { ClientRequest, IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import type { ErrorBody } from '@hivekeeper/contract';
import { isErrorCode } from '@hivekeeper/contract/error-codes';
import { HiveError } from '@hivekeeper/contract/hive-error';

/** The worker that runs this agent. */
export interface WorkerSocket {
  /** @throws HiveError with the worker's code, or UNREACHABLE */
  ask<Answer>(method: 'GET' | 'POST', path: string, body?: object): Promise<Answer>;
}

/** The worker behind the socket at `path`, which is `HIVE_SOCKET`. Nothing is opened before the first question. */
export function workerAt(path: string | undefined): WorkerSocket {
  return {
    ask: async <Answer>(method: 'GET' | 'POST', url: string, body?: object) => {
      if (path === undefined || path === '') throw new HiveError('AGENT_SOCKET_ABSENT');
      const response = await send({ socketPath: path, method, path: url }, body);
      const answer = parse(await text(response));
      if ((response.statusCode ?? 0) < 300) return answer as Answer;
      throw errorOf(answer as Partial<ErrorBody>);
    },
  };
}

async function send(
  options: { readonly socketPath: string; readonly method: string; readonly path: string },
  body?: object,
): Promise<IncomingMessage> {
  // Loaded on first use: most agents never ask.
  const { request } = await import('node:http');
  const payload = body === undefined ? '' : JSON.stringify(body);
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) };
  return new Promise((resolve, reject) => {
    const call: ClientRequest = request({ ...options, headers }, resolve);
    call.on('error', (cause) => reject(new HiveError('UNREACHABLE', `the worker does not answer: ${cause.message}`, { cause })));
    call.end(payload);
  });
}

function parse(answer: string): unknown {
  try {
    return JSON.parse(answer);
  } catch (cause) {
    throw new HiveError('UNREACHABLE', 'the worker’s answer is not JSON', { cause });
  }
}

function errorOf({ error }: Partial<ErrorBody>): HiveError {
  const code = error?.code ?? '';
  return new HiveError(isErrorCode(code) ? code : 'INTERNAL', error?.message, { issues: error?.issues ?? [] });
}
