import { type ErrorCode, HiveError } from '@hivekeeper/contract';

/** The same outcome, its errors with the texts that CommandCenter's clients know. */
export async function renamed<T>(attempt: Promise<T>, texts: Partial<Record<ErrorCode, string>>): Promise<T> {
  try {
    return await attempt;
  } catch (error) {
    const text = HiveError.is(error) ? texts[error.code] : undefined;
    if (!HiveError.is(error) || text === undefined) throw error;
    throw new HiveError(error.code, text, { issues: error.issues, cause: error });
  }
}
