import { type ErrorCode, errorCatalogue } from '@hivekeeper/contract';
import type { FastifyReply } from 'fastify';
import type { FacadeErrorBody } from './faults.ts';

/** Answers 400 where CommandCenter does and the catalogue has another status; its clients read the extra fields. */
export function refusal(
  reply: FastifyReply,
  { code, ...told }: { readonly code: ErrorCode; readonly error: string; readonly [extra: string]: unknown },
): FastifyReply {
  const body: FacadeErrorBody = { ...told, code, remedy: errorCatalogue[code].remedy, requestId: reply.request.id };
  return reply.code(400).send(body);
}
