import { describe, expect, it } from 'vitest';
import { classifyLicense } from './license-class.ts';
import { judge } from './licenses.ts';
import { productionNames } from './production.ts';

describe('what a licence asks', () => {
  it.each([
    ['MIT', 'permissive', 'MIT'],
    ['Apache 2.0', 'permissive', 'Apache-2.0'],
    ['MPL-2.0', 'weak', 'MPL-2.0'],
    ['LGPL-3.0-or-later', 'weak', 'LGPL-3.0-or-later'],
    ['GPL-3.0', 'copyleft', 'GPL-3.0'],
    ['GPLv2', 'copyleft', 'GPL-2.0-only'],
    ['AGPL-3.0-only', 'copyleft', 'AGPL-3.0-only'],
    ['GPL-2.0-only WITH Classpath-exception-2.0', 'weak', 'GPL-2.0-only WITH Classpath-exception-2.0'],
    ['(MIT OR GPL-3.0-only)', 'permissive', '(MIT OR GPL-3.0-only)'],
    ['MIT AND GPL-3.0-only', 'copyleft', 'MIT AND GPL-3.0-only'],
    ['(MIT AND CC-BY-3.0)', 'permissive', '(MIT AND CC-BY-3.0)'],
    ['BUSL-1.1', 'unlisted', 'BUSL-1.1'],
    ['UNLICENSED', 'unlisted', 'UNLICENSED'],
    ['SEE LICENSE IN LICENSE.md', 'unlisted', 'SEE LICENSE IN LICENSE.md'],
    ['', 'unlisted', ''],
  ])('%j is %s', (text, licenseClass, expression) => {
    expect(classifyLicense(text)).toEqual({ licenseClass, expression });
  });
});

describe('the judgement on a dependency', () => {
  const dependency = { name: 'left-pad', version: '1.0.0', isProduction: true, file: 'node_modules/left-pad/package.json' };

  it.each([
    ['GPL-3.0-only', 'critical', 'license-copyleft'],
    ['MPL-2.0', 'info', 'license-weak-copyleft'],
    ['BUSL-1.1', 'warning', 'license-unlisted'],
    [undefined, 'warning', 'license-missing'],
  ])('under %s is %s', (license, severity, rule) => {
    expect(judge({ ...dependency, ...(license !== undefined && { license }) }, false)).toMatchObject({
      severity,
      rule,
      file: dependency.file,
    });
  });

  it('is nothing for a permissive licence', () => {
    expect(judge({ ...dependency, license: 'ISC' }, true)).toBeUndefined();
  });

  it('is only information where the package is not shipped, but not in strict mode', () => {
    const forDevelopment = { ...dependency, isProduction: false, license: 'GPL-3.0-only' };
    expect(judge(forDevelopment, false)).toMatchObject({ severity: 'info', message: expect.stringContaining('Only development needs it') });
    expect(judge(forDevelopment, true)).toMatchObject({ severity: 'critical' });
  });
});

describe('what ships', () => {
  const asking = (...names: string[]) => ({
    dependencies: Object.fromEntries(names.map((name) => [name, '*'])),
    optionalDependencies: {},
    peerDependencies: {},
  });

  it('is what the project needs, directly or through others, also in a circle', () => {
    const installed = [
      { name: 'a', manifest: asking('b') },
      { name: 'b', manifest: asking('a', 'c') },
      { name: 'tool', manifest: asking('helper') },
    ];
    expect([...productionNames([asking('a')], installed)].sort()).toEqual(['a', 'b', 'c']);
  });
});
