import { describe, expect, it } from 'vitest';
import { type ScriptFile, codeFileOf } from '../code-file.ts';
import { findBlockingCalls } from './requests.ts';
import { findSmells } from './smells.ts';

const scriptOf = (text: string) => codeFileOf('src/a.ts', text) as ScriptFile;

/** [rule, what it finds, what it leaves alone] */
const families: [string, string[], string[]][] = [
  [
    'empty-catch',
    ['try { a() } catch {}', 'try { a() } catch (error) {\n}'],
    ['try { a() } catch { b() }', 'try { a() } catch { /* may be gone already */ }', 'try { a() } catch (e) {\n  // as good as done\n}'],
  ],
  [
    'quadratic-copy',
    ['list.reduce((all, x) => ({ ...all, [x.id]: x }), {})', 'list.reduce((all, x) => [...all, x], [])'],
    [
      'list.reduce((sum, x) => sum + x, 0)',
      'list.reduce((all, x) => ({ ...x, last: all }), {})',
      'list.map((x) => ({ ...x }))',
      'list.reduce(add, 0)',
    ],
  ],
  ['json-clone', ['JSON.parse(JSON.stringify(a))'], ['JSON.parse(text)', 'JSON.stringify(JSON.parse(text))', 'structuredClone(a)']],
  [
    'cookie-flags',
    ['response.cookie("session", id)', 'res.cookie("session", id, { secure: true })', 'reply.setCookie("a", b, { httpOnly: false })'],
    [
      'res.cookie("session", id, { httpOnly: true })',
      'res.cookie("session", id, { ...safe })',
      'res.cookie("session", id, options)',
      'jar.setCookie(a, b)',
    ],
  ],
  [
    'open-cors',
    ['cors({ origin: "*", credentials: true })', 'cors({ origin: true, credentials: true })'],
    ['cors({ origin: "*" })', 'cors({ origin: [site], credentials: true })'],
  ],
  ['open-message', ['parent.postMessage(data, "*")'], ['parent.postMessage(data, origin)', 'worker.postMessage(data)']],
];

describe.each(families)('findSmells for %s', (rule, bad, good) => {
  it.each(bad)('finds %j', (text) => expect(findSmells(scriptOf(text))).toMatchObject([{ rule, file: 'src/a.ts', line: 1 }]));
  it.each(good)('leaves %j alone', (text) => expect(findSmells(scriptOf(text))).toEqual([]));
});

describe('findBlockingCalls', () => {
  it.each([
    'app.get("/", (req, res) => res.send(readFileSync(path)))',
    'function handle(request, response) { fs.writeFileSync(path, "") }',
    'router.use(async (ctx) => { ctx.body = execSync("date") })',
    'createServer((req, res) => { list.forEach(() => crypto.pbkdf2Sync(a, b, 1, 2)) })',
  ])('finds %j', (text) => expect(findBlockingCalls(scriptOf(text))).toMatchObject([{ rule: 'sync-io' }]));

  it.each([
    'const page = readFileSync(path); app.get("/", (req, res) => res.send(page))',
    'function load(path) { return readFileSync(path) }',
    'app.get("/", async (req, res) => res.send(await readFile(path)))',
    'app.get("/", (req, res) => res.send(lookupSync(path)))',
    'list.map((request) => readFileSync(request))',
  ])('leaves %j alone', (text) => expect(findBlockingCalls(scriptOf(text))).toEqual([]));

  it('reports a call once, though one handler lies in another', () => {
    expect(findBlockingCalls(scriptOf('app.use((req, res) => app.get("/", (req, res) => statSync(p)))'))).toHaveLength(1);
  });
});
