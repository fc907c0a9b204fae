import { type Dependency, dependenciesOf, readManifest } from './dependency.ts';
import { type LicenseClass, classifyLicense } from './license-class.ts';
import type { RuleGroup, Subject, Violation } from './violation.ts';

const licenseFile = /^(licen[cs]es?|copying|unlicen[cs]e)([.-].*)?$/i;

/** Whether the repository says under which licence it stands, and what those of its dependencies ask. */
export const licenseRules: RuleGroup = {
  rules: ['license-file-missing', 'license-copyleft', 'license-weak-copyleft', 'license-unlisted', 'license-missing'],
  apply: (subject) => [
    ...ownLicense(subject),
    ...dependenciesOf(subject).flatMap((dependency) => judge(dependency, subject.isStrict) ?? []),
  ],
};

function ownLicense(subject: Subject): Violation[] {
  const isThere = subject.tree.paths.some((path) => licenseFile.test(path.split('/')[0] ?? ''));
  const isProprietary = subject.tree.paths.includes('package.json') && readManifest(subject, 'package.json')?.license === 'UNLICENSED';
  if (isThere || isProprietary) return [];
  return [
    {
      rule: 'license-file-missing',
      severity: 'warning',
      file: 'LICENSE',
      message: 'The repository has no licence file: nobody may use, change or share it.',
      remediation: 'Add a LICENSE file; a private work says "license": "UNLICENSED" in package.json.',
    },
  ];
}

type Judgement = Pick<Violation, 'rule' | 'severity' | 'message' | 'remediation'>;

/** A dependency that only development needs is not shipped: what it asks is worth knowing, no more. */
export function judge(dependency: Dependency, isStrict: boolean): Violation | undefined {
  const judgement = dependency.license === undefined ? missing(dependency) : judgeStated(dependency, dependency.license, isStrict);
  if (judgement === undefined) return undefined;
  const { file, line, isProduction } = dependency;
  const severity = isProduction || isStrict ? judgement.severity : 'info';
  const message = isProduction ? judgement.message : `${judgement.message} Only development needs it.`;
  return { ...judgement, severity, file, ...(line !== undefined && { line }), message };
}

function judgeStated(dependency: Dependency, license: string, isStrict: boolean): Judgement | undefined {
  const { expression, licenseClass } = classifyLicense(license);
  return judgements[licenseClass](titleOf(dependency), expression, isStrict);
}

const judgements: Record<LicenseClass, (title: string, license: string, isStrict: boolean) => Judgement | undefined> = {
  permissive: () => undefined,
  weak: (title, license, isStrict) => ({
    rule: 'license-weak-copyleft',
    severity: isStrict ? 'warning' : 'info',
    message: `${title} is under ${license}: changes to its own files must be published.`,
    remediation: 'Use it unchanged, or publish your changes to it.',
  }),
  unlisted: (title, license) => ({
    rule: 'license-unlisted',
    severity: 'warning',
    message: `${title} states the licence ${JSON.stringify(license.slice(0, 100))}, which is not on the list of known permissive ones.`,
    remediation: 'Read the licence, and replace the package if its terms do not fit.',
  }),
  copyleft: (title, license) => ({
    rule: 'license-copyleft',
    severity: 'critical',
    message: `${title} is under ${license}: who gets your work may demand the source of all of it.`,
    remediation: 'Replace the package, obtain another licence from its authors, or publish your work under the same one.',
  }),
};

const missing = (dependency: Dependency): Judgement => ({
  rule: 'license-missing',
  severity: 'warning',
  message: `${titleOf(dependency)} states no licence, so nobody but its authors may use it.`,
  remediation: 'Look for a licence in its repository and ask the authors to state it, or replace the package.',
});

const titleOf = ({ name, version }: Dependency): string => `${name}@${version}`;
