/** The page behind a link to an approval. form.ts  what it sends · page.ts  what it shows · routes.ts  the two routes */
export { addApprovalPage, linkPath } from './routes.ts';
