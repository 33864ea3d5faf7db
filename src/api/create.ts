// POST /containers/create: the request is parsed, its image looked up, its name checked.
import { HolmError, kindOf } from '../base/error.ts';
import type { ContainerConfig } from '../containers/container.ts';
import type { Image, Platform } from '../images/image.ts';
import { parsePlatform } from '../images/platform.ts';
import type { Asked, Call } from './call.ts';
import { parseCreateRequest } from './create-request.ts';
import type { Fields } from './fields.ts';
import { hostFactsOf, imageOf } from './lookup.ts';
import { nameInUse } from './wording.ts';

const legalName = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

/** A name without its slash; undefined for none. */
export function parseName(text: string): string | undefined {
  const name = text.startsWith('/') ? text.slice(1) : text;
  if (name === '') return undefined;
  if (!legalName.test(name))
    throw new HolmError('invalid', `Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`);
  return name;
}

/** Turns a conflict of names into Docker's text, which tells the holder. */
export function asNameConflict(asked: Asked, name: string | undefined, error: unknown): unknown {
  if (kindOf(error) !== 'conflict' || name === undefined) return error;
  const holder = asked.backend.containers.list().find((container) => container.name === name);
  return holder === undefined ? error : nameInUse(name, holder.id);
}

/** The configuration that a create request asks for; its image is there. */
export function readCreateRequest(asked: Asked, body: Fields): ContainerConfig {
  const facts = hostFactsOf(asked.backend);
  const config = parseCreateRequest(body, {
    minor: asked.minor,
    hostCpus: facts.cpus,
    cgroupVersion: facts.cgroupVersion,
    // "linux" alone says nothing more than that.
    platform: asked.query.text('platform').replace(/^linux$/, ''),
  });
  const image = imageOf(asked, config.image);
  if (config.platform !== undefined) checkPlatform(image, config.image, parsePlatform(config.platform));
  return config;
}

function checkPlatform(image: Image, reference: string, wanted: Platform): void {
  const { os, architecture, variant } = image.platform;
  const isSame = os === wanted.os && architecture === wanted.architecture;
  if (isSame && (wanted.variant === undefined || variant === undefined || variant === wanted.variant)) return;
  throw new HolmError(
    'notFound',
    `image with reference ${reference} was found but its platform (${formatPlatform(image.platform)}) ` +
      `does not match the specified platform (${formatPlatform(wanted)})`,
  );
}

/** POST /containers/create. */
export async function createContainer(call: Call): Promise<void> {
  const name = parseName(call.query.text('name'));
  const config = readCreateRequest(call, await call.json());
  try {
    const { id, warnings } = await call.backend.containers.create(config, name);
    call.send(201, { Id: id, Warnings: warnings });
  } catch (error) {
    throw asNameConflict(call, name, error);
  }
}

function formatPlatform({ os, architecture, variant }: Platform): string {
  return `${os}/${architecture}${variant === undefined ? '' : `/${variant}`}`;
}
