// Users and groups by name out of a root's own /etc/passwd and /etc/group (passwd(5), group(5)), as `docker run -u` means them.
import { HolmError } from '../base/error.ts';

/** Whom a process runs as. */
export interface Identity {
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups. */
  readonly groups: readonly number[];
  readonly home: string;
}

/** The texts of a root's passwd and group files; empty where there is none. */
export interface Accounts {
  readonly passwd: string;
  readonly group: string;
}

const mostId = 2 ** 31 - 1;

/**
 * Resolves "user", "user:group", "uid", "uid:gid" and "" (root) with further groups by name or number.
 * A group that is given suppresses the user's supplementary groups, as in docker.
 */
export function resolveUser(user: string, additionalGroups: readonly string[], accounts: Accounts): Identity {
  const [userPart = '', groupPart] = user.split(':', 2);
  const users = rows(accounts.passwd, 7);
  const wanted = userPart === '' ? '0' : userPart;
  const entry = users.find((row) => row[0] === wanted) ?? users.find((row) => row[2] === wanted);
  const uid = entry === undefined ? parseId(wanted) : parseId(entry[2]!);
  if (uid === undefined)
    throw new HolmError('invalid', `unable to find user ${wanted}: no matching entries in passwd file`);
  const groups = rows(accounts.group, 3);
  const named = (group: string) => groups.find((row) => row[0] === group) ?? groups.find((row) => row[2] === group);
  const idOf = (group: string): number => {
    const row = named(group);
    const id = row === undefined ? parseId(group) : parseId(row[2]!);
    if (id === undefined)
      throw new HolmError('invalid', `unable to find group ${group}: no matching entries in group file`);
    return id;
  };
  const primary = groupPart !== undefined && groupPart !== '' ? idOf(groupPart) : (parseId(entry?.[3] ?? '0') ?? 0);
  const memberOf =
    groupPart === undefined || groupPart === ''
      ? groups
          .filter((row) => entry !== undefined && (row[3] ?? '').split(',').includes(entry[0]!))
          .map((row) => Number(row[2]))
      : [];
  const supplementary = [...new Set([primary, ...memberOf, ...additionalGroups.map(idOf)])];
  return { uid, gid: primary, groups: supplementary, home: entry?.[5] || '/' };
}

function parseId(text: string): number | undefined {
  return /^\d+$/.test(text) && Number(text) <= mostId ? Number(text) : undefined;
}

function rows(text: string, least: number): string[][] {
  return text
    .split('\n')
    .map((line) => line.trim().split(':'))
    .filter((row) => row.length >= Math.min(least, 3) && row[0] !== '' && !row[0]!.startsWith('#'));
}
