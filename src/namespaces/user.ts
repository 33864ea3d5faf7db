// A guest in a user namespace of its own: its maps, written by the guard, and its first process becoming root there. Until the
// maps stand it is nobody, and afterwards it can do nothing to the host: what needs the host's root, the guard does.
import { AT_FDCWD, O_CLOEXEC, O_RDONLY, O_WRONLY } from '../kernel/constants.ts';
import { guestPid, type Program, type Register, type Step, step } from '../kernel/steps.ts';
import { encodeIdMap, formatIdMap, type IdMapping } from './id-maps.ts';

/** Steps for the guard: which ids of the host the new namespace has. Each file can be written once only. */
export function writeMaps({ uids, gids }: IdMapping): Program {
  const write = (file: string, map: IdMapping['uids'], whose: string): Step =>
    step(
      'write_file',
      [AT_FDCWD, { prefix: '/proc/', register: guestPid, suffix: `/${file}` }, encodeIdMap(map), O_WRONLY],
      `map ${whose} ${formatIdMap(map).join(',')}`,
      { why: 'root inside is nobody special on the host' },
    );
  return [write('gid_map', gids, 'the groups'), write('uid_map', uids, 'the users')];
}

/** Step for the guard: opens the guest's user namespace, whose maps other calls take. */
export function openUserNamespace(result: Register): Step {
  const how = Buffer.alloc(24); // struct open_how: flags, mode, resolve
  how.writeBigUInt64LE(BigInt(O_RDONLY | O_CLOEXEC));
  const path = { prefix: '/proc/', register: guestPid, suffix: '/ns/user' };
  return step('openat2', [AT_FDCWD, path, how, how.length], 'open the user namespace', { result });
}

/** Steps for a process in a user namespace with maps: from an id of the host that has none there to root. */
export function becomeRootInside(): Program {
  return [
    step('setgroups', [0, null], 'leave all groups of the host'),
    step('setresgid', [0, 0, 0], 'become group 0 of the user namespace'),
    step('setresuid', [0, 0, 0], 'become user 0 of the user namespace', {
      why: 'what it makes now has an owner inside',
    }),
  ];
}
