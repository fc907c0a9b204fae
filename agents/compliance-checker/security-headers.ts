import { isGenerated, isTest } from '@hivekeeper/sdk/source-tree';
import { projectFolders } from './dependency.ts';
import { type FileFacts, factsOf } from './server-facts.ts';
import type { RuleGroup, Subject, Violation } from './violation.ts';

const scriptName = /\.[cm]?[jt]sx?$/;
const notServed = /(^|\/)(examples?|benchmarks?|bench|demos?)\//;
const worthParsing = /\b(express|fastify|koa|https?|http2|helmet)\b|content-security-policy|strict-transport-security/i;

/** Whether a web server that others can reach sends the headers that protect a browser. */
export const securityHeaderRules: RuleGroup = {
  rules: ['security-headers-missing'],
  apply: (subject) => [...Map.groupBy(servingFiles(subject), ({ project }) => project).values()].flatMap((files) => judge(files) ?? []),
};

interface ServingFile extends FileFacts {
  readonly path: string;
  /** The folder of the nearest package.json: a server and its headers may stand in different files of one project. */
  readonly project: string;
}

function servingFiles(subject: Subject): ServingFile[] {
  const projects = projectFolders(subject).sort((a, b) => b.length - a.length);
  return subject.tree.paths
    .filter((path) => scriptName.test(path) && !isTest(path) && !isGenerated(path) && !notServed.test(path))
    .flatMap((path) => {
      const text = subject.read(path);
      if (text === undefined || !worthParsing.test(text)) return [];
      return [{ path, project: projects.find((folder) => path.startsWith(folder)) ?? '', ...factsOf(path, text) }];
    });
}

/** One violation per project, at its first server. */
function judge(files: readonly ServingFile[]): Violation | undefined {
  if (files.some(({ setsHeaders }) => setsHeaders)) return undefined;
  const file = files.find(({ server }) => server !== undefined);
  if (file?.server === undefined) return undefined;
  return {
    rule: 'security-headers-missing',
    severity: 'warning',
    file: file.path,
    line: file.server.line,
    message: `A server (${file.server.library}) is started, but nothing in this project sets Content-Security-Policy or Strict-Transport-Security.`,
    remediation: `Use ${remedies[file.server.library] ?? 'the helmet package'}, or set the headers yourself.`,
  };
}

const remedies: Readonly<Record<string, string>> = { express: 'helmet', fastify: '@fastify/helmet', koa: 'koa-helmet' };
