// Lists of containers: GET /containers/json with its filters, and prune, which takes some of them.

import { nowNanos } from '../base/clock.ts';
import { HolmError, kindOf } from '../base/error.ts';
import type { Container } from '../containers/container.ts';
import type { Backend } from './backend.ts';
import type { Call } from './call.ts';
import { type Sizes, summaryText } from './container-json.ts';
import { isRunning, stateWordOf, stateWords } from './container-state.ts';
import type { Filters } from './filters.ts';
import { networkModeText } from './host-config-json.ts';
import { containerOf, findImage } from './lookup.ts';
import { parseTimestamp } from './times.ts';

const listFilters: readonly string[] = [
  'ancestor',
  'before',
  'exited',
  'expose',
  'health',
  'id',
  'isolation',
  'is-task',
  'label',
  'name',
  'network',
  'publish',
  'since',
  'status',
  'volume',
];

const healthWords: readonly string[] = ['none', 'starting', 'healthy', 'unhealthy'];

/** GET /containers/json: newest first; running ones only unless asked otherwise. */
export async function listContainers(call: Call): Promise<void> {
  const { backend, query } = call;
  const filters = query.filters(listFilters);
  const limit = query.integer('limit') ?? 0;
  const isWanted = createFilter(call, filters, query.flag('all') || limit > 0);
  const newestFirst = backend.containers.list().toSorted((a, b) => (a.createdAt < b.createdAt ? 1 : -1));
  let wanted = newestFirst.filter(isWanted);
  if (limit > 0) wanted = wanted.slice(0, limit);
  const sizes = query.flag('size') ? await Promise.all(wanted.map(({ id }) => sizesOf(backend, id))) : [];
  const imageNames = createImageNamer(backend);
  const rows = wanted.map((container, at) => {
    const health = backend.containers.health(container.id);
    return summaryText(container, { image: imageNames(container), health, sizes: sizes[at] }, call.minor);
  });
  call.sendJsonText(200, `[${rows.join(',')}]`);
}

/** Of a container that is being removed at this moment there is no size. */
async function sizesOf(backend: Backend, id: string): Promise<Sizes | undefined> {
  try {
    return await backend.containers.sizes(id);
  } catch (error) {
    if (kindOf(error) === 'notFound') return undefined;
    throw error;
  }
}

/** What a container's image is called: as asked while that name still means the same image, else its id. */
function createImageNamer(backend: Backend): (container: Container) => string {
  const ids = new Map<string, string | undefined>();
  return ({ config, imageId }) => {
    if (!ids.has(config.image)) ids.set(config.image, findImage(backend, config.image)?.id);
    return ids.get(config.image) === imageId ? config.image : imageId;
  };
}

function createFilter(call: Call, filters: Filters, all: boolean): (container: Container) => boolean {
  if (filters.isEmpty) return all ? () => true : isRunning;
  const { backend } = call;
  for (const status of filters.get('status'))
    if (!stateWords.includes(status as (typeof stateWords)[number]))
      throw new HolmError('invalid', `invalid filter 'status=${status}': must be one of ${stateWords.join(', ')}`);
  for (const status of filters.get('health'))
    if (!healthWords.includes(status))
      throw new HolmError('invalid', `Unrecognised filter value for health: ${status}`);
  const codes = filters.get('exited').map((text) => {
    if (!/^-?\d+$/.test(text)) throw new HolmError('invalid', `invalid filter 'exited=${text}'`);
    return Number(text);
  });
  const before = filters.get('before').map((reference) => containerOf(call, reference).createdAt);
  const since = filters.get('since').map((reference) => containerOf(call, reference).createdAt);
  const ancestors = filters.has('ancestor') ? descendantsOf(backend, filters.get('ancestor')) : undefined;
  const anyState = all || filters.has('status') || codes.length > 0;
  return (container) =>
    (anyState || isRunning(container)) &&
    filters.pattern('id', container.id) &&
    filters.pattern('name', container.name, `/${container.name}`) &&
    filters.exact('status', stateWordOf(container)) &&
    (codes.length === 0 || (container.state.is === 'exited' && codes.includes(container.state.code))) &&
    before.every((time) => container.createdAt < time) &&
    since.every((time) => container.createdAt > time) &&
    (ancestors === undefined || ancestors.has(container.imageId)) &&
    filters.labels(container.labels) &&
    holdsVolume(container, filters) &&
    holdsNetwork(container, filters) &&
    filters.exact('health', backend.containers.health(container.id)?.status ?? 'none') &&
    !filters.flag('is-task', false) &&
    holdsPort(container, filters.get('expose')) &&
    !filters.has('publish');
}

/** Ids of the named images and of all images built upon them. */
function descendantsOf(backend: Backend, references: readonly string[]): ReadonlySet<string> {
  const bases = references.flatMap((reference) => findImage(backend, reference) ?? []);
  const tops = new Set(bases.map((base) => base.layers.at(-1)?.chainId));
  const ids = new Set<string>(bases.map((base) => base.id));
  for (const image of backend.images.list())
    if (image.layers.some((layer) => tops.has(layer.chainId))) ids.add(image.id);
  return ids;
}

function holdsVolume({ mountPoints }: Container, filters: Filters): boolean {
  const wanted = filters.get('volume');
  if (wanted.length === 0) return true;
  return wanted.some((volume) => mountPoints.some(({ name, target }) => name === volume || target === volume));
}

function holdsNetwork({ endpoints, config }: Container, filters: Filters): boolean {
  const wanted = filters.get('network');
  if (wanted.length === 0) return true;
  return wanted.some(
    (network) =>
      networkModeText(config.network) === network ||
      endpoints.some(({ networkName, networkId }) => networkName === network || networkId.startsWith(network)),
  );
}

function holdsPort({ config }: Container, wanted: readonly string[]): boolean {
  if (wanted.length === 0) return true;
  return wanted.some((port) => config.exposedPorts.includes(port.includes('/') ? port : `${port}/tcp`));
}

/** POST /containers/prune: removes what does not run; "until" and "label" choose. */
export async function pruneContainers(call: Call): Promise<void> {
  const filters = call.query.filters(['until', 'label', 'label!']);
  const until = pruneUntil(filters);
  const { removed, bytes } = await call.backend.containers.prune(
    (container) => !filters.labels(container.labels) || (until !== undefined && container.createdAt >= until),
  );
  call.send(200, { ContainersDeleted: removed.length === 0 ? null : removed, SpaceReclaimed: bytes });
}

/** The "until" of a prune: only what is older goes. */
export function pruneUntil(filters: Filters): bigint | undefined {
  const values = filters.get('until');
  if (values.length > 1) throw new HolmError('invalid', 'more than one until filter specified');
  return values[0] === undefined ? undefined : parseTimestamp(values[0], nowNanos());
}
