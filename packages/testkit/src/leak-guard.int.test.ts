import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { watchLeaks } from './leak-guard.ts';

async function listening() {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

const ended = async (child: ChildProcess) => {
  child.kill('SIGKILL');
  await once(child, 'exit');
};

describe('the leak guard', () => {
  it('sees nothing where everything was closed, also when closing takes a moment', async () => {
    const leaks = watchLeaks();
    const server = await listening();
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    await once(socket, 'connect');
    clearTimeout(setTimeout(() => {}, 60_000));
    socket.destroy();
    server.close();
    expect(await leaks()).toEqual([]);
  });

  it('names a server, a socket, a child process and a timer that are still there', async () => {
    const leaks = watchLeaks();
    const server = await listening();
    const accepted = once(server, 'connection');
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    const [peer] = (await accepted) as [ReturnType<typeof connect>];
    const child = spawn('sleep', ['60'], { stdio: 'ignore' });
    const timers = [setTimeout(() => {}, 60_000), setInterval(() => {}, 60_000)];
    setTimeout(() => {}, 60_000).unref();
    setTimeout(() => {}, 1);
    expect((await leaks()).toSorted()).toEqual(['ProcessWrap', 'TCPServerWrap', 'TCPSocketWrap', 'TCPSocketWrap', 'Timeout', 'Timeout']);
    for (const timer of timers) clearTimeout(timer);
    socket.destroy();
    peer.destroy();
    server.close();
    await ended(child);
  });

  it('does not blame a file for what was open before', async () => {
    const server = await listening();
    const leaks = watchLeaks();
    expect(await leaks()).toEqual([]);
    server.close();
  });

  it('makes a test file red that leaves something open, and none that does not', async () => {
    const vitest = fileURLToPath(new URL('../../../node_modules/vitest/vitest.mjs', import.meta.url));
    const root = fileURLToPath(new URL('fixtures/leaks', import.meta.url));
    const run = (file: string) =>
      new Promise<string>((resolve) => {
        const child = execFile(
          process.execPath,
          [vitest, 'run', '--root', root, file],
          { env: { PATH: process.env.PATH } },
          (_error, ...output) => resolve(`exit ${child.exitCode}\n${output.join('')}`),
        );
      });
    expect(await run('tidy')).toMatch(/^exit 0\n/);
    expect(await run('leaky')).toMatch(/^exit 1\n[^]*resources left open/);
  });
});
