import { answers, type App, textAnswer } from './route.ts';
import { type Html, html, pageHeaders, pageOf } from './page.ts';
import type { Services } from './services.ts';

/** The page a person sees who opens the address in a browser. */
export function addLandingPage(app: App, { version, authentication }: Services): void {
  const page = pageOf('Hivekeeper', bodyOf(version, authentication));
  app.get(
    '/',
    {
      config: { access: 'open' },
      schema: { summary: 'What this is', tags: ['platform'], response: answers({ 200: textAnswer('text/html', 'A page for people') }) },
    },
    async (_request, reply) => reply.headers(pageHeaders).send(page as never),
  );
}

const keyTexts = {
  'api-key': html`Every call but the probes needs a key: send <code>Authorization: Bearer &lt;key&gt;</code>. The first key is in the file <code>admin.key</code> in the data directory.`,
  none: html`This installation runs without authentication: it answers calls from this machine only, and everybody on it is admin.`,
} as const;

const bodyOf = (version: string, authentication: Services['authentication']): Html => html`<h1>Hivekeeper</h1>
<p>A control plane that runs a fleet of AI agents and keeps it running. Version ${version}.</p>
<p>The API is described at <a href="/v1/openapi.json">/v1/openapi.json</a>. ${keyTexts[authentication]}</p>
<p>The command line works today: <code>hive status</code>, <code>hive runs</code>, <code>hive why &lt;id&gt;</code>. A web console is not part of this version.</p>
<p>Probes: <a href="/health">/health</a>, <a href="/health/db">/health/db</a>, <a href="/ready">/ready</a>, <a href="/live">/live</a>.</p>`;
