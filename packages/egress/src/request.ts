import { request as requestHttp, type IncomingMessage } from 'node:http';
import { request as requestHttps } from 'node:https';
import { assertAllowedHost, type Egress, guardedLookup } from './egress.ts';
import { EgressFault } from './egress-fault.ts';

/** One request. */
export interface OutgoingRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: string | undefined;
}

/**
 * Sends a request; resolves with the head of the answer, whose body the caller reads or destroys. A redirect is an answer like
 * any other. @throws EgressFault; the signal's abort comes as `unreachable`: ask the signal
 */
export async function sendRequest(
  { method, url, headers = {}, body }: OutgoingRequest,
  { egress, signal }: { readonly egress: Egress; readonly signal: AbortSignal },
): Promise<IncomingMessage> {
  assertAllowedHost(url, egress);
  const request = url.protocol === 'https:' ? requestHttps : requestHttp;
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers, signal, lookup: guardedLookup(egress), agent: false }, resolve);
    // Without a listener neither an answer nor an error would ever come of it.
    sent.on('upgrade', (_, socket) => {
      socket.destroy();
      reject(new EgressFault('unreachable', `${url.host}: it switches to another protocol`));
    });
    sent.on('error', (error) => reject(asFault(error, url)));
    sent.end(body);
  });
}

/** The body, counted while it comes: one byte too many ends it. @throws EgressFault */
export async function bodyOf(response: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let sizeBytes = 0;
  try {
    for await (const piece of response as AsyncIterable<Buffer>) {
      sizeBytes += piece.length;
      if (sizeBytes > maxBytes) throw new EgressFault('too-large', `the answer is larger than ${maxBytes} bytes`);
      pieces.push(piece);
    }
  } catch (error) {
    response.destroy();
    throw asFault(error);
  }
  return Buffer.concat(pieces);
}

function asFault(error: unknown, url?: URL): EgressFault {
  if (error instanceof EgressFault) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new EgressFault('unreachable', url === undefined ? message : `${url.host}: ${message}`);
}
