// `holm run` and `holm create`. The order of calls is docker's: create, attach, wait, start; a missing image is pulled between.
import { HolmError, kindOf, messageOf } from '../../base/error.ts';
import type { Client } from '../client.ts';
import type { Invocation } from '../command.ts';
import { parseDetachKeys } from '../detach-keys.ts';
import { attachContainer, followContainer, type WaitAnswer } from '../guest.ts';
import { type CreateBody, createBody } from '../run/body.ts';
import { windowSize } from '../terminal.ts';

export async function run({ flags, positionals, client }: Invocation): Promise<number> {
  const detach = flags.bool('detach');
  const size = flags.bool('tty') ? windowSize() : undefined;
  const body = createBody(flags, positionals[0]!, positionals.slice(1), { detach, size });
  if (!detach) checkTerminal(body.AttachStdin, body.Tty);
  const detachKeys = flags.text('detach-keys');
  if (detachKeys !== '') parseDetachKeys(detachKeys);
  const id = await createContainer({ flags, client }, body);
  const path = `/containers/${id}`;
  if (detach) {
    await client.json('POST', `${path}/start`);
    process.stdout.write(`${id}\n`);
    return 0;
  }
  const streams = { stdin: body.AttachStdin, stdout: body.AttachStdout, stderr: body.AttachStderr };
  if (!Object.values(streams).some(Boolean)) process.stdout.write(`${id}\n`);
  const attached = await attachContainer(client, id, { ...streams, terminal: body.Tty, detachKeys });
  const abort = new AbortController();
  const exit = client
    .request('POST', `${path}/wait`, {
      query: { condition: body.HostConfig.AutoRemove ? 'removed' : 'next-exit' },
      signal: abort.signal,
    })
    .then(readWait);
  exit.catch(() => undefined);
  try {
    await client.json('POST', `${path}/start`);
  } catch (error) {
    abort.abort();
    attached?.socket.destroy();
    throw error;
  }
  const code = await followContainer(client, id, { attached, exit, sigProxy: flags.bool('sig-proxy') });
  return code === 'detached' ? 0 : code;
}

export async function create({ flags, positionals, client }: Invocation): Promise<number> {
  const body = createBody(flags, positionals[0]!, positionals.slice(1), { detach: false });
  process.stdout.write(`${await createContainer({ flags, client }, body)}\n`);
  return 0;
}

/** Gives the id; prints the warnings; pulls the image as --pull says. */
async function createContainer(
  { flags, client }: Pick<Invocation, 'flags' | 'client'>,
  body: CreateBody,
): Promise<string> {
  const idFile = flags.text('cidfile');
  if (idFile !== '' && process.getBuiltinModule('node:fs').existsSync(idFile))
    throw new HolmError(
      'conflict',
      `container ID file found, make sure the other container isn't running or delete ${idFile}`,
    );
  const platform = flags.has('platform') ? flags.text('platform') : undefined;
  const query = { name: flags.has('name') ? flags.text('name') : undefined, platform };
  const when = flags.text('pull');
  if (!['always', 'missing', 'never', ''].includes(when))
    throw new HolmError('invalid', `invalid pull option: '${when}': must be one of "always", "missing" or "never"`);
  const ask = () =>
    client.json<{ Id: string; Warnings?: string[] | null }>('POST', '/containers/create', { query, json: body });
  const pull = () => pullMissing(client, body.Image, platform, flags.bool('quiet'));
  if (when === 'always') await pull();
  const answer = await ask().catch(async (error: unknown) => {
    const missing = kindOf(error) === 'notFound' && /no such image/i.test(messageOf(error));
    if (!missing || when === 'never' || when === 'always') throw error;
    process.stderr.write(`Unable to find image '${body.Image}' locally\n`);
    await pull();
    return ask();
  });
  for (const warning of answer.Warnings ?? []) process.stderr.write(`WARNING: ${warning}\n`);
  if (idFile !== '') process.getBuiltinModule('node:fs').writeFileSync(idFile, answer.Id);
  return answer.Id;
}

async function pullMissing(client: Client, image: string, platform: string | undefined, quiet: boolean): Promise<void> {
  const { pullImage } = await import('./transfer.ts');
  await pullImage(client, image, { platform, quiet, to: process.stderr });
}

async function readWait(answer: { body: AsyncIterable<Uint8Array> }): Promise<WaitAnswer> {
  const { readAll } = await import('../client.ts');
  return JSON.parse(await readAll(answer.body)) as WaitAnswer;
}

/** A guest with a terminal and our input can have no other input than a terminal. */
export function checkTerminal(stdin: boolean, terminal: boolean): void {
  if (stdin && terminal && !process.stdin.isTTY) throw new HolmError('invalid', 'the input device is not a TTY');
}
