import type { BackupVerification } from '@hivekeeper/contract';
import type { Restored } from './offline.ts';

/** What a restore did, for people. */
export function restoredText({ path, dataDirectory, epochBefore, epoch, rowCount, migrated, lostWindow }: Restored): string {
  const { fromMs, leaseCount, unfinishedCount, unfinished, openEffectCount, openEffects } = lostWindow;
  return [
    `${path} is restored into ${dataDirectory}: ${rowCount} rows${migrated.length === 0 ? '' : `, schema brought to version ${migrated.at(-1)}`}.`,
    `Epoch ${epochBefore} → ${epoch}: what workers hand in with a token from before is refused.`,
    '',
    `Lost: whatever was acknowledged after ${new Date(fromMs).toISOString()}.`,
    `Given up: ${leaseCount} leases; their tickets are issued anew at the next start.`,
    unfinishedCount === 0
      ? 'No run was unfinished then.'
      : `Unfinished then: ${unfinishedCount} runs. They go on, and may do again outside what they did after that moment:`,
    ...listed(
      unfinishedCount,
      unfinished.map(({ runId, workflow, status }) => `${runId}  ${status}  ${workflow}`),
    ),
    ...(openEffectCount === 0
      ? []
      : [`On their way then: ${openEffectCount} effects. They are unknown now (hive effects --state unknown):`]),
    ...listed(
      openEffectCount,
      openEffects.map(({ effectId, runId, tool }) => `${effectId}  ${tool}  ${runId}`),
    ),
    '',
    'Next: hive up',
  ].join('\n');
}

/** Indented, with how many more there are. */
function listed(count: number, rows: readonly string[]): string[] {
  const more = count - rows.length;
  return [...rows, ...(more > 0 ? [`… and ${more} older ones`] : [])].map((row) => `  ${row}`);
}

/** What a check found, for people. */
export function verifiedText({ isSound, faults, partCount, rowCount, auditEntryCount, unprovenEntryCount }: BackupVerification): string {
  if (!isSound) return ['The backup is damaged:', ...faults.map(({ part, message }) => `  ${part}: ${message}`)].join('\n');
  const unproven = unprovenEntryCount === 0 ? '' : ` (${unprovenEntryCount} of them by their place only)`;
  return `The backup is whole: ${partCount} parts, ${rowCount} rows, a chain of ${auditEntryCount} audit entries${unproven}.`;
}
