// What the containers are made of: an image of busybox and `emit`, its root file system as a directory, and a large archive to load.
import { createHash } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { output } from '../scripts/command.ts';
import { makeBusyboxRoot, packImage, packRoot } from '../test/harness/images.ts';

/** The name that every engine knows the image by, whatever it takes short names for. */
export const image = 'docker.io/library/holm-bench:latest';
export const largeImage = 'docker.io/library/holm-bench-large:latest';

export interface Images {
  /** A docker archive of `image`. */
  readonly archive: string;
  /** Its root file system. */
  readonly rootfs: string;
}

export async function makeImages(directory: string): Promise<Images> {
  const rootfs = join(directory, 'rootfs');
  const layer = join(directory, 'layer.tar');
  await makeBusyboxRoot(rootfs);
  const compile = [process.env.CC ?? 'cc', '-O2', '-static', '-Wall', '-Wextra', '-Werror'];
  await output([...compile, join(import.meta.dirname, 'emit.c'), '-o', join(rootfs, 'bin/emit')]);
  await packRoot(rootfs, layer);
  const archive = join(directory, 'image.tar');
  const config = { Cmd: ['sh'], Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'] };
  await packImage({ tag: image, layers: [layer], config }, archive);
  // Mount points that an engine would make in a container's own layer.
  for (const name of ['resolv.conf', 'hostname', 'hosts']) writeFileSync(join(rootfs, 'etc', name), '');
  return { archive, rootfs };
}

const files = 5000;
const fileBytes = 23_500;

/**
 * Makes a docker archive of `largeImage`: one layer of 121 MB in 5,000 files, whose bytes do not repeat; the same for the same
 * seed. `scratch` is a directory on a tmpfs: for minutes after a removal of many files ext4 is slow to make new ones.
 */
export async function makeLargeArchive(archive: string, scratch: string, seed: number): Promise<void> {
  const root = join(scratch, 'large');
  const layer = join(scratch, 'large-layer.tar');
  const block = noise(2 * fileBytes);
  for (let index = 0; index < files; index++) {
    const folder = join(root, `usr/share/${Math.floor(index / 50)}`);
    if (index % 50 === 0) mkdirSync(folder, { recursive: true });
    const from = (index * 7919) % fileBytes;
    const content = Buffer.from(block.subarray(from, from + fileBytes));
    content.writeUInt32LE(index, 0);
    content.writeUInt32LE(seed, 4);
    writeFileSync(join(folder, `file-${index}`), content);
  }
  await packRoot(root, layer);
  rmSync(root, { recursive: true });
  await packImage({ tag: largeImage, layers: [layer], config: { Cmd: ['true'] } }, archive);
  rmSync(layer);
}

function noise(bytes: number): Buffer {
  const parts = Array.from({ length: Math.ceil(bytes / 32) }, (_, index) =>
    createHash('sha256').update(String(index)).digest(),
  );
  return Buffer.concat(parts).subarray(0, bytes);
}
