import type { BlockContent, ListItem, PhrasingContent, Root, RootContent } from 'mdast';
import { gfmTableToMarkdown } from 'mdast-util-gfm-table';
import { toMarkdown } from 'mdast-util-to-markdown';
import type { Finding } from './input.ts';
import { type Outline, type RuleGroup, amount } from './outline.ts';
import { plain } from './plain.ts';

/** The report as GitHub's Markdown. It is built as a tree, so that nothing in a finding can become markup. */
export function markdownOf(outline: Outline): string {
  const root: Root = {
    type: 'root',
    children: [
      heading(1, [text(outline.title)]),
      paragraph([{ type: 'strong', children: [text(capitalised(outline.verdict))] }, text(`. ${outline.conclusion}`)]),
      ...(outline.total > 0 ? [sums(outline), heading(2, [text('Files to open first')]), files(outline)] : []),
      ...outline.groups.flatMap(({ severity, count, rules }) => [
        heading(2, [text(`${capitalised(severity)} (${count})`)]),
        ...rules.flatMap(ruleBlocks),
      ]),
      { type: 'thematicBreak' },
      { type: 'list', spread: false, children: outline.facts.map(([label, value]) => item([paragraph([text(`${label}: ${value}`)])])) },
    ],
  };
  return toMarkdown(root, { extensions: [gfmTableToMarkdown()], bullet: '-', fences: true });
}

const sums = ({ counts }: Outline): RootContent => ({
  type: 'table',
  align: counts.map(() => 'right'),
  children: [counts.map(({ severity }) => capitalised(severity)), counts.map(({ count }) => String(count))].map((row) => ({
    type: 'tableRow',
    children: row.map((cell) => ({ type: 'tableCell', children: [text(cell)] })),
  })),
});

const files = (outline: Outline): RootContent => ({
  type: 'list',
  spread: false,
  children: outline.files.map(({ file, counts }) => {
    const parts = Object.entries(counts).map(([severity, count]) => `${count} ${severity}`);
    return item([paragraph([code(file), text(`: ${parts.join(', ')}`)])]);
  }),
});

const ruleBlocks = (group: RuleGroup): RootContent[] => [
  heading(3, [code(group.rule), ...(group.findings.length > 1 ? [text(` (${amount(group.findings.length, 'finding')})`)] : [])]),
  ...[group.message, group.remediation].flatMap((shared) => (shared === undefined ? [] : [paragraph([text(shared)])])),
  { type: 'list', spread: false, children: group.findings.map((finding) => entry(finding, group)) },
];

/** What the group has said already is not said again. */
const entry = ({ file, line, message, code: excerpt, source, alsoReportedBy, remediation }: Finding, group: RuleGroup): ListItem =>
  item([
    paragraph([
      code(line === undefined ? file : `${file}:${line}`),
      text(`${message === group.message ? '' : ` ${message}`} (${[source, ...alsoReportedBy].join(' + ')})`),
    ]),
    ...(excerpt === undefined ? [] : [{ type: 'code', value: plain(excerpt) } as const]),
    ...(remediation === undefined || remediation === group.remediation ? [] : [paragraph([text(remediation)])]),
  ]);

const heading = (depth: 1 | 2 | 3, children: PhrasingContent[]): RootContent => ({ type: 'heading', depth, children });
const paragraph = (children: PhrasingContent[]): BlockContent => ({ type: 'paragraph', children });
const item = (children: BlockContent[]): ListItem => ({ type: 'listItem', spread: false, children });
const text = (value: string): PhrasingContent => ({ type: 'text', value: oneLine(value) });
const code = (value: string): PhrasingContent => ({ type: 'inlineCode', value: oneLine(value) });

const oneLine = (value: string): string => plain(value).replaceAll(/\s+/g, ' ');
const capitalised = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1);
