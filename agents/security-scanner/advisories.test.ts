import { fileURLToPath } from 'node:url';
import semver from 'semver';
import { describe, expect, it } from 'vitest';
import { type Advisory, checkLockfile, isLockfile, readAdvisories } from './advisories.ts';

const bundled = readAdvisories(fileURLToPath(new URL('advisories', import.meta.url)));
const lockfile = (packages: Record<string, object>) => JSON.stringify({ lockfileVersion: 3, packages }, null, 2);
const found = (packages: Record<string, object>, advisories: readonly Advisory[] = bundled) =>
  checkLockfile(lockfile(packages), advisories).map(({ description }) => description);

const twoLines: Advisory = {
  id: 'TEST-1',
  summary: 'breaks',
  affected: [
    {
      package: { ecosystem: 'npm', name: 'parcel' },
      ranges: [
        { type: 'SEMVER', events: [{ introduced: '1.0.0' }, { fixed: '1.2.0' }, { introduced: '2.0.0' }, { last_affected: '2.3.0' }] },
      ],
      versions: ['0.0.9'],
    },
  ],
};

describe('checkLockfile', () => {
  it('names a vulnerable package, its advisory and the version that mends it, at its line', () => {
    const text = lockfile({ '': { name: 'app' }, 'node_modules/ws': { version: '7.5.9' } });
    expect(checkLockfile(text, bundled)).toEqual([
      {
        type: 'dependencies',
        severity: 'high',
        offset: text.indexOf('"node_modules/ws"'),
        description: 'ws 7.5.9: a request with more headers than allowed ends the server (CVE-2024-37890); fixed in 7.5.10',
      },
    ]);
  });

  it('leaves mended, unknown, linked and own packages alone', () => {
    expect(
      found({
        '': { name: 'lodash', version: '4.0.0' },
        'node_modules/lodash': { version: '4.17.21' },
        'node_modules/ws': { version: '8.18.0' },
        'node_modules/other': { version: '0.0.1' },
        'node_modules/minimist': { version: '0.0.1', link: true },
        'packages/minimist': { version: '0.0.1' },
      }),
    ).toEqual([]);
  });

  it('reads nested, scoped and renamed packages', () => {
    const packages = {
      'node_modules/@x/a/node_modules/minimist': { version: '1.2.5' },
      'node_modules/args': { name: 'minimist', version: '1.2.5' },
      'node_modules/@x/minimist': { version: '1.2.5' },
    };
    expect(found(packages)).toHaveLength(2);
  });

  it.each([
    ['0.0.9', true],
    ['0.9.0', false],
    ['1.0.0', true],
    ['1.1.9', true],
    ['1.2.0', false],
    ['1.9.0', false],
    ['2.0.0-rc.1', false],
    ['2.3.0', true],
    ['2.3.1', false],
    ['not-a-version', false],
  ])('walks the events of a range: %s is affected: %s', (version, isAffected) => {
    expect(found({ 'node_modules/parcel': { version } }, [twoLines])).toHaveLength(isAffected ? 1 : 0);
  });

  it.each(['', '{', '[]', '{"lockfileVersion":1,"dependencies":{}}'])('finds nothing in %j, which is no lock file it knows', (text) => {
    expect(checkLockfile(text, bundled)).toEqual([]);
  });
});

describe('the bundled advisories', () => {
  it('each name a fixed version above the introduced one', () => {
    const ranges = bundled.flatMap(({ affected }) => affected.flatMap((each) => each.ranges));
    expect(ranges.length).toBeGreaterThan(20);
    for (const { events } of ranges) {
      const [first, second] = events.map((event) => Object.values(event)[0] ?? '');
      expect(semver.gt(second ?? '', first === '0' ? '0.0.0' : (first ?? ''))).toBe(true);
    }
  });

  it('are each listed once', () => expect(new Set(bundled.map(({ id }) => id)).size).toBe(bundled.length));
});

it.each([
  ['package-lock.json', true],
  ['a/npm-shrinkwrap.json', true],
  ['package.json', false],
])('tells lock files apart: %s', (path, expected) => {
  expect(isLockfile(path)).toBe(expected);
});
