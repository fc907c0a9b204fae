import type { BackupVerification } from '@hivekeeper/contract';
import type { Restored } from './offline.ts';

/** What a restore did, for people. */
export function restoredText({ path, dataDirectory, epochBefore, epoch, rowCount, migrated, lostWindow }: Restored): string {
  const { fromMs, leaseCount, unfinishedCount, unfinished } = lostWindow;
  const rows = unfinished.map(({ runId, workflow, status }) => `  ${runId}  ${status}  ${workflow}`);
  const more = unfinishedCount - unfinished.length;
  return [
    `${path} is restored into ${dataDirectory}: ${rowCount} rows${migrated.length === 0 ? '' : `, schema brought to version ${migrated.at(-1)}`}.`,
    `Epoch ${epochBefore} → ${epoch}: what workers hand in with a token from before is refused.`,
    '',
    `Lost: whatever was acknowledged after ${new Date(fromMs).toISOString()}.`,
    `Given up: ${leaseCount} leases; their tickets are issued anew at the next start.`,
    unfinishedCount === 0
      ? 'No run was unfinished then.'
      : `Unfinished then: ${unfinishedCount} runs. They go on, and may do again outside what they did after that moment:`,
    ...rows,
    ...(more > 0 ? [`  … and ${more} older ones`] : []),
    '',
    'Next: hive up',
  ].join('\n');
}

/** What a check found, for people. */
export function verifiedText({ isSound, faults, partCount, rowCount, auditEntryCount, unprovenEntryCount }: BackupVerification): string {
  if (!isSound) return ['The backup is damaged:', ...faults.map(({ part, message }) => `  ${part}: ${message}`)].join('\n');
  const unproven = unprovenEntryCount === 0 ? '' : ` (${unprovenEntryCount} of them by their place only)`;
  return `The backup is whole: ${partCount} parts, ${rowCount} rows, a chain of ${auditEntryCount} audit entries${unproven}.`;
}
