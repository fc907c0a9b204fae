/** Which backups go, of names that sort by time, when the newest `keep` stay. */
export const surplus = (names: readonly string[], keep: number | undefined): readonly string[] =>
  keep === undefined ? [] : [...names].sort().slice(0, Math.max(0, names.length - keep));
