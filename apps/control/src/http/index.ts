/**
 * The front door: HTTP in, calls of {@link Services} out. It owns no rule of the product and no database.
 *
 * server.ts  puts it together          · services.ts  what is behind it
 * access.ts  who comes in              · json.ts      bodies: reading and validating
 * faults.ts  errors as answers         · route.ts, route-table.ts  what every route says of itself
 * openapi.ts, metrics.ts, probes.ts, landing.ts       what the server tells of itself · page.ts  pages for people
 * preview.ts  what is shown before a decision · approval-page/  where a signed link leads
 * security-headers.ts  on every answer
 * v1/        our API                   · facade/      the CommandCenter-compatible API
 */
export { createServer } from './server.ts';
export type { Services } from './services.ts';
export type { RouteEntry, RouteTable } from './route-table.ts';
