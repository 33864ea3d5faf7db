// The one error class of holm. `kind` tells doors how to answer (HTTP code, exit code); `cause` keeps what lies below.
// Messages say what could not be done, to what, and how things stand; upper-case start, no full stop, names in quotes.

export const errorKinds = [
  'invalid',
  'notFound',
  'conflict',
  'wrongState',
  'unsupported',
  'denied',
  'unavailable',
  'timeout',
  'cancelled',
  'corrupt',
  'internal',
] as const;

export type ErrorKind = (typeof errorKinds)[number];

export class HolmError extends Error {
  readonly kind: ErrorKind;

  constructor(kind: ErrorKind, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'HolmError';
    this.kind = kind;
  }
}

/** The kind of any thrown value: a HolmError's own, 'internal' for all else. */
export function kindOf(error: unknown): ErrorKind {
  return error instanceof HolmError ? error.kind : 'internal';
}

/** The message of any thrown value. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The message of a thrown value and of all its causes, joined by ": ", outermost first. */
export function fullMessageOf(error: unknown): string {
  const parts: string[] = [];
  for (let at: unknown = error; at !== undefined && parts.length < 8; at = at instanceof Error ? at.cause : undefined) {
    const part = messageOf(at);
    if (!parts.some((earlier) => earlier.includes(part))) parts.push(part);
  }
  return parts.join(': ');
}

/** Whether a thrown value is a system error with this code, such as 'ENOENT'. */
export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
