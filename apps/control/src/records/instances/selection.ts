import type { InstanceFilter, InstanceView } from '@hivekeeper/contract';

/** Whether it has all these capabilities. */
export const hasAll = ({ capabilities }: Pick<InstanceView, 'capabilities'>, wanted: readonly string[]): boolean =>
  wanted.every((capability) => capabilities.includes(capability));

/** Whether everything the filter says is true of it. */
export function passes(instance: InstanceView, { metadata = {}, ...words }: InstanceFilter): boolean {
  const isEqual = ([name, value]: readonly [string, unknown]) =>
    value === undefined || instance[name as keyof Omit<InstanceFilter, 'metadata'>] === value;
  return Object.entries(words).every(isEqual) && Object.entries(metadata).every(([key, value]) => instance.metadata[key] === value);
}
