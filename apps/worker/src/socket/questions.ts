import {
  type BeginEffect,
  doubtedEffectSchema,
  endedEffectSchema,
  findJsonDefect,
  type FinishEffect,
  HiveError,
  intendedEffectSchema,
  memoEntrySchema,
  probedEffectSchema,
  stepNameSchema,
  type Suspension,
  suspensionSchema,
} from '@hivekeeper/contract';
import { z } from 'zod';
import type { Said, SessionLedger } from './session-ledger.ts';

/** A request of an agent, its body unread. */
export interface Question {
  readonly method: string;
  readonly url: string;
  readonly body: Buffer;
}

/** What the agent is told; `undefined` where it gets no answer any more, because it is being ended. */
export type Answer = object | undefined;

type Ask = (ledger: SessionLedger, question: Question) => Promise<Answer>;

const asking =
  <Schema extends z.ZodType>(schema: Schema, ask: (ledger: SessionLedger, body: z.output<Schema>) => Promise<object>): Ask =>
  async (ledger, { body }) =>
    ask(ledger, parsed(schema, jsonOf(body)));
const telling = <Schema extends z.ZodType>(schema: Schema, tell: (ledger: SessionLedger, body: z.output<Schema>) => Promise<void>): Ask =>
  asking(schema, async (ledger, body) => {
    await tell(ledger, body);
    return {};
  });

// The agents' half of the contract that ../agents/process/README.md describes.
const questions: Readonly<Record<string, Ask>> = {
  'POST /effects/begin': asking(intendedEffectSchema, (ledger, effect) => ledger.begin(effect as Said<BeginEffect>)),
  'POST /effects/finish': telling(endedEffectSchema, (ledger, end) => ledger.finish(end as Said<FinishEffect>)),
  'POST /effects/doubt': telling(doubtedEffectSchema, (ledger, doubt) => ledger.doubt(doubt)),
  'POST /effects/probed': telling(probedEffectSchema, (ledger, finding) => ledger.probed(finding)),
  'POST /steps': asking(memoEntrySchema, (ledger, step) => ledger.record(step)),
  'GET /memo': async (ledger, { url }) => ledger.memo(parsed(memoQuerySchema, queryOf(url)).after),
  'POST /suspend': async (ledger, { body }) => {
    ledger.suspend(parsed(suspensionSchema, jsonOf(body)) as Suspension);
    return undefined;
  },
};

const memoQuerySchema = z.strictObject({ after: stepNameSchema.optional() });

/** Answers one request. @throws HiveError */
export function answerTo(question: Question, ledger: SessionLedger): Promise<Answer> {
  const path = question.url.split('?', 1)[0] ?? '';
  const ask = questions[`${question.method} ${path}`];
  if (ask !== undefined) return ask(ledger, question);
  const methods = Object.keys(questions).flatMap((known) => (known.endsWith(` ${path}`) ? [known.split(' ', 1)[0]] : []));
  throw methods.length === 0
    ? new HiveError('ROUTE_NOT_FOUND', `there is ${Object.keys(questions).join(', ')}`)
    : new HiveError('METHOD_NOT_ALLOWED', `${path} is asked with ${methods.join(', ')}`);
}

const queryOf = (url: string): Record<string, string> => Object.fromEntries(new URL(url, 'http://hive').searchParams);

// Whatever content type: curl's is that of a form where nobody says otherwise.
/** A body as JSON. @throws HiveError MALFORMED_JSON, UNSTORABLE_VALUE */
export function jsonOf(body: Buffer): unknown {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch (cause) {
    throw new HiveError('MALFORMED_JSON', undefined, { cause });
  }
  const defect = findJsonDefect(value);
  if (defect !== undefined)
    throw new HiveError('UNSTORABLE_VALUE', `${defect.path}: ${defect.reason}`, {
      issues: [{ path: defect.path, message: defect.reason }],
    });
  return value;
}

function parsed<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issues = result.error.issues.map(({ path, message }) => ({ path: path.map((key) => `/${String(key)}`).join(''), message }));
  throw new HiveError(
    'INVALID_REQUEST',
    issues
      .map(({ path, message }) => `${path} ${message}`)
      .join('; ')
      .slice(0, 2_000),
    { issues },
  );
}
