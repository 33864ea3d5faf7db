// Images and file systems on their way in and out: pull, load, import, save, export, commit.
import { createReadStream, createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { HolmError, hasCode } from '../../base/error.ts';
import { type Body, type Client, escapePath, splitJsonLines } from '../client.ts';
import type { Invocation } from '../command.ts';
import { ProgressLines } from '../format/progress.ts';
import { type Message, showMessages } from '../messages.ts';

export async function pull({ flags, positionals, client }: Invocation): Promise<number> {
  const image = positionals[0]!;
  const platform = flags.has('platform') ? flags.text('platform') : undefined;
  const options = { platform, quiet: flags.bool('quiet'), allTags: flags.bool('all-tags'), to: process.stdout };
  await pullImage(client, image, options);
  process.stdout.write(`${image}\n`);
  return 0;
}

/** Pulls "name[:tag|@digest]"; without a tag "latest", unless all are wanted. */
export async function pullImage(
  client: Client,
  image: string,
  options: { platform: string | undefined; quiet: boolean; allTags?: boolean; to: NodeJS.WriteStream },
): Promise<void> {
  const { name, tag } = splitReference(image);
  const query = { fromImage: name, tag: options.allTags ? undefined : (tag ?? 'latest'), platform: options.platform };
  const messages = client.jsonLines<Message>('POST', '/images/create', { query });
  await showMessages(messages, options.quiet ? undefined : new ProgressLines(options.to));
}

/** "host:5000/a/b:c" to "host:5000/a/b" and "c"; a digest counts as a tag. */
export function splitReference(image: string): { name: string; tag: string | undefined } {
  const digest = image.indexOf('@');
  if (digest >= 0) return { name: image.slice(0, digest).replace(/:[^/]*$/, ''), tag: image.slice(digest + 1) };
  const match = /^(.*?)(?::([^/:]+))?$/.exec(image);
  return { name: match?.[1] ?? image, tag: match?.[2] };
}

export async function load({ flags, client }: Invocation): Promise<number> {
  const file = flags.text('input');
  if (file === '' && process.stdin.isTTY)
    throw new HolmError('invalid', 'requested load from stdin, but stdin is empty');
  const quiet = flags.bool('quiet') || !process.stdout.isTTY;
  const { headers, body } = await client.request('POST', '/images/load', {
    query: { quiet, platform: flags.has('platform') ? flags.text('platform') : undefined },
    stream: openInput(file === '' ? '-' : file),
    headers: { 'Content-Type': 'application/x-tar' },
  });
  if (!headers.get('content-type')?.includes('json'))
    await pipeline(Readable.from(body), process.stdout, { end: false });
  else
    await showMessages(splitJsonLines<Message>(body), quiet ? undefined : new ProgressLines(process.stdout), (text) => {
      process.stdout.write(text);
    });
  return 0;
}

export async function importRoot({ flags, positionals, client }: Invocation): Promise<number> {
  const [source, reference] = positionals as [string, string | undefined];
  const isUrl = /^https?:\/\//.test(source);
  const { body } = await client.request('POST', '/images/create', {
    query: {
      fromSrc: isUrl ? source : '-',
      repo: reference,
      message: flags.has('message') ? flags.text('message') : undefined,
      changes: flags.list('change'),
      platform: flags.has('platform') ? flags.text('platform') : undefined,
    },
    ...(isUrl ? {} : { stream: openInput(source), headers: { 'Content-Type': 'application/x-tar' } }),
  });
  await showMessages(splitJsonLines<Message>(body), new ProgressLines(process.stdout));
  return 0;
}

export async function save({ flags, positionals, client }: Invocation): Promise<number> {
  const query = { names: positionals, platform: flags.has('platform') ? flags.text('platform') : undefined };
  return writeOutput(flags.text('output'), 'save', () => client.request('GET', '/images/get', { query }));
}

export async function exportRoot({ flags, positionals, client }: Invocation): Promise<number> {
  const path = `/containers/${escapePath(positionals[0]!)}/export`;
  return writeOutput(flags.text('output'), 'export', () => client.request('GET', path));
}

export async function commit({ flags, positionals, client }: Invocation): Promise<number> {
  const [container, reference] = positionals as [string, string | undefined];
  const { name, tag } = splitReference(reference ?? '');
  const { Id: id } = await client.json<{ Id: string }>('POST', '/commit', {
    query: {
      container,
      repo: name === '' ? undefined : name,
      tag,
      comment: flags.text('message'),
      author: flags.text('author'),
      pause: flags.bool('pause'),
      changes: flags.list('change'),
    },
  });
  process.stdout.write(`${id}\n`);
  return 0;
}

/** The bytes of a file, or of standard input for "-". */
function openInput(path: string): Body {
  return path === '-' ? process.stdin : createReadStream(path, { highWaterMark: 256 * 1024 });
}

/** To a file under a temporary name that becomes its own when all is there, or to standard output unless that is a terminal. */
async function writeOutput(file: string, verb: string, request: () => Promise<{ body: Body }>): Promise<number> {
  if (file === '' && process.stdout.isTTY)
    throw new HolmError('invalid', `cowardly refusing to ${verb} to a terminal. Use the -o flag or redirect`);
  const { body } = await request();
  if (file === '' || file === '-') {
    await pipeline(Readable.from(body, { objectMode: false }), process.stdout, { end: false });
    return 0;
  }
  const partial = `${file}.partial-${process.pid}`;
  try {
    await pipeline(body, createWriteStream(partial, { mode: 0o600 }));
    await rename(partial, file);
  } catch (error) {
    await rm(partial, { force: true });
    if (hasCode(error, 'ENOENT'))
      throw new HolmError('notFound', `Cannot write "${file}": no such directory`, { cause: error });
    throw error;
  }
  return 0;
}
