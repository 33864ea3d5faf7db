// The exit code of what could not be started, as shells and docker's clients have it.
import { fullMessageOf } from '../base/error.ts';

/** 127 if the program is not there, 126 if it cannot be executed, 128 for all else. */
export function exitCodeOf(error: unknown): number {
  const text = fullMessageOf(error);
  if (!text.includes('Cannot execute')) return 128;
  return text.includes('ENOENT') || text.includes('ENOTDIR') ? 127 : 126;
}
