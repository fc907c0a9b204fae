import { describe, expect, it } from 'vitest';
import { factsOf } from './server-facts.ts';

describe('a file that starts a server', () => {
  it.each([
    ['express', "import express from 'express';\nconst app = express();"],
    ['express', "const express = require('express');\nconst app = express();"],
    ['fastify', "import { fastify } from 'fastify';\nconst app = fastify({ logger: true });"],
    ['fastify', "import Fastify, { type FastifyInstance } from 'fastify';\nconst app = Fastify();"],
    ['koa', "import Koa from 'koa';\nconst app = new Koa();"],
    ['node:http', "import { createServer as serve } from 'node:http';\nserve(handle).listen(80);"],
    ['node:http', "import * as http from 'http';\nhttp.createServer(handle).listen(80, '0.0.0.0');"],
    ['node:https', "const { createServer } = require('https');\ncreateServer(handle);"],
  ])('is recognised: %s in %j', (library, text) => {
    expect(factsOf('a.ts', text)).toEqual({ server: { library, line: 2 }, setsHeaders: false });
  });

  it.each([
    ['a comment', "// import express from 'express'; express()"],
    ['a string', 'const text = "const app = require(\'express\')()";'],
    ['a type', "import type { Express } from 'express'; function express(): void {} express();"],
    ['a router', "import { Router } from 'express'; const router = Router();"],
    ['a client', "import http from 'node:http'; http.get('http://example.com');"],
    ['a TCP server', "import { createServer } from 'node:net'; createServer().listen(80);"],
    ['a server for this machine alone', "import { createServer } from 'node:http'; createServer().listen(0, '127.0.0.1');"],
    [
      'a server for this machine alone, by options',
      "import fastify from 'fastify'; const app = fastify(); await app.listen({ port: 0, host: 'localhost' });",
    ],
  ])('is not seen in %s', (_name, text) => {
    expect(factsOf('a.ts', text).server).toBeUndefined();
  });

  it.each([
    ['brackets', '('.repeat(50_000)],
    ['a long sum', `express; const a = ${'1+'.repeat(50_000)}1;`],
  ])('is looked for without falling over code that nests without end: %s', (_name, text) => {
    expect(factsOf('a.js', text)).toEqual({ setsHeaders: false });
  });

  it('is reported where it listens both here and for others', () => {
    const text = "import { createServer } from 'node:http'; createServer().listen(0, '127.0.0.1'); createServer().listen(80);";
    expect(factsOf('a.ts', text).server).toMatchObject({ library: 'node:http' });
  });
});

describe('a file that sets headers', () => {
  it.each([
    "import helmet from 'helmet';",
    "const helmet = require('@fastify/helmet');",
    "reply.header('Content-Security-Policy', policy);",
    "const headers = { 'strict-transport-security': 'max-age=1' };",
  ])('is recognised: %s', (text) => {
    expect(factsOf('a.js', text).setsHeaders).toBe(true);
  });

  it('is not one that only speaks of them', () => {
    expect(factsOf('a.js', '// Content-Security-Policy, helmet').setsHeaders).toBe(false);
  });
});
