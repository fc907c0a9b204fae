import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import semver from 'semver';
import { z } from 'zod';
import type { Hit, Severity } from './finding.ts';

const eventSchema = z.union([
  z.object({ introduced: z.string() }),
  z.object({ fixed: z.string() }),
  z.object({ last_affected: z.string() }),
]);

/** The part of an OSV record that the scanner reads; records from osv.dev fit as they are. */
const advisorySchema = z.object({
  id: z.string(),
  summary: z.string().default(''),
  affected: z.array(
    z.object({
      package: z.object({ ecosystem: z.string(), name: z.string() }),
      ranges: z.array(z.object({ type: z.string(), events: z.array(eventSchema) })).default([]),
      versions: z.array(z.string()).default([]),
    }),
  ),
  database_specific: z.object({ severity: z.string().optional() }).optional(),
});
export type Advisory = z.infer<typeof advisorySchema>;

const advisoryFileSchema = z.union([advisorySchema, z.array(advisorySchema)]);
const lockfileSchema = z.object({
  packages: z.record(z.string(), z.object({ version: z.string().optional(), name: z.string().optional(), link: z.boolean().optional() })),
});

/** Reads every `*.json` of a directory: one OSV record each, or a list of them. */
export const readAdvisories = (directory: string): readonly Advisory[] =>
  readdirSync(directory)
    .filter((name) => name.endsWith('.json'))
    .flatMap((name) => advisoryFileSchema.parse(JSON.parse(readFileSync(join(directory, name), 'utf8'))));

export const isLockfile = (path: string): boolean => /(^|\/)(package-lock|npm-shrinkwrap)\.json$/.test(path);

/** The installed packages of an npm lock file (version 2 or 3) that an advisory names. Another shape gives none. */
export function checkLockfile(text: string, advisories: readonly Advisory[]): readonly Hit[] {
  return installedIn(text).flatMap(({ place, name, version }) =>
    advisories.flatMap((advisory) => {
      const affected = advisory.affected.find(
        (each) => each.package.ecosystem === 'npm' && each.package.name === name && isAffected(version, each),
      );
      if (affected === undefined) return [];
      const fixed = fixFor(version, affected);
      const remedy = fixed === undefined ? 'no fixed version; replace it' : `fixed in ${fixed}`;
      return [
        {
          type: 'dependencies',
          severity: severityOf(advisory),
          offset: Math.max(0, text.indexOf(`${JSON.stringify(place)}:`)),
          description: `${name} ${version}: ${advisory.summary} (${advisory.id}); ${remedy}`,
        } satisfies Hit,
      ];
    }),
  );
}

function installedIn(text: string): { place: string; name: string; version: string }[] {
  const lockfile = lockfileSchema.safeParse(parseJson(text));
  if (!lockfile.success) return [];
  return Object.entries(lockfile.data.packages).flatMap(([place, { version, name, link }]) =>
    place.includes('node_modules/') && link !== true && version !== undefined
      ? [{ place, version, name: name ?? place.slice(place.lastIndexOf('node_modules/') + 13) }]
      : [],
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // a broken lock file is npm's to report
  }
}

type Affected = Advisory['affected'][number];

/** OSV: the ranges are walked event by event; `fixed` ends a range before its version, `last_affected` after it. */
function isAffected(version: string, { ranges, versions }: Affected): boolean {
  if (versions.includes(version)) return true;
  if (semver.valid(version) === null) return false;
  return ranges
    .filter(({ type }) => type === 'SEMVER')
    .some(({ events }) =>
      events.reduce((inside, event) => {
        if ('introduced' in event) return inside || event.introduced === '0' || semver.gte(version, event.introduced);
        return inside && ('fixed' in event ? semver.lt(version, event.fixed) : semver.lte(version, event.last_affected));
      }, false),
    );
}

/** The nearest later version that is fixed. */
const fixFor = (version: string, { ranges }: Affected): string | undefined =>
  ranges
    .flatMap(({ events }) => events.flatMap((event) => ('fixed' in event ? [event.fixed] : [])))
    .filter((fixed) => semver.valid(version) !== null && semver.gt(fixed, version))
    .sort(semver.compare)[0];

function severityOf({ database_specific }: Advisory): Severity {
  const word = database_specific?.severity?.toLowerCase();
  return word === 'critical' || word === 'high' || word === 'low' ? word : 'medium';
}
