// Routes for images: list, inspect, history, tag, remove, prune, and commit. Transfers stand in image-transfer.ts.
import { HolmError } from '../base/error.ts';
import type { Image } from '../images/image.ts';
import { familiarName, familiarRepository, parseReference, withTag } from '../images/reference.ts';
import { changedIn } from './api-version.ts';
import type { Asked, Call } from './call.ts';
import { pruneUntil } from './container-list.ts';
import type { Filters } from './filters.ts';
import { historyJson, imageInspectJson, imageSummaryJson, sharedBytes } from './image-json.ts';
import { containerOf, imageOf } from './lookup.ts';
import type { Route } from './router.ts';

function list(call: Call): void {
  const { backend, query, minor } = call;
  const filters = query.filters(['dangling', 'label', 'label!', 'before', 'since', 'until', 'reference']);
  if (minor < 25 && query.text('filter') !== '' && !filters.has('reference'))
    throw new HolmError('unsupported', 'the parameter "filter" is not supported, use filters');
  const all = backend.images.list();
  const isWanted = createFilter(call, filters);
  const wanted = all.filter(isWanted).toSorted((a, b) => (a.createdAt < b.createdAt ? 1 : -1));
  const shared = query.flag('shared-size') ? sharedBytes(all) : undefined;
  const uses = minor >= changedIn.imageContainersCounted ? countUses(call) : undefined;
  call.send(
    200,
    wanted.map((image) =>
      imageSummaryJson(image, {
        minor,
        sharedBytes: shared?.get(image.id) ?? -1,
        containers: uses === undefined ? -1 : (uses.get(image.id) ?? 0),
      }),
    ),
  );
}

/** How many containers each image has. */
export function countUses({ backend }: Asked): ReadonlyMap<string, number> {
  const uses = new Map<string, number>();
  for (const { imageId } of backend.containers.list()) uses.set(imageId, (uses.get(imageId) ?? 0) + 1);
  return uses;
}

function createFilter(call: Call, filters: Filters): (image: Image) => boolean {
  if (filters.isEmpty) return () => true;
  const before = filters.get('before').map((reference) => imageOf(call, reference).createdAt);
  const since = filters.get('since').map((reference) => imageOf(call, reference).createdAt);
  const until = pruneUntil(filters);
  const patterns = filters.get('reference').map(globPattern);
  return (image) =>
    (!filters.has('dangling') || filters.flag('dangling', false) === (image.references.length === 0)) &&
    filters.labels(image.defaults.labels) &&
    before.every((time) => image.createdAt < time) &&
    since.every((time) => image.createdAt > time) &&
    (until === undefined || image.createdAt < until) &&
    (patterns.length === 0 ||
      image.references.some((name) => patterns.some((pattern) => matchesReference(pattern, name))));
}

/** A pattern as in Go's path.Match: "*" and "?" stop at slashes. */
function globPattern(pattern: string): RegExp {
  const source = pattern
    .replace(/[.+^${}()|\\]/g, '\\$&')
    .replaceAll('*', '[^/]*')
    .replaceAll('?', '[^/]');
  try {
    return new RegExp(`^${source}$`);
  } catch (cause) {
    throw new HolmError('invalid', `invalid filter 'reference=${pattern}'`, { cause });
  }
}

/** A pattern fits the name with or without its tag. */
function matchesReference(pattern: RegExp, reference: string): boolean {
  return pattern.test(reference) || pattern.test(reference.replace(/:[^/:]*$/, ''));
}

function inspect(call: Call): void {
  call.send(200, imageInspectJson(imageOf(call), call.minor));
}

function history(call: Call): void {
  call.send(200, historyJson(imageOf(call)));
}

/** "repo" and "tag" of a query as one name; undefined when there is no repository. */
export function repositoryTag(call: Call): string | undefined {
  const repository = call.query.text('repo');
  const tag = call.query.text('tag');
  if (repository === '') return undefined;
  const reference = parseReference(repository);
  if (reference.digest !== undefined) throw new HolmError('invalid', 'cannot use digest reference');
  return familiarName(tag === '' ? withTag(reference) : parseReference(`${familiarRepository(reference)}:${tag}`));
}

async function tag(call: Call): Promise<void> {
  const target = repositoryTag(call);
  if (target === undefined) throw new HolmError('invalid', 'invalid reference format');
  if (/^sha256:/.test(target))
    throw new HolmError('invalid', 'refusing to create an ambiguous tag using digest algorithm as name');
  await call.backend.images.tag(imageOf(call).id, target);
  call.sendEmpty(201);
}

async function remove(call: Call): Promise<void> {
  const reference = call.param(0);
  imageOf(call);
  const force = call.query.flag('force');
  const removed = await call.backend.images.remove(reference, { force, prune: !call.query.flag('noprune') });
  call.send(200, removed.map(removedJson));
}

function removedJson(item: { untagged: string } | { deleted: string }): Record<string, string> {
  return 'untagged' in item ? { Untagged: item.untagged } : { Deleted: item.deleted };
}

async function prune(call: Call): Promise<void> {
  const filters = call.query.filters(['dangling', 'label', 'label!', 'until']);
  const until = pruneUntil(filters);
  const { removed, bytes } = await call.backend.images.prune(
    { danglingOnly: filters.flag('dangling', true) },
    (image) => !filters.labels(image.defaults.labels) || (until !== undefined && image.createdAt >= until),
  );
  call.send(200, { ImagesDeleted: removed.length === 0 ? null : removed.map(removedJson), SpaceReclaimed: bytes });
}

async function commit(call: Call): Promise<void> {
  const { query, backend } = call;
  const container = containerOf(call, query.text('container'));
  const target = repositoryTag(call);
  const at = target?.lastIndexOf(':') ?? -1;
  const body = await call.json();
  if (body.has('Cmd') && body.strings('Cmd').length > 0)
    throw new HolmError('unsupported', 'A configuration in the body of a commit is not supported yet, use "changes"');
  const id = await backend.containers.commit(container.id, {
    ...(target !== undefined && { repository: target.slice(0, at), tag: target.slice(at + 1) }),
    comment: query.text('comment'),
    author: query.text('author'),
    pause: query.flag('pause', true),
    changes: query.all('changes').flatMap((change) => change.split('\n')),
  });
  call.send(201, { Id: id });
}

export const imageRoutes: readonly Route[] = [
  { method: 'GET', path: '/images/json', handle: list },
  { method: 'POST', path: '/images/prune', handle: prune },
  { method: 'POST', path: '/commit', handle: commit },
  { method: 'GET', path: '/images/{name...}/json', handle: inspect },
  { method: 'GET', path: '/images/{name...}/history', handle: history },
  { method: 'POST', path: '/images/{name...}/tag', handle: tag },
  { method: 'DELETE', path: '/images/{name...}', handle: remove },
];
