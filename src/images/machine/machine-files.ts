// Where in an image the files are that a machine starts with: its labels tell, the layers have them. The words of the labels
// are those of docs/machine-images.md.
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { HolmError } from '../../base/error.ts';
import type { LayerStore } from '../../layers/layer-store.ts';
import type { Image } from '../image.ts';

export const machineLabels = {
  kernel: 'holm.machine.kernel',
  initramfs: 'holm.machine.initramfs',
} as const;

/** Files of this host; they stay while the image does. */
export interface MachineFiles {
  /** The kernel, as its boot protocol has it: for RISC-V a raw Image. */
  readonly kernel: string;
  /** A cpio archive; undefined when the image has none. */
  readonly initramfs: string | undefined;
}

/** The kernel and the initial RAM disk of an image; undefined when it has no kernel. Throws `corrupt` when a label leads nowhere. */
export async function findMachineFiles(
  image: Image,
  layers: Pick<LayerStore, 'pathOf'>,
): Promise<MachineFiles | undefined> {
  const { labels } = image.defaults;
  const kernel = labels[machineLabels.kernel];
  if (kernel === undefined) return undefined;
  const initramfs = labels[machineLabels.initramfs];
  return {
    kernel: await findFile(image, layers, kernel),
    initramfs: initramfs === undefined ? undefined : await findFile(image, layers, initramfs),
  };
}

/** Whether packages of the image are configured at its first boot: it has the script for that (first-boot.ts). */
export async function waitsForFirstBoot(image: Image, layers: Pick<LayerStore, 'pathOf'>): Promise<boolean> {
  for (const { chainId } of image.layers)
    if ((await findPlainFile(layers.pathOf(chainId), ['usr', 'lib', 'holm', 'first-boot'])) !== undefined) return true;
  return false;
}

/** The file in the topmost layer that has it. No symbolic link is followed: labels are a stranger's words. */
async function findFile(image: Image, layers: Pick<LayerStore, 'pathOf'>, path: string): Promise<string> {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..'))
    throw new HolmError('corrupt', `Cannot start from image "${image.id}": its label names "${path}"`);
  for (const { chainId } of image.layers.toReversed()) {
    const found = await findPlainFile(layers.pathOf(chainId), parts);
    if (found !== undefined) return found;
  }
  throw new HolmError('corrupt', `Cannot start from image "${image.id}": no layer has its file "${path}"`);
}

async function findPlainFile(directory: string, parts: readonly string[]): Promise<string | undefined> {
  let at = directory;
  for (const [index, part] of parts.entries()) {
    at = join(at, part);
    const status = await lstat(at).catch(() => undefined);
    const isRight = index === parts.length - 1 ? status?.isFile() : status?.isDirectory();
    if (isRight !== true) return undefined;
  }
  return at;
}
