import { egressSchema } from '@hivekeeper/egress';
import { z } from 'zod';
import { exchange } from './http-exchange.ts';
import { configOf, type OpenTool, typed } from './tool.ts';

const configSchema = egressSchema.extend({ max_response_size: z.int().min(1).default(1_048_576) });

const maxRedirects = 5;

const argsSchema = z.strictObject({
  method: z.enum(['GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS']),
  url: z.string(),
  extract_content: z.boolean().optional().describe('Give the text of an HTML page without its markup'),
  headers: z.record(z.string(), z.string()).optional(),
  body: z.string().optional(),
  timeout: z.int().min(1).max(300).optional().describe('Seconds; 30 where absent'),
});

/** `http_request`: any address that its egress rules allow. */
export const openHttpRequest: OpenTool = (config) => {
  const { max_response_size: maxResponseBytes, ...egress } = configOf(configSchema, config);
  return {
    description: 'Make an HTTP request and get its status, headers and body.',
    ...typed(argsSchema, async ({ timeout = 30, extract_content = false, ...request }, signal) => {
      const within = AbortSignal.any([signal, AbortSignal.timeout(timeout * 1_000)]);
      const answer = await exchange(request, { egress, maxResponseBytes, maxRedirects, signal: within });
      return { ...answer, body: extract_content ? textOfHtml(answer.body) : answer.body, content_extracted: extract_content };
    }),
  };
};

/** What a reader would see, roughly: without scripts, styles, markup and runs of white space. */
const textOfHtml = (html: string): string =>
  html
    .replace(/<(script|style|head)\b[^>]*>[\s\S]*?<\/\1>/gi, ' ')
    .replace(/<[^>]*>/g, ' ')
    .replace(/&(amp|lt|gt|quot|nbsp|#39);/g, (_, name: string) => entities[name] ?? ' ')
    .replace(/\s+/g, ' ')
    .trim();

const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', nbsp: ' ', '#39': "'" };
