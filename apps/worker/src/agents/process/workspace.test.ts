import { describe, expect, it } from 'vitest';
import { hiddenIn, isProtected, waysTo } from './workspace.ts';

const workspace = { roots: ['/w', '/w/a/data/reports', '/other'], protectedDirectories: ['/w/a/data'], isSealed: () => false };
const read = (path: string) => ({ path, access: 'read' }) as const;
const write = (path: string) => ({ path, access: 'write' }) as const;

describe('a protected directory', () => {
  it.each(['/w/a/data', '/w/a/data/admin.key', '/w/a/data/postgres/secrets.json', '/w/a/data/reports-not'])('keeps %s', (path) =>
    expect(isProtected(path, workspace)).toBe(true),
  );

  it.each(['/w', '/w/a', '/w/a/data-not', '/w/a/data/reports', '/w/a/data/reports/today', '/other'])('leaves %s open', (path) =>
    expect(isProtected(path, workspace)).toBe(false),
  );

  it('is not opened by a root that is the same directory', () => {
    expect(isProtected('/data/admin.key', { roots: ['/data'], protectedDirectories: ['/data'] })).toBe(true);
  });

  it('is hidden in whatever it lies in, and nowhere else', () => {
    expect(hiddenIn([read('/w')], workspace)).toEqual(['/w/a/data']);
    expect(hiddenIn([read('/x'), write('/w/a')], workspace)).toEqual(['/w/a/data']);
    expect(hiddenIn([read('/w/a/dat'), write('/w/a/data/reports')], workspace)).toEqual([]);
  });

  it('has no directory above it that an agent could rename', () => {
    expect(waysTo(['/w/a/b/data'], [write('/w')])).toEqual([write('/w/a/b'), write('/w/a')]);
    expect(waysTo(['/w/a/b/data'], [write('/w/a/b')])).toEqual([]);
    expect(waysTo(['/w/a/b/data'], [read('/w')])).toEqual([]);
  });
});
