import {
  type BegunEffect,
  type EffectId,
  type ErrorCode,
  HiveError,
  type LeasedTicket,
  type Suspension,
  type WorkerId,
} from '@hivekeeper/contract';
import { newLog } from '@hivekeeper/kernel';
import { FakeClock, seededRandom } from '@hivekeeper/testkit';
import { describe, expect, it } from 'vitest';
import type { LedgerApi } from '../report/index.ts';
import { SessionLedger } from './session-ledger.ts';

const effectId = 'eff_1' as EffectId;
const pay = { tool: 'bank.pay', args: {} };
const shown = { workerId: 'wrk_1', ticketId: 'tkt_1', token: '1.7' };
const waits = [{ step: 's', outcome: { ok: true, output: null } }];

/** A control plane that gives these answers one after the other; a code is a refusal. */
function stage(...answers: readonly (object | ErrorCode)[]) {
  const asked: (readonly [string, object])[] = [];
  const suspensions: Suspension[] = [];
  const session = new AbortController();
  const clock = new FakeClock();
  let notHeldCount = 0;
  const call = (name: string) => async (body: object) => {
    const answer = answers[asked.push([name, body]) - 1] ?? {};
    if (typeof answer === 'string') throw new HiveError(answer);
    return answer as never;
  };
  const names = ['beginEffect', 'finishEffect', 'doubtEffect', 'probedEffect', 'recordStep', 'memo'] as const;
  const ledger = new SessionLedger({
    api: Object.fromEntries(names.map((name) => [name, call(name)])) as unknown as LedgerApi,
    workerId: shown.workerId as WorkerId,
    ticket: { ticketId: shown.ticketId, token: shown.token, memo: waits } as unknown as LeasedTicket,
    signal: session.signal,
    onSuspend: (suspension) => suspensions.push(suspension),
    onNotHeld: () => (notHeldCount += 1),
    clock,
    random: seededRandom(1),
    log: newLog({ level: 'silent', component: 'test' }),
  });
  return { ledger, asked, suspensions, session, clock, notHeldCount: () => notHeldCount };
}
const dispatched: BegunEffect = { state: 'dispatched', effectId };
const unknown: BegunEffect = { state: 'unknown', effectId, reason: 'r' };
const ended = { effectId, outcome: { ok: true, output: 1 } } as const;
const onEffect: Suspension = { kind: 'effect', step: 'bank.pay', effectId, tool: 'bank.pay' };
const onTime: Suspension = { kind: 'timer', step: 's', forMs: 1 };
const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'ok',
    (error: HiveError) => error.code,
  );
const codeOfCall = (call: () => void) => codeOf(Promise.resolve().then(call));

describe('an agent’s way to the ledger', () => {
  it('adds the worker, the ticket and its token to everything', async () => {
    const { ledger, asked } = stage(dispatched, {}, { outcome: ended.outcome }, { steps: [], next: 'z' });
    expect(await ledger.begin(pay)).toEqual(dispatched);
    await ledger.finish(ended);
    await ledger.record({ step: 's', outcome: ended.outcome });
    expect(await ledger.memo('a')).toEqual({ waits, steps: [], next: 'z' });
    expect(asked).toEqual([
      ['beginEffect', { ...pay, ...shown }],
      ['finishEffect', { ...ended, ...shown }],
      ['recordStep', { step: 's', outcome: ended.outcome, ...shown }],
      ['memo', { ...shown, after: 'a' }],
    ]);
  });

  it('asks again for as long as the control plane is away, and the agent waits', async () => {
    const { ledger, asked, clock } = stage('UNREACHABLE', 'DATABASE_UNAVAILABLE', 'SHUTTING_DOWN', 'INTERNAL', dispatched);
    const begun = ledger.begin(pay);
    await clock.advance(60_000);
    expect(await begun).toEqual(dispatched);
    expect(asked).toHaveLength(5);
    expect(clock.pendingTimers).toBe(0);
  });

  it('is given up with the session', async () => {
    const { ledger, session, clock, asked } = stage('UNREACHABLE', 'UNREACHABLE');
    const begun = ledger.begin(pay);
    await clock.advance(0);
    session.abort(new HiveError('TICKET_NOT_HELD'));
    expect(await codeOf(begun)).toBe('TICKET_NOT_HELD');
    expect([asked.length, clock.pendingTimers]).toEqual([1, 0]);
  });

  it('tells the agent what it did wrong, once', async () => {
    const { ledger, asked, notHeldCount } = stage('INVALID_REQUEST');
    expect(await codeOf(ledger.begin(pay))).toBe('INVALID_REQUEST');
    expect([asked.length, notHeldCount()]).toEqual([1, 0]);
  });

  it('ends with the ticket: where somebody else has it the session hears of it', async () => {
    const { ledger, notHeldCount } = stage('TICKET_NOT_HELD');
    expect(await codeOf(ledger.begin(pay))).toBe('TICKET_NOT_HELD');
    expect(notHeldCount()).toBe(1);
  });

  it('does not let an agent make one effect twice at a time', async () => {
    const { ledger } = stage(dispatched, dispatched, {}, dispatched, {}, unknown);
    await ledger.begin(pay);
    expect(await codeOf(ledger.begin(pay))).toBe('EFFECT_AT_WORK');
    await ledger.finish(ended);
    await ledger.begin(pay);
    await ledger.doubt({ effectId, reason: 'r' });
    expect(await ledger.begin(pay)).toEqual(unknown);
  });

  it('ends an agent that wants to wait, and takes nothing more from it', async () => {
    const { ledger, suspensions, asked } = stage();
    ledger.suspend(onTime);
    expect(suspensions).toEqual([onTime]);
    expect(await codeOf(ledger.begin(pay))).toBe('TICKET_NOT_HELD');
    expect(await codeOfCall(() => ledger.suspend(onTime))).toBe('TICKET_NOT_HELD');
    expect([asked, suspensions.length]).toEqual([[], 1]);
  });

  it('does not let an agent wait in the middle of an effect, which would make that unknown', async () => {
    const { ledger, suspensions } = stage(dispatched);
    await ledger.begin(pay);
    expect(await codeOfCall(() => ledger.suspend(onTime))).toBe('EFFECT_AT_WORK');
    await ledger.finish(ended);
    ledger.suspend(onTime);
    expect(suspensions).toHaveLength(1);
  });

  it('lets an agent wait for news of an effect that is unknown, and of no other', async () => {
    const { ledger, suspensions } = stage(unknown, {}, unknown);
    expect(await codeOfCall(() => ledger.suspend(onEffect))).toBe('EFFECT_NOT_DISPATCHED');
    await ledger.begin(pay);
    await ledger.probed({ effectId, happened: false });
    expect(await codeOfCall(() => ledger.suspend(onEffect))).toBe('EFFECT_NOT_DISPATCHED');
    await ledger.begin(pay);
    ledger.suspend(onEffect);
    expect(suspensions).toEqual([onEffect]);
  });
});
