import { hash } from 'node:crypto';
import { apiHeaders } from './security-headers.ts';

/** A piece of HTML: everything in it that came from elsewhere is escaped. */
export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const escaped = (text: string): string => text.replaceAll(/[&<>"']/g, (character) => entities[character] ?? '');

type Slot = string | number | Html | readonly Html[];

/** html`<p>${text}</p>`: texts are escaped, pieces of HTML are put in as they are. */
export const html = (parts: TemplateStringsArray, ...slots: readonly Slot[]): Html =>
  new Html(parts.map((part, index) => part + (index < slots.length ? written(slots[index] as Slot) : '')).join(''));

function written(slot: Slot): string {
  if (slot instanceof Html) return slot.text;
  return typeof slot === 'object' ? slot.map(({ text }) => text).join('') : escaped(String(slot));
}

const style =
  'body{font:16px/1.6 system-ui,sans-serif;max-width:42rem;margin:4rem auto;padding:0 1rem;color:#1d1d1f;background:#fff}' +
  'code,pre{background:#f2f2f4;padding:.1em .3em;border-radius:4px}pre{padding:1rem;overflow:auto;max-height:60vh}a{color:#0b57d0}' +
  'dt{font-weight:600}dd{margin:0 0 .5rem;overflow-wrap:anywhere}label{display:block;margin:.5rem 0}' +
  'input,textarea{display:block;box-sizing:border-box;width:100%;font:inherit;padding:.4rem}button{font:inherit;padding:.5rem 1.5rem;margin:1rem 1rem 0 0}' +
  '@media(prefers-color-scheme:dark){body{color:#e8e8ea;background:#161618}code,pre{background:#2a2a2e}a{color:#8ab4f8}}';

/**
 * Headers of a page: no script runs, nothing is loaded, nobody frames it. Its address may be a secret, so no other site
 * learns it; this one must, or browsers would send forms without their origin.
 */
export const pageHeaders: Readonly<Record<string, string>> = {
  ...apiHeaders,
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': `default-src 'none'; style-src 'sha256-${hash('sha256', style, 'base64')}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
  'referrer-policy': 'same-origin',
  'x-robots-tag': 'noindex',
};

/** A whole page. */
export const pageOf = (title: string, body: Html): string => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>${escaped(title)}</title><style>${style}</style></head>
<body>${body.text}
</body></html>
`;
