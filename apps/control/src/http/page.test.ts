import { expect, it } from 'vitest';
import { html, pageOf } from './page.ts';

it('a text put into a page stays a text, also inside an attribute', () => {
  const hostile = `<img src=x onerror="alert('&')">`;
  const escaped = '&lt;img src=x onerror=&quot;alert(&#39;&amp;&#39;)&quot;&gt;';
  expect(html`<p title="${hostile}">${hostile}</p>`.text).toBe(`<p title="${escaped}">${escaped}</p>`);
  expect(pageOf(hostile, html``)).toContain(`<title>${escaped}</title>`);
});

it('pieces of a page are put together as they are, numbers and lists too', () => {
  const items = ['a&b', 'c'].map((item) => html`<li>${item}</li>`);
  expect(html`<ul>${items}</ul>${html`<hr>`}${7}`.text).toBe('<ul><li>a&amp;b</li><li>c</li></ul><hr>7');
});
