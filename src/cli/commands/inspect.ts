// `holm inspect` and its forms for one kind of object: JSON as the API gives it, or a template.
import { HolmError, kindOf, messageOf } from '../../base/error.ts';
import { type Client, escapePath } from '../client.ts';
import type { Invocation } from '../command.ts';
import { compileTemplate } from '../format/template.ts';

type Kind = 'container' | 'image' | 'network' | 'volume';
type Query = Record<string, string | true | undefined>;

const paths: Readonly<Record<Kind, (name: string) => string>> = {
  container: (name) => `/containers/${name}/json`,
  image: (name) => `/images/${name}/json`,
  network: (name) => `/networks/${name}`,
  volume: (name) => `/volumes/${name}`,
};

export async function inspectAny(invocation: Invocation): Promise<number> {
  const { flags } = invocation;
  const type = flags.text('type');
  if (type !== '' && !(type in paths)) throw new HolmError('invalid', `unknown type: "${type}"`);
  const kinds = type === '' ? (Object.keys(paths) as Kind[]) : [type as Kind];
  return inspect(invocation, kinds, { size: flags.bool('size') || undefined });
}

export function inspectContainers(invocation: Invocation): Promise<number> {
  return inspect(invocation, ['container'], { size: invocation.flags.bool('size') || undefined });
}

export function inspectImages(invocation: Invocation): Promise<number> {
  const { flags } = invocation;
  return inspect(invocation, ['image'], { platform: flags.has('platform') ? flags.text('platform') : undefined });
}

export function inspectNetworks(invocation: Invocation): Promise<number> {
  return inspect(invocation, ['network'], { verbose: invocation.flags.bool('verbose') || undefined });
}

export function inspectVolumes(invocation: Invocation): Promise<number> {
  return inspect(invocation, ['volume'], {});
}

/** Prints what is found even when something else is not, as docker does. */
async function inspect(
  { flags, positionals, client }: Invocation,
  kinds: readonly Kind[],
  query: Query,
): Promise<number> {
  const format = flags.text('format');
  const template = format === '' || format === 'json' ? undefined : compileTemplate(format);
  const found: unknown[] = [];
  const errors: string[] = [];
  for (const name of positionals) {
    const one = await find(client, name, kinds, query).catch((error: unknown) => {
      if (kindOf(error) === 'unavailable') throw error;
      errors.push(messageOf(error));
      return undefined;
    });
    if (one !== undefined) found.push(one);
    if (template !== undefined) process.stdout.write(one === undefined ? '\n' : `${template(one)}\n`);
  }
  if (format === '') process.stdout.write(`${JSON.stringify(found, undefined, 4)}\n`);
  if (format === 'json') process.stdout.write(`${JSON.stringify(found)}\n`);
  if (errors.length > 0) process.stderr.write(`${errors.join('\n')}\n`);
  return errors.length > 0 ? 1 : 0;
}

async function find(client: Client, name: string, kinds: readonly Kind[], query: Query): Promise<unknown> {
  let last: unknown;
  for (const kind of kinds) {
    try {
      return await client.json('GET', paths[kind](escapePath(name)), { query });
    } catch (error) {
      if (kindOf(error) !== 'notFound') throw error;
      last = error;
    }
  }
  if (kinds.length === 1) throw last;
  throw new HolmError('notFound', `error: no such object: ${name}`);
}
