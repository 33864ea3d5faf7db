// The container in which a software machine's process runs: a root with nothing in it but the process's own program and the
// machine's files, users that are nobody outside, no capabilities, no new privileges, the default system call filter, its cgroup.
import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Container, ContainerConfig, MountRequest } from '../../containers/container.ts';
import { configuredDiskBytes } from '../configured-disks.ts';
import type { Machine } from '../machine.ts';
import type { ProcessSettings } from './settings.ts';

/** Files of the host that the machine's process is given. */
export interface MachinePaths {
  /** The program holm-machine as one script. */
  readonly program: string;
  readonly settings: string;
  readonly kernel: string;
  readonly initramfs: string | undefined;
  /** The image's layers as one disk, and the machine's own. */
  readonly lowerDisk: string;
  readonly ownDisk: string;
}

/** A process's container carries the machine's id. */
export const machineLabel = 'holm.machine';

const inside = {
  node: '/holm/node',
  program: '/holm/machine.cjs',
  settings: '/machine/settings.json',
  kernel: '/machine/kernel',
  initramfs: '/machine/initramfs',
  lowerDisk: '/machine/image.erofs',
  ownDisk: '/machine/disk',
} as const;
const shareDirectory = (tag: string): string => `/machine/shares/${tag}`;

/** Memory that the process needs beside the guest's own: Node, decoded and translated code. */
const overheadBytes = 768 * 2 ** 20;
/** A machine that is asked to stop has this long: longer than a container, for a whole system goes down. */
const stopSeconds = 60;

/** First words of the kernel's command line; a panic ends in a reboot at once, which tells the monitor. */
const commandLine = 'console=ttyS0 panic=-1 holm.lower=image holm.upper=disk';

export function settingsOf(machine: Machine, paths: MachinePaths): ProcessSettings {
  const { config } = machine;
  return {
    name: machine.name,
    harts: config.cpus,
    ramBytes: config.memoryBytes,
    engine: config.engine,
    kernel: inside.kernel,
    ...(paths.initramfs !== undefined && { initrd: inside.initramfs }),
    commandLine: [
      commandLine,
      ...namesOfHost(machine.name),
      // The file system that was copied is smaller than the disk.
      config.diskBytes > configuredDiskBytes ? 'holm.grow' : '',
      config.commandLine,
    ]
      .filter(Boolean)
      .join(' '),
    disks: [
      { path: inside.lowerDisk, serial: 'image', readOnly: true },
      { path: inside.ownDisk, serial: 'disk', readOnly: false },
    ],
    ...(config.network === 'user' && { network: { ports: config.ports } }),
    shares: config.shares.map(({ tag, readOnly }) => ({ path: shareDirectory(tag), tag, readOnly })),
  };
}

export function confinementOf(machine: Machine, paths: MachinePaths): ContainerConfig {
  const { config } = machine;
  const given = (source: string, target: string, readOnly = true): MountRequest => ({
    kind: 'bind',
    source,
    target,
    readOnly,
    propagation: 'rprivate',
    createSource: false,
    nonRecursive: true,
  });
  return {
    image: '',
    hostname: machine.name,
    domainname: '',
    user: '',
    workingDirectory: '/',
    environment: [],
    entrypoint: [inside.node],
    command: ['--max-semi-space-size=2', '--disable-warning=ExperimentalWarning', inside.program, inside.settings],
    labels: { ...config.labels, [machineLabel]: machine.id },
    terminal: true,
    stdinOpen: true,
    stdinOnce: false,
    attachStdin: true,
    attachStdout: true,
    attachStderr: true,
    stopSignal: 'SIGTERM',
    stopTimeoutSeconds: stopSeconds,
    exposedPorts: [],
    volumes: [],
    mounts: [
      given(process.execPath, inside.node),
      ...ownLibraries().map(({ source, target }) => given(source, target)),
      given(paths.program, inside.program),
      given(paths.settings, inside.settings),
      given(paths.kernel, inside.kernel),
      ...(paths.initramfs === undefined ? [] : [given(paths.initramfs, inside.initramfs)]),
      given(paths.lowerDisk, inside.lowerDisk),
      given(paths.ownDisk, inside.ownDisk, false),
      ...config.shares.map(({ source, tag, readOnly }) => given(source, shareDirectory(tag), readOnly)),
    ],
    volumesFrom: [],
    resources: { memoryBytes: config.memoryBytes + overheadBytes },
    devices: [],
    deviceCgroupRules: [],
    rlimits: [],
    sysctls: {},
    shmBytes: 2 ** 20,
    privileged: false,
    capabilitiesAdded: [],
    capabilitiesDropped: ['ALL'],
    securityOptions: ['no-new-privileges'],
    readOnlyRoot: true,
    additionalGroups: [],
    init: false,
    namespaces: {
      pid: { from: 'new' },
      ipc: { from: 'new' },
      uts: { from: 'new' },
      cgroup: { from: 'new' },
      user: { from: 'auto' },
    },
    network: config.network === 'user' ? { from: 'network', network: 'bridge' } : { from: 'none' },
    macAddress: '',
    networkAliases: [],
    dnsServers: [],
    dnsSearch: [],
    dnsOptions: [],
    extraHosts: [],
    ports: [],
    publishAll: false,
    log: { driver: 'json-file', options: {}, maxBytes: 64 * 2 ** 20, maxFiles: 2 },
    restart: config.restart,
    autoRemove: false,
    cgroupParent: '',
    runtime: '',
    annotations: {},
  };
}

/** The kernel's word for the name of the host, and systemd's; what a name may have and a host's may not is a hyphen there. */
function namesOfHost(name: string): string[] {
  const host = name.replace(/[^a-zA-Z0-9]+/g, '-').replace(/-$/, '');
  return [`hostname=${host}`, `systemd.hostname=${host}`];
}

/** The files of the host that are the disks of a machine's process. */
export function disksOf({ mountPoints }: Container): { readonly own: string; readonly lower: string } {
  const sourceOf = (target: string): string => mountPoints.find((point) => point.target === target)?.source ?? '';
  return { own: sourceOf(inside.ownDisk), lower: sourceOf(inside.lowerDisk) };
}

/** The shared libraries of this very process, and its loader, each under all its names: what Node needs to run anywhere. */
function ownLibraries(): readonly { source: string; target: string }[] {
  const maps = readFileSync('/proc/self/maps', 'utf8');
  const paths = [...new Set(maps.match(/(?<= )\/\S+\.so(\.\S+)?$/gm) ?? [])];
  const named = paths.flatMap((path) => namesOf(path).map((target) => ({ source: path, target })));
  return [...named, ...loaders.filter((path) => existsSync(path)).map((path) => ({ source: path, target: path }))];
}

/** A library is asked for by the name in its DT_SONAME, which is a link beside it: libx.so.6 to libx.so.6.0.30. */
function namesOf(path: string): string[] {
  const stem = basename(path).replace(/\.so.*$/, '.so');
  return readdirSync(dirname(path))
    .filter((name) => name.startsWith(stem))
    .map((name) => join(dirname(path), name))
    .filter((name) => realpathSync(name) === path);
}

/** Where ELF programs name their loader (PT_INTERP); the maps have the file behind that link. */
const loaders = ['/lib64/ld-linux-x86-64.so.2', '/lib/ld-linux-aarch64.so.1'];
