// The device files and links of a guest's /dev (OCI runtime-spec, config-linux.md, "Default Devices").

import { lstatSync, readdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { HolmError } from '../base/error.ts';
import {
  AT_FDCWD,
  errno,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  S_IFBLK,
  S_IFCHR,
  S_IFIFO,
} from '../kernel/constants.ts';
import { onlyIf, type Program, type Register, type Registers, step } from '../kernel/steps.ts';
import { closeStep, placeBind } from '../mounts/mount.ts';
import { openHow } from '../mounts/overlay.ts';
import type { DeviceNode } from './guest-spec.ts';

export const defaultDevices: readonly DeviceNode[] = [
  ['null', 1, 3],
  ['zero', 1, 5],
  ['full', 1, 7],
  ['random', 1, 8],
  ['urandom', 1, 9],
  ['tty', 5, 0],
].map(([name, major, minor]) => charDevice(`/dev/${name}`, major as number, minor as number));

export const defaultLinks: readonly { readonly path: string; readonly target: string }[] = [
  { path: '/dev/ptmx', target: 'pts/ptmx' },
  { path: '/dev/fd', target: '/proc/self/fd' },
  { path: '/dev/stdin', target: '/proc/self/fd/0' },
  { path: '/dev/stdout', target: '/proc/self/fd/1' },
  { path: '/dev/stderr', target: '/proc/self/fd/2' },
  { path: '/dev/core', target: '/proc/kcore' },
];

function charDevice(path: string, major: number, minor: number): DeviceNode {
  return { path, type: 'char', major, minor, mode: 0o666, uid: 0, gid: 0, source: path };
}

const fileTypes = { char: S_IFCHR, block: S_IFBLK, fifo: S_IFIFO } as const;

/** Makes device files and links beneath `root`; what stands there already is left. */
export function makeDevices(
  root: Register,
  devices: readonly DeviceNode[],
  links: readonly { readonly path: string; readonly target: string }[],
  registers: Registers,
): Program {
  const parent = registers.acquire();
  registers.release(parent);
  const parents = Map.groupBy([...devices, ...links], (node) => dirname(node.path));
  return [...parents].flatMap(([directory, nodes]) => [
    step('make_path', [root, directory, 0o755, 0], `make "${directory}"`),
    step(
      'openat2',
      [root, directory, openHow(O_PATH | O_DIRECTORY | O_CLOEXEC, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS), 24],
      `open "${directory}"`,
      {
        result: parent,
        why: 'the directory as it is with all mounts upon it',
      },
    ),
    ...nodes.flatMap((node) => ('target' in node ? makeLink(parent, node) : makeNode(parent, node))),
    closeStep(parent),
  ]);
}

/** Binds device files of the host beneath `root`, for a guest whose user namespace may make none (mknod(2), EPERM). */
export function bindDevices(root: Register, devices: readonly DeviceNode[], registers: Registers): Program {
  return devices.flatMap(({ path, source = path }) => {
    const tree = registers.acquire();
    // Asked for: what stands at its place may be a guest's, such as a link into /proc in a volume over /dev.
    const bind = {
      kind: 'bind',
      target: path,
      isFile: true,
      recursive: false,
      readOnly: false,
      isAsked: true,
    } as const;
    const why = 'a user namespace may use devices, not make them';
    const steps = [
      step('open_tree', [AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC], `bind "${source}"`, {
        result: tree,
        why,
      }),
      ...placeBind(root, { ...bind, propagation: 'private', why }, tree, registers),
    ];
    registers.release(tree);
    return steps;
  });
}

function makeLink(parent: Register, link: { path: string; target: string }): Program {
  return [
    step('symlinkat', [link.target, parent, nameOf(link.path)], `link "${link.path}"`, { tolerate: [errno.EEXIST] }),
  ];
}

function makeNode(parent: Register, node: DeviceNode): Program {
  const name = nameOf(node.path);
  const make = step(
    'mknodat',
    [parent, name, fileTypes[node.type] | node.mode, deviceNumber(node.major, node.minor)],
    `make the device "${node.path}"`,
    {
      tolerate: [errno.EEXIST],
    },
  );
  if (node.uid === 0 && node.gid === 0) return [make];
  return onlyIf(make, [
    step('fchownat', [parent, name, node.uid, node.gid, 0], `give the device "${node.path}" its owner`),
  ]);
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** dev_t as the kernel's "new" encoding takes it (include/linux/kdev_t.h, new_decode_dev). */
export function deviceNumber(major: number, minor: number): number {
  return (minor & 0xff) + major * 256 + (minor >>> 8) * 1048576;
}

/** Reads a device of the host; a directory gives all devices beneath it, as docker's --device does. */
export function readDevices(hostPath: string, guestPath: string): DeviceNode[] {
  const stats = lstatSync(hostPath, { throwIfNoEntry: false });
  if (stats === undefined)
    throw new HolmError(
      'invalid',
      `error gathering device information while adding custom device "${hostPath}": no such file or directory`,
    );
  if (stats.isDirectory()) {
    return readdirSync(hostPath, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() || entry.isCharacterDevice() || entry.isBlockDevice())
      .flatMap((entry) => readDevices(`${hostPath}/${entry.name}`, `${guestPath}/${entry.name}`));
  }
  if (!stats.isCharacterDevice() && !stats.isBlockDevice()) {
    throw new HolmError(
      'invalid',
      `error gathering device information while adding custom device "${hostPath}": not a device node`,
    );
  }
  const { major, minor } = splitDeviceNumber(stats.rdev);
  return [
    {
      path: guestPath,
      type: stats.isBlockDevice() ? 'block' : 'char',
      major,
      minor,
      mode: stats.mode & 0o777,
      uid: stats.uid,
      gid: stats.gid,
      source: hostPath,
    },
  ];
}

/** Major and minor of a stat's st_rdev (glibc's encoding). */
export function splitDeviceNumber(rdev: number): { major: number; minor: number } {
  const number = BigInt(rdev);
  return {
    major: Number(((number >> 8n) & 0xfffn) | ((number >> 32n) & ~0xfffn)),
    minor: Number((number & 0xffn) | ((number >> 12n) & ~0xffn)),
  };
}
