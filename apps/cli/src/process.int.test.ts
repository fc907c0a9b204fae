import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import metadata from '../package.json' with { type: 'json' };

const bin = fileURLToPath(new URL('../bin/hive.mjs', import.meta.url));

const hive = (...args: readonly string[]): Promise<{ readonly exitCode: number; readonly stdout: string; readonly stderr: string }> =>
  new Promise((resolve) => {
    const environment = Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !name.startsWith('HIVE_') && name !== 'NODE_OPTIONS'),
    );
    const child = execFile(process.execPath, [bin, ...args], { env: environment, cwd: import.meta.dirname }, (_error, stdout, stderr) =>
      resolve({ exitCode: child.exitCode ?? -1, stdout, stderr }),
    );
  });

describe('hive as a process', () => {
  it('tells its version and ends with 0', async () => {
    expect(await hive('--version')).toEqual({ exitCode: 0, stdout: `${metadata.version}\n`, stderr: '' });
  });

  it('ends with 2 on a command it does not know', async () => {
    expect(await hive('rums')).toMatchObject({ exitCode: 2, stdout: '', stderr: expect.stringContaining('Did you mean runs?') });
  });

  it('ends with 6 where no control plane answers, and says how to start one', async () => {
    // Port 1 is reserved; nothing listens there.
    expect(await hive('runs', '--url', 'http://127.0.0.1:1')).toMatchObject({
      exitCode: 6,
      stderr: expect.stringMatching(/^UNREACHABLE: .*\n[^]*Next: hive up\n$/),
    });
  });

  it('writes no colours into a pipe', async () => {
    const { stdout, stderr } = await hive('doctor', '--url', 'http://127.0.0.1:1');
    expect(stdout + stderr).not.toContain('\u001b');
  });

  it('becomes the control plane with hive up: the same process, its errors and its exit status', async () => {
    const { exitCode, stderr } = await hive('up', '--port', 'many');
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('CONFIGURATION_INVALID: --port') });
  });
});
