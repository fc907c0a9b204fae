import { FakeClock, guardLeaks, seededRandom } from '@hivekeeper/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Door, openDoor } from '../testing/door.ts';
import { declaredSecret } from '../testing/memory-services.ts';
import { deploy, register, start, workflow } from '../testing/scenes.ts';

guardLeaks();

let door: Door;
let clock: FakeClock;
beforeEach(async () => {
  clock = new FakeClock();
  door = await openDoor({ clock, random: seededRandom(1) });
  await register(door);
});
afterEach(() => door[Symbol.asyncDispose]());

const browser = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' };

interface Scene {
  readonly approval?: object;
  readonly context?: object;
  /** What the link is made with. */
  readonly link?: object;
}

/** A gated run; gives its approval's id. */
async function gated({ approval = {}, context = { target: '/repo' } }: Scene = {}): Promise<string> {
  const node = { id: 'scan', agent: 'scanner', action: 'deploy', input: { target: '{{ context.target }}' } };
  await deploy(door, workflow({ nodes: [{ ...node, approval: { message: 'Go?', expiresAfterMs: 3_600_000, ...approval } }] }));
  await start(door, context);
  return (await door.call('GET /v1/approvals?status=PENDING')).body[0].id;
}

/** The same, with a link to the approval. */
async function asked(scene: Scene = {}): Promise<{ readonly path: string; readonly id: string }> {
  const id = await gated(scene);
  const { url } = (await door.call(`POST /v1/approvals/${id}/links`, { body: scene.link ?? {} })).body;
  return { path: new URL(url).pathname, id };
}
const open = (path: string) => door.call(`GET ${path}`, { key: null, headers: browser });
async function post(path: string, fields: Readonly<Record<string, string>> | string, headers: Record<string, string> = browser) {
  const response = await door.app.inject({
    method: 'POST',
    url: path,
    headers: { host: 'localhost:9002', 'content-type': 'application/x-www-form-urlencoded', ...headers },
    payload: typeof fields === 'string' ? fields : new URLSearchParams(fields).toString(),
  });
  return { status: response.statusCode, text: response.body, headers: response.headers };
}
const statusOf = async (id: string) => (await door.call(`GET /v1/approvals/${id}`)).body.status;
const codeIn = ({ status, text }: { status: number; text: string }) => [status, /<code>([A-Z_]+)<\/code>/.exec(text)?.[1]];

describe('a link', () => {
  it('is made for a pending approval, ends with it at the latest, and leaves an audit entry', async () => {
    const { id } = await asked();
    const expiresAtMs = clock.nowMs() + 3_600_000;
    expect(await door.call(`POST /v1/approvals/${id}/links`)).toMatchObject({
      status: 201,
      body: { approvalId: id, expiresAtMs, url: expect.stringMatching(/^http:\/\/localhost:9002\/approve\/lnk_[0-9A-Z]{26}\.[\w-]{43}$/) },
    });
    const { body } = await door.call(`POST /v1/approvals/${id}/links`, { body: { expiresAfterMs: 5_000 } });
    expect(body.expiresAtMs).toBe(clock.nowMs() + 5_000);
    expect((await door.call(`POST /v1/approvals/${id}/links`, { body: { expiresAfterMs: 2_592_000_000 } })).body.expiresAtMs).toBe(
      expiresAtMs,
    );
    expect(door.tables.audit.at(-1)).toEqual({ actor: 'key:first', action: 'approval.link.made', object: id });
  });

  it('has the address that people know, where it is configured', async () => {
    const { id } = await asked();
    Object.assign(door.services, { publicUrl: 'https://hive.example.org/prefix/' });
    const { url } = (await door.call(`POST /v1/approvals/${id}/links`)).body;
    expect(url).toMatch(/^https:\/\/hive\.example\.org\/prefix\/approve\/lnk_/);
  });

  it('is not made for an approval that is decided, is not there, or may not be decided by who asks', async () => {
    const id = await gated({ approval: { excludeRequester: true } });
    const make = (of: string) => door.call(`POST /v1/approvals/${of}/links`);
    expect(await make(id)).toMatchObject({ status: 403, body: { error: { code: 'APPROVER_NOT_ALLOWED' } } });
    expect((await make(id.replace(/0$/, '1'))).status).toBe(404);
    await door.call(`POST /v1/runs/run_${id.slice(4, 30)}/cancel`);
    expect(await make(id)).toMatchObject({ status: 409, body: { error: { code: 'APPROVAL_ALREADY_DECIDED' } } });
    expect(door.tables.links.size).toBe(0);
  });

  it('is kept without its secret', async () => {
    const { path } = await asked();
    const secret = path.split('.')[1] as string;
    expect(secret).toHaveLength(43);
    expect(JSON.stringify([...door.tables.links.values(), door.tables.audit, door.logged])).not.toContain(secret);
  });
});

describe('the page behind a link', () => {
  it('shows what is to be decided without secrets and without markup of its own, and decides nothing', async () => {
    const context = { target: { url: '<script>alert(1)</script>', token: 'tok-12345678', note: declaredSecret } };
    const { path, id } = await asked({ context });
    for (const request of [`GET ${path}`, `HEAD ${path}`, `GET ${path}`])
      expect(await door.call(request, { key: null, headers: browser })).toMatchObject({ status: 200 });
    const { text } = await open(path);
    for (const part of ['May scanner.deploy act?', 'Go?', 'review / scan', '&lt;script&gt;', '[redacted]']) expect(text).toContain(part);
    for (const part of ['<script', 'tok-12345678', declaredSecret, 'src=', 'href=']) expect(text).not.toContain(part);
    expect(await statusOf(id)).toBe('PENDING');
  });

  it('may be framed, cached, indexed and scripted by nobody, and tells no other site its address', async () => {
    const { path } = await asked();
    for (const { headers } of [await open(path), await open(`${path}x`)])
      expect(headers).toMatchObject({
        'content-type': 'text/html; charset=utf-8',
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'same-origin',
        'x-robots-tag': 'noindex',
        'content-security-policy': expect.stringMatching(
          /^default-src 'none'; style-src 'sha256-[^']+'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'$/,
        ),
      });
  });

  it('cuts a long input, and says so', async () => {
    const { path } = await asked({ context: { target: 'x'.repeat(100_000) } });
    const { text } = await open(path);
    expect(text.length).toBeLessThan(80_000);
    expect(text).toContain('more characters');
  });

  it.each([
    ['APPROVED', 'Approved', 'RUNNING'],
    ['REJECTED', 'Rejected', 'FAILED'],
  ])('decides by its buttons: %s', async (decision, title, status) => {
    const { path, id } = await asked();
    const answer = await post(path, { decision, name: ' Ann Lee ', notes: 'looked\r\ntwice' });
    expect(answer).toMatchObject({ status: 200, text: expect.stringContaining(`<h1>${title}</h1>`) });
    expect((await door.call(`GET /v1/approvals/${id}`)).body).toMatchObject({
      status: decision,
      respondedBy: 'Ann Lee via link:first',
      notes: 'looked\ntwice',
    });
    expect((await door.call('GET /v1/runs')).body).toMatchObject([{ status }]);
  });

  it('needs no name and no note', async () => {
    const { path, id } = await asked();
    expect((await post(path, { decision: 'APPROVED', name: '  ', notes: '' })).status).toBe(200);
    const { body } = await door.call(`GET /v1/approvals/${id}`);
    expect(body).toMatchObject({ respondedBy: 'link:first' });
    expect(body.notes).toBeUndefined();
    expect((await door.call('GET /api/approvals')).body).toMatchObject([{ respondedBy: 'link:first' }]);
  });

  it('takes JSON from programs, and answers their errors in JSON', async () => {
    const { path, id } = await asked();
    const json = { accept: 'application/json' };
    expect(await door.call(`POST ${path}`, { key: null, headers: json, body: { decision: 'MAYBE' } })).toMatchObject({
      status: 400,
      body: { error: { code: 'INVALID_REQUEST', issues: [{ path: '/decision' }] } },
    });
    expect((await door.call(`POST ${path}`, { key: null, headers: json, body: { decision: 'APPROVED' } })).status).toBe(200);
    expect(await statusOf(id)).toBe('APPROVED');
    expect(await door.call(`GET ${path}`, { key: null, headers: json })).toMatchObject({
      status: 409,
      body: { error: { code: 'APPROVAL_ALREADY_DECIDED' } },
    });
  });
});

describe('a link that must not decide', () => {
  const approve = { decision: 'APPROVED' };

  it('works once: the same again, the other answer and the page itself are refused', async () => {
    const { path } = await asked();
    await post(path, approve);
    for (const answer of [await post(path, approve), await post(path, { decision: 'REJECTED' }), await open(path)]) {
      expect(codeIn(answer)).toEqual([409, 'APPROVAL_ALREADY_DECIDED']);
      expect(answer.text).toContain('said link:first');
    }
  });

  it('works once, also when it is posted many times at once', async () => {
    const { path } = await asked();
    const answers = await Promise.all(Array.from({ length: 10 }, () => post(path, approve)));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array(9).fill(409)]);
  });

  it('is over when its time is, before the approval’s', async () => {
    const { path, id } = await asked({ link: { expiresAfterMs: 5_000 } });
    await clock.advance(5_000);
    for (const answer of [await open(path), await post(path, approve)]) expect(codeIn(answer)).toEqual([410, 'LINK_EXPIRED']);
    expect(await statusOf(id)).toBe('PENDING');
  });

  it('is over when another one, or another way, decided', async () => {
    const { path, id } = await asked();
    await door.call(`POST /v1/approvals/${id}/decision`, { body: { decision: 'REJECTED' } });
    expect(codeIn(await post(path, approve))).toEqual([409, 'APPROVAL_ALREADY_DECIDED']);
  });

  it('was tampered with: every changed, cut, added or exchanged character is found', async () => {
    const { path, id } = await asked();
    const other = await asked({ context: { target: '/other' } });
    const [mine, theirs] = [path, other.path].map((whole) => whole.split('.')) as [string[], string[]];
    const flipped = (at: number) => `${path.slice(0, at)}${path[at] === 'A' ? 'B' : 'A'}${path.slice(at + 1)}`;
    // The last character of a secret has two bits that mean nothing to a decoder: it is compared as text, so they count too.
    const forged = [
      ...Array.from({ length: path.length - '/approve/lnk_'.length }, (_, index) => flipped('/approve/lnk_'.length + index)),
      path.slice(0, -1),
      `${path}A`,
      `${path}.`,
      path.replace('.', ''),
      `${mine[0]}.`,
      `${mine[0]}.${theirs[1]}`,
      `${theirs[0]}.${mine[1]}`,
      '/approve/lnk_',
      '/approve/.',
    ];
    for (const address of forged) expect(codeIn(await post(address, approve)), address).toEqual([404, 'LINK_INVALID']);
    expect([await statusOf(id), await statusOf(other.id)]).toEqual(['PENDING', 'PENDING']);
  });

  it.each<[string, object]>([
    ['another approval', { approvalId: 'apr_01JD0000000000000000000000.0' }],
    ['another input', { inputSha256: 'f'.repeat(64) }],
    ['a later end', { expiresAtMs: Number.MAX_SAFE_INTEGER }],
    ['another maker', { createdBy: 'key:second' }],
    ['another tenant', { tenantId: 'ten_00000000000000000000000001' }],
  ])('was turned to %s in the database, by somebody who has not its secret', async (_, change) => {
    const { path } = await asked();
    for (const [linkId, link] of door.tables.links) door.tables.links.set(linkId, { ...link, ...change });
    expect(codeIn(await post(path, approve))).toEqual([404, 'LINK_INVALID']);
  });

  it('was made for another payload than the one that waits', async () => {
    const { path, id } = await asked();
    const approval = door.tables.approvals.get(id as never);
    door.tables.approvals.set(id as never, { ...(approval as NonNullable<typeof approval>), inputSha256: 'e'.repeat(64) });
    for (const answer of [await open(path), await post(path, approve)]) expect(codeIn(answer)).toEqual([409, 'APPROVAL_INPUT_CHANGED']);
  });

  it.each([
    ['no decision', ''],
    ['no such decision', 'decision=PERHAPS'],
    ['a decision and its opposite', 'decision=APPROVED&decision=REJECTED'],
    ['a field that is not there', 'decision=APPROVED&surprise=1'],
    ['a name of control characters', 'decision=APPROVED&name=a%07b'],
    ['a name that is too long', `decision=APPROVED&name=${'x'.repeat(101)}`],
    ['U+0000', 'decision=APPROVED&notes=a%00b'],
    ['a key that reaches a prototype', 'decision=APPROVED&__proto__=1'],
    ['bytes that are no UTF-8', Buffer.from([0x61, 0xff]).toString('latin1')],
  ])('is sent a form with %s: nothing is decided', async (_, form) => {
    const { path, id } = await asked();
    const { status, text } = await post(path, form);
    expect([400, 422]).toContain(status);
    expect(text).toContain('<h1>This did not work</h1>');
    expect(await statusOf(id)).toBe('PENDING');
  });
});

it('a link works without keys too, for callers of this machine and pages of this site only', async () => {
  await door[Symbol.asyncDispose]();
  door = await openDoor({ clock, random: seededRandom(2), authentication: 'none' });
  await register(door);
  const { path, id } = await asked();
  expect((await post(path, { decision: 'APPROVED' }, { ...browser, origin: 'https://evil.example' })).status).toBe(421);
  expect((await post(path, { decision: 'APPROVED' }, { ...browser, origin: 'http://localhost:9002' })).status).toBe(200);
  expect((await door.call(`GET /v1/approvals/${id}`)).body.respondedBy).toBe('link:anonymous');
});
