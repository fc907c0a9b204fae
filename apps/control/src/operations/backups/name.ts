/** What a backup begun at that moment is called (UTC); names sort by time. */
export const backupNameAt = (atMs: number): string => {
  const digits = new Date(atMs).toISOString().replaceAll(/\D/g, '');
  return `backup-${digits.slice(0, 8)}-${digits.slice(8, 14)}-${digits.slice(14, 17)}`;
};
