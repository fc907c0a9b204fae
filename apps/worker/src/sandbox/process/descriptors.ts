import { closeSync, readFileSync, readdirSync } from 'node:fs';

const closeOnExec = 0o2000000;

/**
 * Closes every descriptor above 2 that this process was handed and its children would be handed in turn. What Node opens
 * closes on exec by itself; what a parent left open does not, and Node's own start-up mends only the lowest of them
 * (a descriptor 251 did reach an agent). Call it once, before anything else reads such a descriptor.
 */
export function closeInheritedDescriptors(): readonly number[] {
  const inherited = openDescriptors().filter((descriptor) => descriptor > 2 && isInheritable(descriptor));
  for (const descriptor of inherited) closeSync(descriptor);
  return inherited;
}

function openDescriptors(): readonly number[] {
  try {
    return readdirSync('/proc/self/fd').map(Number);
  } catch {
    return [];
  }
}

function isInheritable(descriptor: number): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, 'utf8'))?.[1];
    return flags !== undefined && (Number.parseInt(flags, 8) & closeOnExec) === 0;
  } catch {
    // The descriptor that listed the directory is gone by now.
    return false;
  }
}
