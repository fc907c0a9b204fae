import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const program = `
  import { newLog } from '${import.meta.resolve('./log.ts')}';
  const log = newLog({ level: 'info', component: 'test' });
  log.info({}, 'one line');
  setImmediate(() => { log.info({}, 'another'); process.exitCode = 7; });
`;

describe.runIf(process.platform === 'linux')('a log on a disk that is full', () => {
  it('loses its lines and leaves the process alone', async () => {
    const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
      stdio: ['ignore', 'ignore', openSync('/dev/full', 'w')],
    });
    const [status] = (await once(child, 'exit')) as [number | null];
    expect(status).toBe(7);
  });
});
