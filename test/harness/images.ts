// Images for the tests, made of Debian's packages: no binary is committed. Each is a docker archive in the cache.
import { createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { arch, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { output } from '../../scripts/command.ts';
import { takeFromPackage } from '../../scripts/debian.ts';
import { cacheDirectory } from './docker-client.ts';

/** A change of this number makes all images anew. */
const recipe = 1;

export interface ImageRequest {
  /** "repository:tag" */
  readonly tag: string;
  /** Uncompressed tars, lowest first. */
  readonly layers: readonly string[];
  /** The "config" object of the image's configuration. */
  readonly config: Readonly<Record<string, unknown>>;
  /** As OCI has it; this host's unless told. */
  readonly architecture?: string;
}

/** Path of a docker archive of "busybox:test": Debian's static busybox with all its applets, root, a user and a group. */
export async function busyboxImage(): Promise<string> {
  const archive = join(cacheDirectory, `busybox-${recipe}.tar`);
  if (existsSync(archive)) return archive;
  const work = mkdtempSync(join(tmpdir(), 'holm-busybox-'));
  try {
    const root = join(work, 'root');
    const layer = join(work, 'layer.tar');
    await makeBusyboxRoot(root);
    await packRoot(root, layer);
    await packImage({ tag: 'busybox:test', layers: [layer], config: { Cmd: ['sh'], Env: [`PATH=${path}`] } }, archive);
  } finally {
    rmSync(work, { recursive: true });
  }
  return archive;
}

const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Makes a directory with busybox and what a small system has in /etc. */
export async function makeBusyboxRoot(root: string): Promise<void> {
  const busybox = join(cacheDirectory, 'busybox');
  if (!existsSync(busybox)) await takeFromPackage(['busybox-static'], 'bin/busybox', busybox);
  for (const directory of ['bin', 'etc', 'root', 'home/alice', 'dev', 'proc', 'sys', 'usr/bin', 'var']) {
    mkdirSync(join(root, directory), { recursive: true });
  }
  mkdirSync(join(root, 'tmp'));
  chmodSync(join(root, 'tmp'), 0o1777);
  chownSync(join(root, 'home/alice'), 1000, 1000);
  cpSync(busybox, join(root, 'bin/busybox'));
  for (const applet of (await output([busybox, '--list'])).trim().split('\n')) {
    if (applet !== 'busybox') symlinkSync('busybox', join(root, 'bin', applet));
  }
  const users = [
    'root:x:0:0:root:/root:/bin/sh',
    'alice:x:1000:1000:Alice:/home/alice:/bin/sh',
    'nobody:x:65534:65534:nobody:/:/bin/sh',
  ];
  const groups = ['root:x:0:', 'alice:x:1000:', 'audio:x:29:alice', 'staff:x:50:alice', 'nogroup:x:65534:'];
  writeFileSync(join(root, 'etc/passwd'), `${users.join('\n')}\n`);
  writeFileSync(join(root, 'etc/group'), `${groups.join('\n')}\n`);
}

/** Makes a docker archive of an image that is busybox:test and, over it, the layers that the changes make in empty directories. */
export async function changedImage(
  tag: string,
  archive: string,
  ...changes: readonly ((root: string) => void)[]
): Promise<void> {
  const work = mkdtempSync(join(tmpdir(), 'holm-changed-'));
  try {
    await output(['tar', '-C', work, '-xf', await busyboxImage(), 'layer0.tar']);
    const layers = [join(work, 'layer0.tar')];
    for (const change of changes) {
      const root = join(work, `root${layers.length}`);
      mkdirSync(root);
      change(root);
      layers.push(`${root}.tar`);
      await packRoot(root, `${root}.tar`);
    }
    await packImage({ tag, layers, config: { Cmd: ['sh'] } }, archive);
  } finally {
    rmSync(work, { recursive: true });
  }
}

/** Packs a directory as a layer: names in order, one time for all, so that it is the same each time. */
export async function packRoot(root: string, layer: string): Promise<void> {
  await output(['tar', '-C', root, '--numeric-owner', '--sort=name', `--mtime=${created}`, '-cf', layer, '.']);
}

/** Packs layers and a configuration into a docker archive. */
export async function packImage(request: ImageRequest, archive: string): Promise<void> {
  mkdirSync(dirname(archive), { recursive: true });
  const work = mkdtempSync(join(tmpdir(), 'holm-image-'));
  try {
    const names = request.layers.map((_, index) => `layer${index}.tar`);
    for (const [index, layer] of request.layers.entries()) cpSync(layer, join(work, names[index] ?? ''));
    const config = {
      architecture: request.architecture ?? architectures[arch()] ?? arch(),
      os: 'linux',
      created,
      config: request.config,
      rootfs: { type: 'layers', diff_ids: request.layers.map((layer) => `sha256:${digestOf(layer)}`) },
      history: request.layers.map(() => ({ created, created_by: 'the tests of holm' })),
    };
    writeFileSync(join(work, 'config.json'), JSON.stringify(config));
    const manifest = [{ Config: 'config.json', RepoTags: [request.tag], Layers: names }];
    writeFileSync(join(work, 'manifest.json'), JSON.stringify(manifest));
    const unfinished = `${archive}.${process.pid}`;
    await output(['tar', '-C', work, '-cf', unfinished, 'manifest.json', 'config.json', ...names]);
    renameSync(unfinished, archive);
  } finally {
    rmSync(work, { recursive: true });
  }
}

const created = '2023-11-14T22:13:20Z';

/** Node's name of a CPU type, in OCI's words. */
const architectures: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64', riscv64: 'riscv64' };

function digestOf(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}
