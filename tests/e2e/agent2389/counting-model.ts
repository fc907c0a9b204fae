import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';

/** A model that answers every question differently, and counts how often it was asked for each task. */
export async function countingModel() {
  const asked = new Map<string, number>();
  let answers = 0;
  const server = createServer((request, response) => {
    void json(request)
      .catch(() => ({}))
      .then((body) => {
        // At its start an agent looks whether the model is there, without a body.
        if (request.method !== 'POST') return void response.writeHead(200).end('{}');
        const { messages = [] } = body as { readonly messages?: readonly { readonly role: string; readonly content: string }[] };
        const task = messages.find(({ role }) => role === 'user')?.content ?? '';
        asked.set(task, (asked.get(task) ?? 0) + 1);
        answers += 1;
        const message = { role: 'assistant', content: `answer ${answers}` };
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end(
          JSON.stringify({ id: 'x', created: 1, model: 'm', choices: [{ index: 0, message, finish_reason: 'stop' }], usage: {} }),
        );
      });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    asked,
    sections: `[llm]\nprovider = "openai-compatible"\nmodel = "m"\nbase_url = "http://127.0.0.1:${port}/v1"\n`,
    [Symbol.asyncDispose]: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close').catch(() => {});
    },
  };
}
