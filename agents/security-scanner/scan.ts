import { fileURLToPath } from 'node:url';
import { reportProgress } from '@hivekeeper/sdk';
import { type Skipped, type SourceTree, isGenerated, listSourceTree, readSource, skippedIn } from '@hivekeeper/sdk/source-tree';
import { type Advisory, checkLockfile, isLockfile, readAdvisories } from './advisories.ts';
import { type Finding, type Hit, rankOf, severities } from './finding.ts';
import type { ScanInput } from './input.ts';
import { checkScript } from './script/check-script.ts';
import { scriptExtensions } from './script/script.ts';
import { type SecretHit, findSecrets, redact } from './secrets/secrets.ts';
import { lineAt, lineNumbers, maxLineLength, sourceOf } from './source.ts';
import { checkText } from './text-rules.ts';

export interface ScanOutput {
  readonly findings: readonly Finding[];
  readonly summary: Readonly<Record<'total' | Finding['severity'], number>> & { readonly skipped?: number };
  readonly scannedFiles: number;
  readonly scanDurationMs: number;
  /** The first of what could not be looked at; `summary` counts all. */
  readonly skipped?: readonly Skipped[];
  /** Present where `findings` holds the worst {@link maxFindings} only; `summary` counts all. */
  readonly truncated?: true;
}

/** Keeps the answer well below the bound on an agent's output. */
const maxFindings = 5_000;
const maxLockfileBytes = 20_000_000;
const maxCodeLength = 200;
const advisoryDirectory = fileURLToPath(new URL('advisories', import.meta.url));

/** Looks at every file of the target; the worst findings come first. */
export async function scan(input: ScanInput): Promise<ScanOutput> {
  const startedAtMs = performance.now();
  const tree = await listSourceTree(input.target);
  const advisories = wants(input, 'dependencies') ? readAdvisories(advisoryDirectory) : [];
  const findings: Finding[] = [];
  let scannedFiles = 0;
  for (const path of tree.paths) {
    const found = scanFile(tree, path, advisories);
    if (found === undefined) continue;
    for (const finding of found) if (isWanted(finding, input)) findings.push(finding);
    scannedFiles += 1;
    if (scannedFiles % 500 === 0) reportProgress({ scannedFiles, findings: findings.length });
  }
  findings.sort((a, b) => rankOf(b.severity) - rankOf(a.severity) || a.file.localeCompare(b.file) || a.line - b.line);
  return {
    findings: findings.slice(0, maxFindings),
    summary: { ...summaryOf(findings), ...(tree.skipped.length > 0 && { skipped: tree.skipped.length }) },
    scannedFiles,
    scanDurationMs: Math.round(performance.now() - startedAtMs),
    ...skippedIn(tree),
    ...(findings.length > maxFindings && { truncated: true }),
  };
}

const wants = ({ scanType }: ScanInput, type: Finding['type']): boolean => scanType === 'all' || scanType === type;

const isWanted = ({ type, severity }: Finding, input: ScanInput): boolean =>
  wants(input, type) && (input.severity === undefined || rankOf(severity) >= rankOf(input.severity));

/** The findings of one file; nothing where it is not read: binary, too large, generated. */
function scanFile(tree: SourceTree, path: string, advisories: readonly Advisory[]): Finding[] | undefined {
  if (isLockfile(path)) {
    const text = readSource(tree, path, maxLockfileBytes);
    return text === undefined ? undefined : toFindings({ path, text, hits: checkLockfile(text, advisories), secrets: [] });
  }
  const text = isGenerated(path) ? undefined : readSource(tree, path);
  if (text === undefined) return undefined;
  const source = sourceOf(path, text);
  const secrets = findSecrets(source);
  // Tests call dangerous things on purpose and are not shipped.
  const code = source.isTest ? [] : scriptExtensions.has(source.extension) ? checkScript(source) : checkText(source);
  return toFindings({ path, text, hits: [...secrets, ...code], secrets });
}

/** One finding for a rule and a line, however often it fails there. */
function toFindings({
  path,
  text,
  hits,
  secrets,
}: {
  path: string;
  text: string;
  hits: readonly Hit[];
  secrets: readonly SecretHit[];
}): Finding[] {
  const lineOf = lineNumbers(text);
  const findings = new Map<string, Finding>();
  for (const { type, severity, offset, description } of hits) {
    const line = lineOf(offset);
    const code = excerptOf(lineAt(text, offset), secrets);
    findings.set(`${line} ${description}`, { type, severity, file: path, line, description, ...(code !== '' && { code }) });
  }
  return [...findings.values()];
}

/** Nothing of a long line: no reader would find the place, and cutting it could leave a piece of a secret. */
const excerptOf = (line: string, secrets: readonly SecretHit[]): string =>
  line.length > maxLineLength ? '' : redact(line, secrets).trim().slice(0, maxCodeLength);

const summaryOf = (findings: readonly Finding[]): ScanOutput['summary'] => {
  const [low = 0, medium = 0, high = 0, critical = 0] = severities.map(
    (severity) => findings.filter((finding) => finding.severity === severity).length,
  );
  return { total: findings.length, critical, high, medium, low };
};
