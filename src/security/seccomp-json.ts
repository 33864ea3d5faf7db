// Seccomp profiles as docker's JSON has them (moby/profiles, seccomp/seccomp.go): the types, and the reading of a user's file.
import { HolmError, messageOf } from '../base/error.ts';

/** Docker's JSON (moby/profiles, seccomp/seccomp.go). */
export interface ProfileJson {
  readonly defaultAction?: string;
  readonly defaultErrnoRet?: number;
  readonly archMap?: readonly { readonly architecture: string; readonly subArchitectures?: readonly string[] | null }[];
  readonly architectures?: readonly string[];
  readonly flags?: readonly string[];
  readonly listenerPath?: string;
  readonly syscalls?: readonly SyscallJson[] | null;
}
export interface SyscallJson {
  readonly name?: string;
  readonly names?: readonly string[];
  readonly action: string;
  readonly errnoRet?: number;
  readonly args?: readonly ArgumentJson[] | null;
  readonly includes?: ConditionJson | null;
  readonly excludes?: ConditionJson | null;
}
export interface ArgumentJson {
  readonly index: number;
  readonly value: number | bigint;
  readonly valueTwo?: number | bigint;
  readonly op: string;
}
interface ConditionJson {
  readonly caps?: readonly string[];
  readonly arches?: readonly string[];
  readonly minKernel?: string;
}

/** Reads a user's profile; throws `invalid` in docker's words. What it says is checked when it is compiled. */
export function parseSeccompProfile(json: string): ProfileJson {
  let value: unknown;
  try {
    value = JSON.parse(json, exactIntegers);
  } catch (cause) {
    throw invalidProfile(messageOf(cause), cause);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalidProfile('not an object');
  checkShape(value);
  const profile = value as ProfileJson;
  if ((profile.architectures?.length ?? 0) > 0 && (profile.archMap?.length ?? 0) > 0) {
    throw new HolmError(
      'invalid',
      "both 'architectures' and 'archMap' are specified in the seccomp profile, use either 'architectures' or 'archMap'",
    );
  }
  return profile;
}

/** Lists where lists are meant and names where names are: what a wrong file would make later code trip over. */
function checkShape(profile: object): void {
  const wrong = (field: string): HolmError => invalidProfile(`"${field}" has not the form it should have`);
  const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
  const lists = (owner: Record<string, unknown>, field: string, fits: (item: unknown) => boolean): unknown[] => {
    const value = owner[field] ?? [];
    if (!Array.isArray(value) || !value.every(fits)) throw wrong(field);
    return value;
  };
  const isText = (value: unknown): boolean => typeof value === 'string';
  const fields = profile as Record<string, unknown>;
  for (const field of ['architectures', 'flags']) lists(fields, field, isText);
  for (const entry of lists(fields, 'archMap', isObject))
    lists(entry as Record<string, unknown>, 'subArchitectures', isText);
  for (const syscall of lists(fields, 'syscalls', isObject) as Record<string, unknown>[]) {
    lists(syscall, 'names', isText);
    lists(syscall, 'args', isObject);
    for (const field of ['includes', 'excludes']) {
      const condition = syscall[field] ?? {};
      if (!isObject(condition)) throw wrong(field);
      for (const list of ['caps', 'arches']) lists(condition, list, isText);
      if (!isText(condition.minKernel ?? '')) throw wrong('minKernel');
    }
  }
}

/** In docker's words. */
export function invalidProfile(reason: string, cause?: unknown): HolmError {
  return new HolmError('invalid', `Decoding seccomp profile failed: ${reason}`, { cause });
}

/** Whole numbers that a double cannot hold are read as bigints, from their source text. */
function exactIntegers(_key: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
  return context?.source !== undefined && /^\d+$/.test(context.source) ? BigInt(context.source) : value;
}
