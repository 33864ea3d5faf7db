// How an error of the engine is told to Docker's clients: one table from kinds to HTTP codes, and the exact texts that
// clients match. The step's own words are always kept; what clients look for is added.
import { type ErrorKind, fullMessageOf, HolmError, kindOf } from '../base/error.ts';
import { familiarName, findReference, withTag } from '../images/reference.ts';

const codes: Readonly<Record<ErrorKind, number>> = {
  invalid: 400,
  denied: 403,
  notFound: 404,
  conflict: 409,
  wrongState: 409,
  unsupported: 501,
  unavailable: 503,
  timeout: 504,
  cancelled: 500,
  corrupt: 500,
  internal: 500,
};

export interface ErrorAnswer {
  readonly code: number;
  readonly message: string;
}

/** HTTP code and text for any thrown value. */
export function answerFor(error: unknown): ErrorAnswer {
  return { code: codes[kindOf(error)], message: withExecWords(fullMessageOf(error)) };
}

// What the clients look for in the text, to give 127 or 126 (docker/cli, runStartContainerErr).
const execWords: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EISDIR: 'is a directory',
  ENOTDIR: 'not a directory',
  ENOEXEC: 'exec format error',
};

/** Adds Docker's words for a program that could not be executed. */
function withExecWords(message: string): string {
  const match = /Cannot execute "([^"]*)": (E[A-Z0-9]+)\b/.exec(message);
  const program = match?.[1];
  const errno = match?.[2];
  if (program === undefined || errno === undefined) return message;
  if (errno === 'ENOENT' && !program.includes('/'))
    return `${message}: exec: "${program}": executable file not found in $PATH`;
  const words = execWords[errno];
  return words === undefined ? message : `${message}: exec: "${program}": ${words}`;
}

export function noSuchContainer(reference: string): HolmError {
  return new HolmError('notFound', `No such container: ${reference}`);
}

/** Names are told with their tag, ids as they were written. */
export function noSuchImage(reference: string): HolmError {
  const isId = /^(sha256:)?[0-9a-f]{12,64}$/.test(reference);
  const name = isId ? undefined : findReference(reference);
  return new HolmError('notFound', `No such image: ${name === undefined ? reference : familiarName(withTag(name))}`);
}

export function nameInUse(name: string, holderId: string): HolmError {
  return new HolmError(
    'conflict',
    `Conflict. The container name "/${name}" is already in use by container "${holderId}". ` +
      'You have to remove (or rename) that container to be able to reuse that name.',
  );
}

export function notRunning(id: string): HolmError {
  return new HolmError('wrongState', `container ${id} is not running`);
}

export function notYet(what: string): HolmError {
  return new HolmError('unsupported', `${what} not supported yet`);
}
