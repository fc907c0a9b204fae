/**
 * Writes the documents that are made from code: `node scripts/docs.ts`. tests/house proves that they are up to date.
 * docs/errors.md from the error catalogue · docs/configuration.md from the settings of each app
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { agentSettings } from '../apps/agent-runtime/src/settings.ts';
import { cliSettings } from '../apps/cli/src/config.ts';
import { controlSettings } from '../apps/control/src/config.ts';
import { workerSettings } from '../apps/worker/src/config.ts';
import { errorCatalogue } from '../packages/contract/src/error-codes.ts';
import type { ErrorEntry } from '../packages/contract/src/error-entry.ts';
import type { Settings } from '../packages/kernel/src/config.ts';

const generated = '<!-- Written by scripts/docs.ts; change the code it is made from, then run `node scripts/docs.ts`. -->';

const cell = (text: string | number): string => String(text).replaceAll('|', '\\|');
const row = (cells: readonly (string | number)[]): string => `| ${cells.map(cell).join(' | ')} |`;
const table = (head: readonly string[], rows: readonly (readonly (string | number)[])[]): string =>
  [row(head), row(head.map(() => '---')), ...rows.map(row)].join('\n');

/** docs/errors.md */
export function errorsDocument(catalogue: Readonly<Record<string, ErrorEntry>> = errorCatalogue): string {
  const rows = Object.entries(catalogue).map(([code, { httpStatus, fault, consequence, exitCode, cause, remedy }]) => [
    `\`${code}\``,
    httpStatus,
    fault,
    consequence,
    exitCode,
    cause,
    remedy,
  ]);
  return `# Errors

${generated}

Every error of the API, the command line and the runs has one of these codes. A code keeps its meaning for ever.

- **HTTP**: the status with which \`/v1\` answers; the body is \`{ "error": { code, message, remedy, issues?, requestId? } }\`,
  and each issue has the JSON pointer of the field at fault.
- **Fault**: whose mistake it is: the caller's, the agent's or the platform's.
- **Then**: \`terminal\`: nothing follows; \`retry\`: the same call may succeed later; \`pause\`: a person must act.
- **Exit**: the exit status of \`hive\`.

${table(['Code', 'HTTP', 'Fault', 'Then', 'Exit', 'What it means', 'How to solve'], rows)}
`;
}

/** docs/configuration.md */
export function configurationDocument(
  apps: Readonly<Record<string, Settings>> = {
    'Control plane (`hive up`, `hive control`)': controlSettings,
    'Worker (`hive worker`)': workerSettings,
    'Agent over MQTT (`hive agent run`)': agentSettings,
    'Command line (`hive`)': cliSettings,
  },
): string {
  const sections = Object.entries(apps).map(([title, settings]) => {
    const rows = Object.values(settings).map(({ variable, option, defaultText, description }) => [
      `\`${variable}\``,
      option === undefined ? '' : `\`${option}\``,
      defaultText === undefined ? '' : `\`${defaultText}\``,
      description,
    ]);
    return `## ${title}\n\n${table(['Variable', 'Option', 'Default', 'Meaning'], rows)}\n`;
  });
  return `# Configuration

${generated}

An option comes before the variable, the variable before the default. A value that cannot be used ends the start with
\`CONFIGURATION_INVALID\` and the variable's name.

${sections.join('\n')}`;
}

/** Every generated document by its path in the repository. */
export const documents: Readonly<Record<string, () => string>> = {
  'docs/errors.md': () => errorsDocument(),
  'docs/configuration.md': () => configurationDocument(),
};

if (import.meta.main) {
  const root = fileURLToPath(new URL('..', import.meta.url));
  for (const [path, text] of Object.entries(documents)) writeFileSync(join(root, path), text());
}
