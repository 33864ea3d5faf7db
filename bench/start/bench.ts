// What all measures share: the engines that run, the floor, the images, and how a container is asked for.
import type { Engine, Place } from '../engines/engine.ts';
import type { Floor } from '../engines/floor.ts';
import { type Images, image } from '../images.ts';
import type { FoundPeer } from '../peers.ts';

export interface Bench {
  readonly place: Place;
  readonly images: Images;
  readonly engines: readonly Engine[];
  /** holm without warm slots: only its containers' life is measured. */
  readonly cold: Engine;
  readonly floor: Floor;
  /** OCI runtimes. */
  readonly runtimes: readonly FoundPeer[];
  readonly quick: boolean;
}

/** Creates a container that runs `argv` with docker's defaults; gives its id. */
export async function create(
  { api, kind, home }: Engine,
  argv: readonly string[],
  { HostConfig, ...options }: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const hostConfig = { ...kind.hostConfig?.(home), ...(HostConfig as Readonly<Record<string, unknown>> | undefined) };
  const request = { Image: image, Cmd: argv, ...options, HostConfig: hostConfig };
  const { Id } = await api.json<{ Id: string }>('POST', '/containers/create', request);
  return Id;
}

export async function start({ api }: Pick<Engine, 'api'>, id: string): Promise<void> {
  await api.call('POST', `/containers/${id}/start`);
}

/** Waits for the end of a container; gives its exit code. */
export async function wait({ api }: Pick<Engine, 'api'>, id: string): Promise<number> {
  const { StatusCode } = await api.json<{ StatusCode: number }>('POST', `/containers/${id}/wait`);
  return StatusCode;
}

export async function kill({ api }: Pick<Engine, 'api'>, id: string): Promise<void> {
  await api.call('POST', `/containers/${id}/kill?signal=KILL`);
}

export async function remove({ api }: Pick<Engine, 'api'>, id: string): Promise<void> {
  await api.call('DELETE', `/containers/${id}?force=true`);
}

/** The whole life of a container that runs `true`. */
export async function cycle(engine: Engine): Promise<void> {
  const id = await create(engine, ['true']);
  await start(engine, id);
  const code = await wait(engine, id);
  if (code !== 0) throw new Error(`"true" ended with ${code} in ${engine.name}`);
  await remove(engine, id);
}
