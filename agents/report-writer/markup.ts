import { escape } from 'html-escaper';
import { plain } from './plain.ts';

/** Text that is HTML already, and will not be escaped again. */
export class Markup {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

type Content = Markup | string | number | undefined | readonly Content[];

/** A template of HTML: whatever is put into it is escaped, unless it came from another template. */
export const html = (parts: TemplateStringsArray, ...contents: readonly Content[]): Markup =>
  new Markup(parts.reduce((text, part, index) => text + render(contents[index - 1]) + part));

/** Our own text that must stand in the page as it is. Never for anything that came from outside. */
export const raw = (text: string): Markup => new Markup(text);

function render(content: Content): string {
  if (content === undefined) return '';
  if (content instanceof Markup) return content.text;
  return typeof content === 'object' ? content.map(render).join('') : escape(plain(String(content)));
}
