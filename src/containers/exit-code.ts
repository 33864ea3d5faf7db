// The exit code of what could not be started, as shells and docker's clients have it.
import { errno } from '../kernel/constants.ts';
import { StepError } from '../kernel/keeper.ts';

const absent: readonly number[] = [errno.ENOENT, errno.ENOTDIR];

/** 127 if the program or its directory is not there, 126 if the program cannot be executed, `otherwise` for all else. */
export function exitCodeOf(error: unknown, otherwise: number): number {
  if (!(error instanceof StepError) || error.phase !== 'stage') return otherwise;
  if (absent.includes(error.errno) && ['execve', 'chdir'].includes(error.call)) return 127;
  return error.call === 'execve' ? 126 : otherwise;
}
