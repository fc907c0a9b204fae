import {
  type handleServerStreamingCall,
  type handleUnaryCall,
  Metadata,
  type ServerWritableStream,
  status,
  type StatusObject,
} from '@grpc/grpc-js';
import { defaultTenantId, findJsonDefect, HiveError } from '@hivekeeper/contract';
import type { Log } from '@hivekeeper/kernel';
import { type KeyRing, may, type Permission, type Principal } from '../records/keys/index.ts';

/** Makes handlers of what a call does: the caller is known, and errors are told as gRPC has them. */
export interface Calls {
  unary<Message, Answer>(
    permission: Permission,
    work: (caller: Principal, message: Message, metadata: Metadata) => Promise<Answer>,
  ): handleUnaryCall<Message, Answer>;
  /** `begin` returns what ends it. */
  stream<Message, Answer>(
    permission: Permission,
    begin: (caller: Principal, message: Message, write: (answer: Answer) => void) => () => void,
  ): handleServerStreamingCall<Message, Answer>;
}

/** What {@link callsFor} needs. */
export interface CallsOptions {
  readonly keys: KeyRing;
  readonly authentication: 'api-key' | 'none';
  readonly log: Log;
}

const everybody: Principal = { tenantId: defaultTenantId, role: 'admin', subject: 'anonymous' };
// A reader that leaves so much unread is cut off.
const mostUnread = 10_000;

/** Handlers for the given keys. */
export function callsFor(options: CallsOptions): Calls {
  const { log } = options;
  return {
    unary: (permission, work) => (call, callback) =>
      void admit(options, permission, call.metadata)
        .then((caller) => work(caller, storable(call.request), call.metadata))
        .then(
          (answer) => callback(null, answer),
          (error: unknown) => callback(faultOf(error, log)),
        ),

    stream: (permission, begin) => (call) =>
      void admit(options, permission, call.metadata)
        .then((caller) => follow(call, (write) => begin(caller, storable(call.request), write)))
        .catch((error: unknown) => call.emit('error', faultOf(error, log))),
  };
}

function follow<Message, Answer>(
  call: ServerWritableStream<Message, Answer>,
  begin: (write: (answer: Answer) => void) => () => void,
): void {
  const stop = begin((answer) => {
    if (call.writableLength < mostUnread) call.write(answer);
    else call.emit('error', faultOf(new HiveError('RATE_LIMITED', 'too much was left unread')));
  });
  call.once('cancelled', stop);
  call.once('close', stop);
  if (call.cancelled) stop();
}

/** @throws HiveError UNAUTHENTICATED, FORBIDDEN */
async function admit({ keys, authentication }: CallsOptions, permission: Permission, metadata: Metadata): Promise<Principal> {
  if (authentication === 'none') return everybody;
  const key = /^Bearer +(\S+) *$/i.exec(told(metadata, 'authorization') ?? '')?.[1] ?? told(metadata, 'x-api-key');
  const principal = key === undefined ? undefined : await keys.principalOf(key);
  if (principal === undefined) throw new HiveError('UNAUTHENTICATED');
  if (!may(principal.role, permission)) throw new HiveError('FORBIDDEN');
  return principal;
}

/** What a call's metadata says under the name; undefined where nothing. */
export function told(metadata: Metadata, name: string): string | undefined {
  const [value] = metadata.get(name);
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** @throws HiveError UNSTORABLE_VALUE */
function storable<Message>(message: Message): Message {
  const defect = findJsonDefect(message);
  if (defect !== undefined) throw new HiveError('UNSTORABLE_VALUE', `${defect.path}: ${defect.reason}`);
  return message;
}

const statusByHttp: Readonly<Record<number, status>> = {
  400: status.INVALID_ARGUMENT,
  401: status.UNAUTHENTICATED,
  403: status.PERMISSION_DENIED,
  404: status.NOT_FOUND,
  409: status.FAILED_PRECONDITION,
  422: status.INVALID_ARGUMENT,
  429: status.RESOURCE_EXHAUSTED,
  503: status.UNAVAILABLE,
};

/** An error as gRPC has it, with our code in the metadata `hive-error-code`. What is not ours is logged, and told to nobody. */
function faultOf(error: unknown, log?: Log): StatusObject {
  const fault = HiveError.is(error) ? error : new HiveError('INTERNAL');
  if (fault.entry.httpStatus === 500) log?.error({ err: error }, 'a call over gRPC failed');
  const metadata = new Metadata();
  metadata.set('hive-error-code', fault.code);
  const code = statusByHttp[fault.entry.httpStatus] ?? status.INTERNAL;
  return { code, details: `${fault.code}: ${fault.message} ${fault.entry.remedy}`, metadata };
}
