// `holm machine page`: serves the page in which a machine runs, with the kernel and the initial RAM disk of an image or of files.
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { HolmError } from '../../base/error.ts';
import { type OfferedFile, servePage } from '../../console/server.ts';
import { type Client, escapePath } from '../client.ts';
import type { Invocation } from '../command.ts';

/** Serves until it is interrupted. */
export async function page({ flags, positionals, client }: Invocation): Promise<number> {
  const [image] = positionals;
  const offered = async (flag: string, part: 'kernel' | 'initramfs'): Promise<OfferedFile | undefined> => {
    if (flags.has(flag)) return await readOffered(flags.text(flag));
    return image === undefined ? undefined : await fetchOffered(client, image, part);
  };
  const kernel = await offered('kernel', 'kernel');
  const initrd = await offered('initrd', 'initramfs');
  const port = flags.has('port') ? flags.int('port') : 0;
  const server = await servePage({ port, ...(kernel && { kernel }), ...(initrd && { initrd }) });
  process.stdout.write(`${server.url}\n`);
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve());
  });
  await server.close();
  return 0;
}

async function readOffered(path: string): Promise<OfferedFile> {
  try {
    return { name: basename(path), content: await readFile(path) };
  } catch (cause) {
    throw new HolmError('invalid', `Cannot read the file "${path}"`, { cause });
  }
}

/** A file of an image; undefined when the image has no such part. */
async function fetchOffered(client: Client, image: string, part: string): Promise<OfferedFile | undefined> {
  const { body } = await client.request('GET', `/holm/images/${escapePath(image)}/machine/${part}`);
  const content = Buffer.concat(await Array.fromAsync(body));
  return content.length === 0 ? undefined : { name: image, content };
}
