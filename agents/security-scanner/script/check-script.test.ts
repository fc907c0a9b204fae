import { describe, expect, it } from 'vitest';
import { sourceOf } from '../source.ts';
import { checkScript } from './check-script.ts';

const typesIn = (text: string, path = 'a.ts') => checkScript(sourceOf(path, text)).map(({ type }) => type);
const exec = `import { exec, execFile, spawn } from 'node:child_process';\n`;
const files = `import { readFile } from 'node:fs/promises';\nimport fs from 'fs';\n`;

/** [rule, what it finds, what it leaves alone] */
const families: [string, string[], string[]][] = [
  [
    'code-injection',
    ['eval(input)', 'window.eval("f" + name)', 'new Function("a", body)', 'setTimeout("run(" + id + ")", 5)'],
    [
      'eval("1 + 1")',
      'const source = "return 1"; new Function(source)',
      'setTimeout(() => run(id), 5)',
      'setTimeout(run, 5)',
      'class Function {} new Function(a, b)',
      '// eval(input)',
      'math.eval(input)',
    ],
  ],
  [
    'command-injection',
    [
      `${exec}exec(\`ls \${folder}\`)`,
      `${exec}exec("ls " + folder)`,
      `${exec}function run(command) { exec(command); }`,
      `const { execSync } = require('child_process'); execSync('ls ' + folder)`,
      `import * as cp from 'child_process'; cp.execSync(\`ls \${folder}\`)`,
      `${exec}import { promisify } from 'util'; const run = promisify(exec); run('ls ' + folder)`,
      `${exec}spawn('ls', [folder], { shell: true })`,
    ],
    [
      `${exec}exec('ls -l')`,
      `${exec}const folder = 'src'; exec(\`ls \${folder}\`)`,
      `${exec}execFile('ls', [folder])`,
      `${exec}spawn('ls -l', { shell: true })`,
      '/a+/.exec(text)',
      'database.exec(`ls ${folder}`)',
    ],
  ],
  [
    'sql-injection',
    [
      'db.query(`SELECT * FROM users WHERE id = ${id}`)',
      `db.query("SELECT * FROM users WHERE name = '" + name + "'")`,
      `db.query("DELETE FROM users WHERE name LIKE '%" + name + "%'")`,
      'db.query(`INSERT INTO users (id, name) VALUES (${id}, ${name})`)',
      'db.query(`UPDATE users SET name = ${name} WHERE id = $1`, [id])',
      'db.query(`SELECT * FROM users ORDER BY ${request.query.order}`)',
      'const { order } = request.query; db.query(`SELECT * FROM users ORDER BY ${order}`)',
    ],
    [
      'db.query("SELECT * FROM users WHERE id = $1", [id])',
      'sql`SELECT * FROM users WHERE id = ${id}`',
      'const table = "users"; db.query(`SELECT * FROM ${table} WHERE id = $1`, [id])',
      'const columns = ["id", "name"]; db.query(`SELECT ${columns.join(", ")} FROM users`)',
      'import { USER_COLUMNS } from "./columns.ts"; db.query(`SELECT ${USER_COLUMNS} FROM users`)',
      'db.query(`SELECT * FROM users WHERE id IN (${ids.map((_, i) => `$${i + 1}`).join(",")})`, ids)',
      'db.query(`SELECT * FROM users WHERE id = $${values.length}`)',
      'db.query(`SELECT * FROM users WHERE id = ${Number(id)}`)',
      'db.query(`SELECT * FROM users WHERE name = ${pg.escapeLiteral(name)}`)',
      'db.query(`SELECT * FROM ${tables[kind]} WHERE id = $1`, [id])',
      'log(`select a colour from ${list}`)',
    ],
  ],
  [
    'xss',
    [
      'element.innerHTML = name',
      'element.innerHTML += `<b>${name}</b>`',
      'element.insertAdjacentHTML("beforeend", row)',
      'document.write(location.hash)',
      'const a = <div dangerouslySetInnerHTML={{ __html: text }} />',
      'response.send(`<h1>${request.query.name}</h1>`)',
    ],
    [
      'element.innerHTML = ""',
      'element.innerHTML = `<b>${escapeHtml(name)}</b>`',
      'const clean = DOMPurify.sanitize(text); element.innerHTML = clean',
      'element.textContent = name',
      'const a = <div dangerouslySetInnerHTML={{ __html: "<hr>" }} />',
      'stream.write(chunk)',
      'response.send(`<h1>${title}</h1>`)',
    ],
  ],
  [
    'weak-crypto',
    [
      'createHash("md5")',
      'crypto.createHash("SHA1")',
      'const kind = "md5"; createHash(kind)',
      'subtle.digest("SHA-1", data)',
      'createCipheriv("aes-128-ecb", k, null)',
      'createCipheriv("des-ede3", k, v)',
      'createCipher("aes192", k)',
    ],
    ['createHash("sha256")', 'createHash(kind)', 'createHmac("sha1", k)', 'createCipheriv("aes-256-gcm", k, v)', 'digest("hex")'],
  ],
  [
    'insecure-random',
    [
      'const token = Math.random().toString(36)',
      'function newPassword() { return pick(Math.random()); }',
      'user.sessionId = Math.random()',
    ],
    [
      'const delayMs = 100 * Math.random()',
      'const maxTokens = Math.random()',
      'const token = randomUUID()',
      'function tokenize() { return Math.random(); }',
    ],
  ],
  [
    'tls-verification',
    ['new Agent({ rejectUnauthorized: false })', 'process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0"', 'request({ "strictSSL": false })'],
    ['new Agent({ rejectUnauthorized: true })', 'const isOff = process.env.NODE_TLS_REJECT_UNAUTHORIZED === "0"'],
  ],
  [
    'path-traversal',
    [
      `${files}readFile(request.params.name)`,
      `${files}fs.createReadStream(path.join(root, req.query.file))`,
      `${files}const { name } = req.params; readFile(\`\${root}/\${name}\`)`,
      'res.sendFile(root + req.params.name)',
      `${files}readFile(root + req.query?.name)`,
    ],
    [
      `${files}readFile(path.join(root, path.basename(req.params.name)))`,
      `${files}readFile(path.join(root, name))`,
      'res.sendFile(root + "index.html")',
      'cache.readFile(req.params.name)',
    ],
  ],
];

describe.each(families)('checkScript for %s', (type, bad, good) => {
  it.each(bad)('finds %s', (text) => expect(typesIn(text, 'a.tsx')).toEqual([type]));
  it.each(good)('leaves %s alone', (text) => expect(typesIn(text, 'a.tsx')).toEqual([]));
});

describe('checkScript', () => {
  it('reports a text put together in many pieces once, at its start', () => {
    const text = 'const q =\n  "SELECT a FROM t WHERE b = \'" + b + "\' AND c = \'" + c + "\'";';
    expect(checkScript(sourceOf('a.js', text))).toMatchObject([{ offset: text.indexOf('"SELECT') }]);
  });

  it('reads as far as it can where the syntax is broken', () => expect(typesIn('const = ; }} eval(input)')).toEqual(['code-injection']));

  it('bears long chains and deep nesting', () => {
    const chain = Array.from({ length: 20_000 }, () => '"x"').join(' + ');
    expect(typesIn(`eval(${chain} + input)`)).toEqual(['code-injection']);
    expect(typesIn(`eval(${chain})`)).toEqual([]);
    expect(typesIn(`a${'.b()'.repeat(20_000)}; eval(input)`)).toEqual(['code-injection']);
    expect(typesIn(`${'f('.repeat(20_000)}eval(input)`)).toEqual([]);
  });

  it('does not take one hole after another for a placeholder', () => {
    expect(typesIn('db.query(`SELECT * FROM users WHERE ${request.query.column}${request.query.value}`)')).toEqual(['sql-injection']);
  });

  it('does not trust a name that is declared twice', () => {
    expect(typesIn('const code = "1"; function run(code) { eval(code); }')).toEqual(['code-injection']);
  });
});
