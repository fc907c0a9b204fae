import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { json } from 'node:stream/consumers';
import { FakeClock, guardLeaks, seededRandom } from '@hivekeeper/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Door, openDoor } from './testing/door.ts';

guardLeaks();

let door: Door;
let port: number;
beforeEach(async () => {
  door = await openDoor({ clock: new FakeClock(), random: seededRandom(1) });
  await door.app.listen({ host: '127.0.0.1', port: 0 });
  port = (door.app.server.address() as AddressInfo).port;
});
afterEach(() => door[Symbol.asyncDispose]());

async function say(text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  let heard = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => (heard += chunk));
  socket.end(text);
  await once(socket, 'close');
  return heard;
}

describe('a connection', () => {
  it.each([1, 40])('gives the caller of a body %i MiB too large its answer, though the body is still on its way', async (extraMiB) => {
    const body = Buffer.alloc((16 + extraMiB) * 1024 * 1024, 0x20);
    const call = request({
      port,
      host: '127.0.0.1',
      path: '/v1/worker/settle',
      method: 'POST',
      headers: { 'content-type': 'application/json', 'content-length': body.length, 'x-api-key': door.keys.worker },
    });
    call.end(body);
    const [response] = (await once(call, 'response')) as [IncomingMessage];
    expect({ status: response.statusCode, body: await json(response) }).toMatchObject({
      status: 413,
      body: { error: { code: 'BODY_TOO_LARGE' } },
    });
  });

  it('that does not speak HTTP, or sends headers without end, is told so and closed', async () => {
    for (const text of [
      'good morning\r\n\r\n',
      `GET / HTTP/1.1\r\nhost: a\r\nx-long: ${'x'.repeat(100_000)}\r\n\r\n`,
      'GET / HTTP/1.1\r\nhost: a\r\ncontent-length: x\r\n\r\n',
    ]) {
      const heard = await say(text);
      expect(heard).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n[^]*x-content-type-options: nosniff\r\n[^]*connection: close\r\n/);
      expect(JSON.parse(heard.slice(heard.indexOf('{')))).toMatchObject({ error: { code: 'INVALID_REQUEST' } });
    }
  });

  it('does not end the server', async () => {
    await say('\u0000\u0001\r\n');
    expect((await fetch(`http://127.0.0.1:${port}/live`)).status).toBe(200);
  });
});
