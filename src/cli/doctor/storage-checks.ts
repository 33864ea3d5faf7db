// What the doctor looks for where images and containers are kept, and in the kernel's file systems.
import { formatBytes } from '../../base/units.ts';
import { type Check, type Finding, lacks, ok, warns } from './check.ts';
import { type Host, kernelHas } from './host.ts';

const stateDirectory = '/var/lib/holm';
const leastBytes = 1e9;
const comfortableBytes = 5e9;

/** Can hold overlay's upper directory (xattrs, d_type, whiteouts), and idmapped mounts since which kernel. */
const fileSystems: Readonly<
  Record<string, { readonly upper: boolean; readonly idmapped?: readonly [number, number] }>
> = {
  ext4: { upper: true, idmapped: [5, 12] },
  xfs: { upper: true, idmapped: [5, 12] },
  btrfs: { upper: true, idmapped: [5, 15] },
  tmpfs: { upper: true, idmapped: [6, 3] },
  f2fs: { upper: true, idmapped: [5, 18] },
  zfs: { upper: true },
  bcachefs: { upper: true },
  ext3: { upper: true },
  overlay: { upper: false },
  nfs: { upper: false },
  nfs4: { upper: false },
  fuse: { upper: false },
  'fuse.sshfs': { upper: false },
  vfat: { upper: false },
  '9p': { upper: false },
  virtiofs: { upper: false },
};

const fileSystem =
  (config: string, name: string, symbol: string) =>
  (host: Host): Finding => {
    if (new RegExp(`\\t${name}$`, 'm').test(host.read('/proc/filesystems'))) return ok('in this kernel');
    const found = kernelHas(host, { config, module: name, symbol });
    if (found === undefined) return warns('cannot be told');
    return found === 'absent' ? lacks('not in this kernel') : ok(found);
  };

export const storageChecks: readonly Check[] = [
  {
    name: 'overlayfs',
    section: 'storage',
    required: true,
    purpose: "a container's root: the image's layers under a writable one",
    remedy: 'modprobe overlay',
    look: fileSystem('OVERLAY_FS', 'overlay', 'ovl_fill_super'),
  },
  {
    name: 'disk space',
    section: 'storage',
    required: true,
    purpose: `images, containers and volumes in ${stateDirectory}`,
    remedy: `more space, or a file system of its own mounted at ${stateDirectory}`,
    look: (host) => {
      const { bytes, directory } = host.freeSpace(stateDirectory);
      const detail = `${formatBytes(bytes)} free at ${directory}`;
      if (bytes < leastBytes) return lacks(detail);
      return bytes < comfortableBytes ? warns(detail) : ok(detail);
    },
  },
  {
    name: 'file system',
    section: 'storage',
    required: true,
    purpose: 'extended attributes and whiteouts, for the writable layer of overlayfs',
    remedy: `ext4, xfs or btrfs at ${stateDirectory}`,
    look: (host) => {
      const mount = mountOf(host);
      const known = fileSystems[mount.type];
      const bad = mount.options.filter((option) => ['noexec', 'nodev', 'nosuid', 'ro'].includes(option));
      if (known?.upper === false) return lacks(`${mount.type} cannot hold overlay's upper directory`);
      if (bad.length > 0) return lacks(`${mount.type} mounted ${bad.join(', ')}`);
      return known === undefined ? warns(`${mount.type} is untried`) : ok(mount.type);
    },
  },
  {
    name: 'idmapped mounts',
    section: 'storage',
    required: false,
    purpose: 'layers and bind mounts shared by containers with different user mappings, without chown',
    remedy: 'Linux 5.12 or newer with ext4 or xfs',
    look: (host) => {
      const { type } = mountOf(host);
      const since = fileSystems[type]?.idmapped;
      if (since === undefined) return warns(`not with ${type}`);
      const [major = 0, minor = 0] = host.kernelRelease.split('.').map((part) => Number.parseInt(part, 10));
      const has = major > since[0] || (major === since[0] && minor >= since[1]);
      return has ? ok(`with ${type}`) : warns(`${type} has them from Linux ${since.join('.')}`);
    },
  },
  {
    name: 'FUSE',
    section: 'storage',
    required: false,
    purpose: 'file systems of user programs, in guests that are given /dev/fuse',
    remedy: 'modprobe fuse',
    look: (host) => (host.exists('/dev/fuse') ? ok('/dev/fuse') : lacks('no /dev/fuse')),
  },
  {
    name: 'EROFS',
    section: 'storage',
    required: false,
    purpose: "image layers as read-only disks of machines, seen from the host's side too",
    remedy: 'modprobe erofs',
    look: fileSystem('EROFS_FS', 'erofs', 'erofs_fc_fill_super'),
  },
];

/** The mount that the state directory lies on. */
function mountOf(host: Host): { type: string; options: string[] } {
  const { directory } = host.freeSpace(stateDirectory);
  const under = host
    .read('/proc/self/mountinfo')
    .split('\n')
    .flatMap((line) => {
      const match = /^\d+ \d+ \S+ \S+ (\S+) (\S+) .*?- (\S+) /.exec(line);
      return match === null ? [] : [{ at: match[1]!, options: match[2]!.split(','), type: match[3]! }];
    })
    .filter(({ at }) => at === '/' || directory === at || directory.startsWith(`${at}/`));
  const longest = under.reduce((best, one) => (one.at.length >= best.at.length ? one : best), {
    at: '',
    options: [] as string[],
    type: 'unknown',
  });
  return longest;
}
