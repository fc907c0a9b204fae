import { describe, expect, it } from 'vitest';
import { reportInputSchema } from './input.ts';
import { markdownOf } from './markdown.ts';
import { type Outline, outlineOf } from './outline.ts';
import { pageOf } from './page.ts';

const anyFinding = { id: 'f1', source: 'security', rule: 'xss', severity: 'high', file: 'src/a.ts', line: 3, message: 'unescaped' };
const finding = (over: object = {}): object => ({ ...anyFinding, ...over });

function outlined(findings: object[], over: object = {}): Outline {
  const input = { review: { verdict: 'attention', findings }, repositoryPath: '/srv/shop/', outputDirectory: '/out', ...over };
  return outlineOf(reportInputSchema.parse(input), '2026-01-02T03:04:05.000Z');
}

const hostile = '</code></pre><script>alert(1)</script><img src=x onerror="alert(1)">&amp;';
const hostileFinding = finding({
  id: '"><script>',
  source: hostile,
  rule: hostile,
  file: hostile,
  message: hostile,
  code: hostile,
  remediation: hostile,
});

describe('what the report says', () => {
  it('is titled after the last part of the repository’s path, or as asked', () => {
    expect(outlined([]).title).toBe('Review of shop');
    expect(outlined([], { target: '/srv/other' }).title).toBe('Review of other');
    expect(outlined([], { title: 'Weekly' }).title).toBe('Weekly');
  });

  it('groups by severity, then by rule with the most frequent first', () => {
    const { groups } = outlined([
      finding({ severity: 'low' }),
      finding({ rule: 'rare' }),
      finding(),
      finding({ line: 9 }),
      finding({ severity: 'critical' }),
    ]);
    expect(groups.map(({ severity, count, rules }) => [severity, count, rules.map(({ rule }) => rule)])).toEqual([
      ['critical', 1, ['xss']],
      ['high', 3, ['xss', 'rare']],
      ['low', 1, ['xss']],
    ]);
  });

  it('says once what all findings of a rule share', () => {
    const { groups } = outlined([finding({ remediation: 'escape' }), finding({ line: 9, remediation: 'escape' })]);
    expect(groups[0]?.rules[0]).toMatchObject({ message: 'unescaped', remediation: 'escape' });
    const page = pageOf(outlined([finding({ remediation: 'escape' }), finding({ line: 9, remediation: 'escape' })]), '');
    expect(page.match(/unescaped/g)).toHaveLength(1);
    expect(page.match(/escape</g)).toHaveLength(1);
  });

  it('keeps apart what findings of a rule do not share', () => {
    const page = pageOf(outlined([finding({ remediation: 'this' }), finding({ message: 'another', remediation: 'that' })]), '');
    for (const text of ['unescaped', 'another', 'this', 'that']) expect(page).toContain(`>${text}<`);
  });

  it('lists the worst files first, and no more than eight', () => {
    const many = Array.from({ length: 12 }, (_, index) => finding({ file: `f${index}`, severity: 'low' }));
    const { files, filesAffected } = outlined([...many, ...many, finding({ file: 'bad', severity: 'critical' })]);
    expect(files).toHaveLength(8);
    expect(files[0]).toEqual({ file: 'bad', total: 1, counts: { critical: 1 } });
    expect(filesAffected).toBe(13);
  });

  it('concludes in one sentence and names who did not look', () => {
    const coverage = [
      { source: 'review', ran: false },
      { source: 'security', ran: true, files: 1200, skipped: 3 },
    ];
    expect(outlined([finding(), finding({ severity: 'critical' })]).conclusion).toBe('2 findings in 1 file, 1 of them critical.');
    const outline = outlined([], { review: { verdict: 'attention', findings: [], coverage } });
    expect(outline.conclusion).toBe('Nothing was found. Not examined: review. Some files could not be read.');
    expect(outline.facts).toContainEqual(['security', '1,200 files, 3 not readable']);
  });

  it('tells about the run whatever is a plain value', () => {
    const { facts } = outlined([], { run: { id: 'run_1', nodes: [1, 2], attempt: 2 } });
    expect(facts).toEqual([
      ['run id', 'run_1'],
      ['run attempt', '2'],
      ['written', '2026-01-02T03:04:05.000Z'],
    ]);
  });
});

describe('the page', () => {
  it('shows whatever a finding holds as text', () => {
    const page = pageOf(outlined([hostileFinding], { title: hostile, run: { id: hostile } }), 'body{}');
    expect(page).not.toMatch(/<script|<img/);
    expect(page).toContain('&lt;script&gt;alert(1)&lt;/script&gt;&lt;img src=x onerror=&quot;alert(1)&quot;&gt;&amp;amp;');
    expect(page).toContain('<li id="&quot;&gt;&lt;script&gt;">');
  });

  it('forbids the browser everything but its own style', () => {
    const page = pageOf(outlined([finding()]), 'body{}');
    expect(page).toContain("content=\"default-src 'none'; style-src 'sha256-");
    expect(page).not.toMatch(/\b(src|style)=|url\(|@import|https?:/);
  });

  it('names the place, the code and the way out of a finding', () => {
    const page = pageOf(outlined([finding({ code: 'a.innerHTML = b', remediation: 'use textContent', alsoReportedBy: ['review'] })]), '');
    expect(page.replaceAll('<wbr>', '')).toContain('<code>src/a.ts:3</code>\n<span class="source">security + review</span>');
    expect(page).toContain('<pre><code>a.innerHTML = b</code></pre>');
    expect(page).toContain('<p class="fix">use textContent</p>');
  });

  it('makes visible what would reverse or hide text', () => {
    expect(pageOf(outlined([finding({ code: 'a\u202eb\u0007\u200b' })]), '')).toContain('a⟨U+202E⟩b⟨U+0007⟩⟨U+200B⟩');
  });

  it('folds the long tail and leaves the rest open', () => {
    const page = pageOf(outlined([finding(), finding({ severity: 'info' })]), '');
    expect(page).toContain('<section class="group high"');
    expect(page).toContain('<details class="group info"');
  });

  it('is a page also where nothing was found', () => {
    const page = pageOf(outlined([], { review: { verdict: 'clean', findings: [] } }), '');
    expect(page).toContain('Nothing was found.');
    expect(page).not.toContain('NaN');
  });
});

describe('the Markdown', () => {
  it('is what a reader expects', () => {
    expect(markdownOf(outlined([finding({ code: 'a.innerHTML = b', remediation: 'use textContent' })]))).toBe(`# Review of shop

**Attention**. 1 finding in 1 file, none of them critical.

| Critical | High | Medium | Low | Info |
| -------: | ---: | -----: | --: | ---: |
|        0 |    1 |      0 |   0 |    0 |

## Files to open first

- \`src/a.ts\`: 1 high

## High (1)

### \`xss\`

- \`src/a.ts:3\` unescaped (security)
  \`\`\`
  a.innerHTML = b
  \`\`\`
  use textContent

***

- written: 2026-01-02T03:04:05.000Z
`);
  });

  it('lets nothing in a finding become markup', () => {
    const markdown = markdownOf(
      outlined([finding({ file: '`a`\n# b', message: '# c\n[d](javascript:e) <f> **g** | h', code: '```\n# i' })]),
    );
    expect(markdown).toContain('`` `a` # b:3 ``');
    expect(markdown).toContain('\\[d]\\(javascript:e) \\<f> \\*\\*g\\*\\*');
    expect(markdown).toContain('  ````\n  ```\n  # i\n  ````');
    expect(markdown).not.toMatch(/^# [bci]/m);
  });
});
