import type { Hit } from '../finding.ts';
import type { Source } from '../source.ts';
import type { Check } from './check.ts';
import { checkCodeInjection, checkCommandInjection } from './commands.ts';
import { checkCipher, checkRandom, checkTls } from './crypto.ts';
import { checkPath } from './files.ts';
import { checkMarkup } from './markup.ts';
import { parseScript, visit } from './script.ts';
import { checkSql } from './sql.ts';

const checks: readonly Check[] = [
  checkCodeInjection,
  checkCommandInjection,
  checkSql,
  checkMarkup,
  checkCipher,
  checkRandom,
  checkTls,
  checkPath,
];

/**
 * Every check on every node of a JavaScript or TypeScript file; broken syntax is read as far as it goes, code nested
 * too deeply not at all.
 */
export function checkScript({ path, text }: Source): readonly Hit[] {
  const script = parseScript(path, text);
  if (script === undefined) return [];
  const hits: Hit[] = [];
  visit(script.file, (node) => {
    for (const check of checks) {
      const verdict = check(node, script);
      if (verdict !== undefined) hits.push({ ...verdict, offset: node.getStart() });
    }
  });
  return hits;
}
