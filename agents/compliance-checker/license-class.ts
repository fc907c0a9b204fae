import correct from 'spdx-correct';
import parse, { type Info } from 'spdx-expression-parse';

/**
 * What a licence asks of those who ship the work: `permissive` a notice; `weak` the source of changed files; `unlisted`
 * something that a person must read; `copyleft` the source of everything. From the least to the most.
 */
export const licenseClasses = ['permissive', 'weak', 'unlisted', 'copyleft'] as const;
/** One of {@link licenseClasses}. */
export type LicenseClass = (typeof licenseClasses)[number];

const permissive = new Set([
  '0BSD',
  'AFL-2.1',
  'AFL-3.0',
  'Apache-1.1',
  'Apache-2.0',
  'Artistic-2.0',
  'BlueOak-1.0.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'BSD-3-Clause-Clear',
  'BSL-1.0',
  'CC-BY-3.0',
  'CC-BY-4.0',
  'CC0-1.0',
  'ISC',
  'MIT',
  'MIT-0',
  'MIT-CMU',
  'NCSA',
  'OFL-1.1',
  'PostgreSQL',
  'PSF-2.0',
  'Python-2.0',
  'Unicode-3.0',
  'Unicode-DFS-2016',
  'Unlicense',
  'UPL-1.0',
  'W3C',
  'WTFPL',
  'X11',
  'Zlib',
  'ZPL-2.1',
]);
const weak = /^(LGPL|MPL|EPL|CDDL|CPL|MS-RL|ErlPL|IPL)-/;
const copyleft = /^(AGPL|GPL|SSPL|OSL|EUPL|RPL|CC-BY-SA|CPAL|QPL|Sleepycat|Watcom)(-|$)/;

/** The licence as SPDX writes it, and its class. A text that is no licence is `unlisted` as it stands. */
export function classifyLicense(text: string): { readonly expression: string; readonly licenseClass: LicenseClass } {
  const expression = asExpression(text);
  const parsed = expression === undefined ? undefined : parseOrNothing(expression);
  return { expression: expression ?? text, licenseClass: parsed === undefined ? 'unlisted' : classOf(parsed) };
}

/** Old and sloppy spellings are corrected, but not the two texts with which npm says "none" and "read it yourself". */
function asExpression(text: string): string | undefined {
  if (parseOrNothing(text) !== undefined) return text;
  return /^(|UNLICENSED|SEE LICEN[CS]E IN .*)$/i.test(text.trim()) ? undefined : (correct(text) ?? undefined);
}

function parseOrNothing(expression: string): Info | undefined {
  try {
    return parse(expression);
  } catch {
    return undefined;
  }
}

/** Of a choice the user takes the mildest; of a conjunction the strictest holds. */
function classOf(info: Info): LicenseClass {
  if (!('conjunction' in info)) return classOfLicense(info.license, info.exception !== undefined);
  const ranks = [info.left, info.right].map((side) => licenseClasses.indexOf(classOf(side)));
  return licenseClasses[info.conjunction === 'or' ? Math.min(...ranks) : Math.max(...ranks)] ?? 'unlisted';
}

function classOfLicense(id: string, hasException: boolean): LicenseClass {
  if (permissive.has(id)) return 'permissive';
  if (weak.test(id)) return 'weak';
  if (!copyleft.test(id)) return 'unlisted';
  // An exception is there to allow linking, which is what keeps the rest of the work free.
  return hasException ? 'weak' : 'copyleft';
}
