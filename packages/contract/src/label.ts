import { nameSchema } from './ids.ts';

/** What workers find out about themselves; all but the last two are how an agent is run, and tickets require them by themselves. */
const ownCapabilities: readonly string[] = ['node', 'python', 'exec', 'builtin', 'http', 'coding', 'container', 'sandbox', 'cgroup'];

/** A word for what only some workers have (`gpu`, `eu-west`): its worker is given it, and a node may require it. */
export const labelSchema = nameSchema.refine(
  (label) => !ownCapabilities.includes(label),
  `no label is one of ${ownCapabilities.join(', ')}: workers find these out about themselves`,
);
