import { type ErrorBody, errorBodyOf, errorCatalogue, HiveError } from '@hivekeeper/contract';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import type { Socket } from 'node:net';
import type { Log } from '@hivekeeper/kernel';
import { type FacadeErrorBody, facadeErrorBodyOf, isFacadeAddress } from './facade/index.ts';
import { apiHeaders } from './security-headers.ts';

type Requested = Pick<FastifyRequest, 'id' | 'url' | 'method' | 'body' | 'routeOptions'>;

/** Answers an error: its code, and nothing of ours inside. What is our fault is written down. */
export function answerFault(error: unknown, reply: FastifyReply, log: Log): FastifyReply {
  const { request } = reply;
  const fault = faultOf(error);
  const status = fault.entry.httpStatus;
  if (status >= 500) write(log, fault, request);
  // Set here too, because no hook has run where the router itself failed.
  void reply
    .code(status)
    .type('application/json; charset=utf-8')
    .headers({ ...apiHeaders, 'x-request-id': request.id, ...headersOf(fault) });
  // The framework would close the connection, and a caller still sending would see a reset instead of this answer. Left
  // open, the rest of the body is read and thrown away, for as long as the request's time allows.
  if (fault.code === 'BODY_TOO_LARGE') void reply.removeHeader('connection');
  return reply.send(JSON.stringify(bodyOf(fault, request)));
}

/** An error of any kind as one of the catalogue. */
export function faultOf(error: unknown): HiveError {
  if (HiveError.is(error)) return error;
  switch ((error as Partial<FastifyError> | null)?.code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new HiveError('BODY_TOO_LARGE');
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return new HiveError('UNSUPPORTED_MEDIA_TYPE');
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return invalid('Content-Length is not the length of the body');
    case 'FST_ERR_BAD_URL':
      return invalid('the path holds a % that is not followed by two hexadecimal digits of UTF-8');
    case 'FST_ERR_MAX_PARAM_LENGTH':
      return invalid('a part of the path is too long');
    case 'ECONNRESET':
      return invalid('the connection ended before the body did');
    default:
      return new HiveError('INTERNAL', undefined, { cause: error });
  }
}

const invalid = (message: string): HiveError => new HiveError('INVALID_REQUEST', message, { issues: [{ path: '', message }] });

function bodyOf(fault: HiveError, request: Requested): ErrorBody | FacadeErrorBody {
  // What went wrong inside is for the log; the caller gets the request's id to ask about.
  const told = fault.entry.httpStatus < 500 ? fault : new HiveError(fault.code, errorCatalogue[fault.code].cause);
  return isFacadeAddress(request.url) ? facadeErrorBodyOf(told, request) : errorBodyOf(told, request.id);
}

function headersOf(fault: HiveError): Record<string, string> {
  switch (fault.entry.httpStatus) {
    case 401:
      return { 'www-authenticate': 'Bearer realm="hivekeeper"' };
    case 425:
    case 503:
      return { 'retry-after': '1' };
    default:
      return {};
  }
}

function write(log: Log, fault: HiveError, { id, method, routeOptions }: Requested): void {
  const facts = { err: fault, requestId: id, method, route: routeOptions.url };
  if (fault.code === 'SHUTTING_DOWN') log.debug(facts, 'a request was turned away');
  else log.error(facts, 'a request failed');
}

/** Answers what is not HTTP, as far as the connection still listens. */
export function answerNoHttp(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
  const body = JSON.stringify(errorBodyOf(invalid('this is not an HTTP request, or its headers are too large')));
  const head = {
    ...apiHeaders,
    'content-type': 'application/json; charset=utf-8',
    'content-length': String(Buffer.byteLength(body)),
    connection: 'close',
  };
  const lines = Object.entries(head).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 400 Bad Request\r\n${lines.join('')}\r\n${body}`);
}
