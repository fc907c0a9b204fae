#!/usr/bin/env node
// Plain JavaScript, so that an older Node gets as far as starting the one that comes with the project.
import module from 'node:module';
import { fileURLToPath } from 'node:url';

if (Number(process.versions.node.split('.')[0]) >= 24) {
  module.enableCompileCache();
  const { runProcess } = await import('../src/main.ts');
  await runProcess();
} else {
  const { findNode, runInPlace } = await import('../../../scripts/project-node.mjs');
  const node = findNode();
  if (node === undefined) {
    process.stderr.write(`hive needs Node 24; this is ${process.version}, and the project's own is not installed.\n\nNext: npm ci\n`);
    process.exit(1);
  }
  runInPlace(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)]);
}
