/** Links by which an approval is decided without a key. */
export { type Link, Links, type LinksOptions, type LinkStore, type SealedLink } from './links.ts';
