import { HiveError } from '@hivekeeper/contract';

/**
 * The address to call. A webhook's URL is itself a secret and travels with the message, so it goes over TLS; plain http
 * is for this machine only.
 *
 * @throws INVALID_REQUEST naming the fault, never the URL's path.
 */
export function endpointOf(webhookUrl: string): URL {
  if (!URL.canParse(webhookUrl)) throw new HiveError('INVALID_REQUEST', 'webhookUrl is not a URL');
  const url = new URL(webhookUrl);
  if (url.username !== '' || url.password !== '')
    throw new HiveError('INVALID_REQUEST', 'webhookUrl must not carry a user name or password');
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname))) return url;
  throw new HiveError(
    'INVALID_REQUEST',
    `webhookUrl must be https; ${url.protocol}//${url.hostname} is neither that nor http to this machine`,
  );
}

/** `URL` has already brought every spelling of an IPv4 address (0x7f.1, 2130706433) into dotted form. */
const isLoopback = (hostname: string): boolean => hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname);
