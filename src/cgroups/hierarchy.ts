// Which cgroup hierarchies this host has mounted where: v2 alone, v1 controllers each in a hierarchy (some together, as
// cpu,cpuacct), or hybrid: v1 controllers and a v2 hierarchy beside them that gives kill and freeze.
import { readFileSync } from 'node:fs';
import { HolmError } from '../base/error.ts';

export interface Hierarchies {
  /** v2; in hybrid without controllers. */
  readonly unified?: { readonly mount: string; readonly controllers: readonly string[] };
  readonly v1: readonly HierarchyV1[];
  /** Of the v1 cpuset hierarchy's root: a new group must have both. */
  readonly cpuset?: { readonly cpus: string; readonly mems: string };
  /** Whether v1 counts swap (v2 does wherever there is swap). */
  readonly swap: boolean;
}
export interface HierarchyV1 {
  readonly mount: string;
  readonly controllers: readonly string[];
}

/** The v1 controllers that holm uses. */
const used = ['cpu', 'cpuacct', 'cpuset', 'memory', 'pids', 'blkio', 'freezer', 'devices'];

/** Finds the hierarchies of this host. Throws `unsupported` if none is mounted. */
export function detectHierarchies(
  mountinfo: string = readFileSync('/proc/self/mountinfo', 'utf8'),
  read: (path: string) => string = readOrEmpty,
): Hierarchies {
  const mounts = parseMounts(mountinfo);
  const v1 = mounts
    .filter(({ type }) => type === 'cgroup')
    .map(({ mount, options }) => ({ mount, controllers: used.filter((name) => options.includes(name)) }))
    .filter(({ controllers }, at, all) => {
      const first = all.findIndex((other) => other.controllers.join() === controllers.join());
      return controllers.length > 0 && first === at;
    });
  const root = mounts.find(({ type }) => type === 'cgroup2')?.mount;
  if (root === undefined && v1.length === 0) {
    throw new HolmError('unsupported', 'Cannot find a cgroup hierarchy: none is mounted');
  }
  const cpusetMount = v1.find(({ controllers }) => controllers.includes('cpuset'))?.mount;
  const memoryMount = v1.find(({ controllers }) => controllers.includes('memory'))?.mount;
  const unified =
    root === undefined
      ? undefined
      : { mount: root, controllers: read(`${root}/cgroup.controllers`).split(/\s+/).filter(Boolean) };
  return {
    ...(unified === undefined ? {} : { unified }),
    v1,
    ...(cpusetMount === undefined
      ? {}
      : {
          cpuset: { cpus: read(`${cpusetMount}/cpuset.cpus`).trim(), mems: read(`${cpusetMount}/cpuset.mems`).trim() },
        }),
    swap: memoryMount === undefined || read(`${memoryMount}/memory.memsw.limit_in_bytes`) !== '',
  };
}

/** The version that has a controller, and the controller's directory for a group; undefined if neither has it. */
export function locate(
  hierarchies: Hierarchies,
  controller: { readonly v1: string; readonly v2?: string },
  path: string,
): { readonly version: 1 | 2; readonly directory: string } | undefined {
  const v1 = hierarchies.v1.find(({ controllers }) => controllers.includes(controller.v1));
  if (v1 !== undefined) return { version: 1, directory: `${v1.mount}/${path}` };
  const { unified } = hierarchies;
  if (unified === undefined || controller.v2 === undefined || !unified.controllers.includes(controller.v2))
    return undefined;
  return { version: 2, directory: `${unified.mount}/${path}` };
}

/** The directories of a group, one in every hierarchy; v2's first. */
export function directoriesOf(hierarchies: Hierarchies, path: string): string[] {
  const mounts = [...(hierarchies.unified === undefined ? [] : [hierarchies.unified]), ...hierarchies.v1];
  return mounts.map(({ mount }) => `${mount}/${path}`);
}

/**
 * The group of a process that lives in `path` or below it. A guest that divides its own group on v2, as init systems and
 * engines do, leaves no process in `path` itself, and the kernel then lets none in (EBUSY): others go where its first one is.
 */
export function groupOfProcess(
  hierarchies: Hierarchies,
  path: string,
  pid: number,
  read: (path: string) => string = readOrEmpty,
): string {
  if (modeOf(hierarchies) !== 'v2') return path;
  const group = /^0::\/(.*)$/m.exec(read(`/proc/${pid}/cgroup`))?.[1] ?? '';
  return group.startsWith(`${path}/`) ? group : path;
}

/** "v2", "v1" or "hybrid". */
export function modeOf({ unified, v1 }: Hierarchies): 'v2' | 'v1' | 'hybrid' {
  if (v1.length === 0) return 'v2';
  return unified === undefined ? 'v1' : 'hybrid';
}

/** Throws `invalid` unless a path below the hierarchies' roots is plain: no "..", no empty part. */
export function checkPath(path: string): void {
  const isPlain = path.split('/').every((part) => part !== '' && part !== '.' && part !== '..' && !part.includes('\n'));
  if (!isPlain) throw new HolmError('invalid', `Cannot use cgroup path "${path}": not of the form parent/name`);
}

interface CgroupMount {
  readonly mount: string;
  readonly type: string;
  readonly options: readonly string[];
}

/** proc(5), mountinfo: id, parent, device, root, mount point, options, optional fields, "-", type, source, super options. */
function parseMounts(mountinfo: string): CgroupMount[] {
  return mountinfo.split('\n').flatMap((line) => {
    const [before = '', after = ''] = line.split(' - ');
    const mount = before.split(' ')[4] ?? '';
    const [type = '', , options = ''] = after.split(' ');
    return type === 'cgroup' || type === 'cgroup2'
      ? [{ mount: decodeOctal(mount), type, options: options.split(',') }]
      : [];
  });
}

function decodeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
