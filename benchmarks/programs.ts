import { fileURLToPath } from 'node:url';
import type { Effort } from './harness/workloads.ts';

/** One thing that is measured, in a process of its own, once per round. */
export interface Program {
  readonly id: string;
  readonly kind: 'engine' | 'ceiling' | 'scheduling' | 'sandbox' | 'stack';
  readonly isPeer: boolean;
  readonly script: string;
  readonly args: readonly string[];
  readonly timeoutMs: number;
}

const standardEffort: Effort = { warmUpMs: 1_500, throughputMs: 3_000, latencyMs: 2_000, latencySamples: 200 };
const quickEffort: Effort = { warmUpMs: 300, throughputMs: 700, latencyMs: 400, latencySamples: 20 };

const pathOf = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

const peerIds = ['restate', 'dbos', 'pg-boss', 'graphile-worker', 'bullmq-everysec', 'bullmq-always'];

/** Everything that can be measured, in the order of the report. */
export function listPrograms({ isQuick }: { readonly isQuick: boolean }): readonly Program[] {
  const effort = JSON.stringify(isQuick ? quickEffort : standardEffort);
  const engineOf = (id: string, modulePath: string, isPeer: boolean): Program => ({
    id,
    kind: 'engine',
    isPeer,
    script: pathOf('harness/measure-engine.ts'),
    args: [pathOf(modulePath), effort],
    timeoutMs: 60_000,
  });
  const rowOf = (kind: 'ceiling' | 'scheduling' | 'sandbox' | 'stack', file: string, args: readonly string[]): Program => ({
    id: kind,
    kind,
    isPeer: false,
    script: pathOf(`rows/${file}`),
    args,
    timeoutMs: 90_000,
  });
  return [
    rowOf('ceiling', 'ceiling.ts', [effort]),
    engineOf('hivekeeper', 'hivekeeper.ts', false),
    ...peerIds.map((id) => engineOf(id, `peers/${id}.ts`, true)),
    rowOf('scheduling', 'scheduling.ts', []),
    rowOf('sandbox', 'sandbox-start.ts', []),
    rowOf('stack', 'stack.ts', [isQuick ? '1' : '5']),
  ];
}
