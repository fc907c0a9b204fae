import { hash } from 'node:crypto';
import { answers, type App, textAnswer } from './route.ts';
import type { Services } from './services.ts';

const style =
  'body{font:16px/1.6 system-ui,sans-serif;max-width:42rem;margin:4rem auto;padding:0 1rem;color:#1d1d1f;background:#fff}' +
  'code{background:#f2f2f4;padding:.1em .3em;border-radius:4px}a{color:#0b57d0}' +
  '@media(prefers-color-scheme:dark){body{color:#e8e8ea;background:#161618}code{background:#2a2a2e}a{color:#8ab4f8}}';
const policy = `default-src 'none'; style-src 'sha256-${hash('sha256', style, 'base64')}'; frame-ancestors 'none'`;

/** The page a person sees who opens the address in a browser. */
export function addLandingPage(app: App, { version, authentication }: Services): void {
  const page = pageOf(version, authentication);
  app.get(
    '/',
    {
      config: { access: 'open' },
      schema: { summary: 'What this is', tags: ['platform'], response: answers({ 200: textAnswer('text/html', 'A page for people') }) },
    },
    async (_request, reply) =>
      reply
        .type('text/html; charset=utf-8')
        .header('content-security-policy', policy)
        .send(page as never),
  );
}

const keyText = {
  'api-key':
    'Every call but the probes needs a key: send <code>Authorization: Bearer &lt;key&gt;</code>. The first key is in the file <code>admin.key</code> in the data directory.',
  none: 'This installation runs without authentication: it answers calls from this machine only, and everybody on it is admin.',
} as const;

const pageOf = (version: string, authentication: Services['authentication']): string => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>Hivekeeper</title><style>${style}</style></head>
<body><h1>Hivekeeper</h1>
<p>A control plane that runs a fleet of AI agents and keeps it running. Version ${escaped(version)}.</p>
<p>The API is described at <a href="/v1/openapi.json">/v1/openapi.json</a>. ${keyText[authentication]}</p>
<p>The command line works today: <code>hive status</code>, <code>hive runs</code>, <code>hive why &lt;id&gt;</code>. A web console is not part of this version.</p>
<p>Probes: <a href="/health">/health</a>, <a href="/health/db">/health/db</a>, <a href="/ready">/ready</a>, <a href="/live">/live</a>.</p>
</body></html>
`;

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
