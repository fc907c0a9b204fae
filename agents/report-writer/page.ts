import { createHash } from 'node:crypto';
import { type Finding, type Severity, severities } from './input.ts';
import { type Markup, html, raw } from './markup.ts';
import { type Outline, type RuleGroup, type SeverityGroup, amount } from './outline.ts';

/** Sections with less than a medium severity start folded. */
const foldedSeverities: readonly Severity[] = ['low', 'info'];

/** One file that needs nothing else: no script, no request. The policy in its head makes the browser insist on that. */
export const pageOf = (outline: Outline, style: string): string =>
  html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src '${hashOf(style)}'; base-uri 'none'; form-action 'none'">
<title>${outline.title}</title>
<style>${raw(style)}</style>
</head>
<body>
<main>
${header(outline)}
${outline.total > 0 ? [sums(outline), files(outline)] : undefined}
${outline.groups.map(section)}
</main>
<footer><dl>${outline.facts.map(([label, value]) => html`<div><dt>${label}</dt><dd>${value}</dd></div>`)}</dl></footer>
</body>
</html>
`.text;

const hashOf = (style: string): string => `sha256-${createHash('sha256').update(style).digest('base64')}`;

const header = ({ title, verdict, conclusion }: Outline): Markup => html`<header class="${verdict}">
<p class="verdict">${verdict}</p>
<h1>${title}</h1>
<p class="conclusion">${conclusion}</p>
</header>`;

/** Each tile leads to its section; the bar shows the shares. */
const sums = ({ counts, total }: Outline): Markup => html`<nav class="sums" aria-label="Findings by severity">
${counts.map(({ severity, count }) =>
  count === 0
    ? html`<span class="tile none"><b>0</b> ${severity}</span>`
    : html`<a class="tile ${severity}" href="#${severity}"><b>${count.toLocaleString('en-US')}</b> ${severity}</a>`,
)}
</nav>
<svg class="bar" viewBox="0 0 1000 10" preserveAspectRatio="none" role="img" aria-label="${amount(total, 'finding')}">${bars(counts, total)}</svg>`;

function bars(counts: Outline['counts'], total: number): Markup[] {
  let start = 0;
  return counts.map(({ severity, count }) => {
    const width = (count / total) * 1_000;
    start += width;
    return html`<rect class="${severity}" x="${(start - width).toFixed(1)}" y="0" width="${width.toFixed(1)}" height="10"/>`;
  });
}

const files = ({ files: affected, filesAffected }: Outline): Markup => html`<section class="files">
<h2>Files to open first</h2>
<ul>
${affected.map(affectedFile)}</ul>
${filesAffected > affected.length ? html`<p class="more">and ${amount(filesAffected - affected.length, 'file')} more</p>` : undefined}
</section>`;

const affectedFile = ({ file, counts }: Outline['files'][number]): Markup => html`<li>
<code>${breakable(file)}</code>
<span class="counts">${severities.map((severity) => badge(severity, counts[severity]))}</span>
</li>
`;

const badge = (severity: Severity, count: number | undefined): Markup | undefined =>
  count === undefined ? undefined : html`<span class="badge ${severity}" title="${count} ${severity}">${count}</span>`;

function section({ severity, count, rules }: SeverityGroup): Markup {
  const title = html`<h2>${severity}</h2><span class="count">${amount(count, 'finding')}</span>`;
  return foldedSeverities.includes(severity)
    ? html`<details class="group ${severity}" id="${severity}"><summary>${title}</summary>${rules.map(rule)}</details>
`
    : html`<section class="group ${severity}" id="${severity}"><div class="head">${title}</div>${rules.map(rule)}</section>
`;
}

const rule = (group: RuleGroup): Markup => html`<article>
<h3>${breakable(group.rule)}${group.findings.length > 1 ? html` <span class="count">× ${group.findings.length}</span>` : undefined}</h3>
${group.message === undefined ? undefined : html`<p>${group.message}</p>`}
${group.remediation === undefined ? undefined : html`<p class="fix">${group.remediation}</p>`}
<ol>
${group.findings.map((finding) => entry(finding, group))}</ol>
</article>`;

/** What the group has said already is not said again. */
const entry = (
  { id, file, line, message, code, source, alsoReportedBy, remediation }: Finding,
  group: RuleGroup,
): Markup => html`<li id="${id}">
<p class="place">
<code>${breakable(line === undefined ? file : `${file}:${line}`)}</code>
<span class="source">${[source, ...alsoReportedBy].join(' + ')}</span>
</p>
${message === group.message ? undefined : html`<p>${message}</p>`}
${code === undefined ? undefined : html`<pre><code>${code}</code></pre>`}
${remediation === undefined || remediation === group.remediation ? undefined : html`<p class="fix">${remediation}</p>`}
</li>
`;

/** Lets long paths break after a slash, a dot or a dash and nowhere else. */
const breakable = (text: string): Markup[] => text.split(/(?<=[/.:_-])/).map((part) => html`${part}<wbr>`);
