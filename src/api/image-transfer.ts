// Images in and out: load, save, import. Long work answers with lines of JSON; an error in the middle is such a line too.
import { HolmError } from '../base/error.ts';
import { familiarName, parseReference, withTag } from '../images/reference.ts';
import type { Progress } from './backend.ts';
import type { Call } from './call.ts';
import { repositoryTag } from './images.ts';
import { Lines } from './lines.ts';
import { imageOf } from './lookup.ts';
import type { Route } from './router.ts';

function progressJson({ id, status, currentBytes, totalBytes }: Progress): Record<string, unknown> {
  const detail = {
    ...(currentBytes !== undefined && { current: currentBytes }),
    ...(totalBytes !== undefined && { total: totalBytes }),
  };
  return { status, progressDetail: detail, ...(id !== '' && { id }) };
}

/** At most ten lines a second for each layer, and the last one of each. */
function throttle(write: (progress: Progress) => void): (progress: Progress) => void {
  const lastAt = new Map<string, { status: string; at: number }>();
  return (progress) => {
    const last = lastAt.get(progress.id);
    const now = performance.now();
    const isEnd = progress.currentBytes !== undefined && progress.currentBytes === progress.totalBytes;
    if (last !== undefined && last.status === progress.status && now - last.at < 100 && !isEnd) return;
    lastAt.set(progress.id, { status: progress.status, at: now });
    write(progress);
  };
}

async function load(call: Call): Promise<void> {
  const quiet = call.query.flag('quiet', true);
  const lines = new Lines(call);
  const onProgress = quiet ? () => undefined : throttle((progress) => lines.write(progressJson(progress)));
  await lines.during(async () => {
    for (const loaded of await call.backend.images.load(call.request, onProgress))
      lines.write({
        stream: loaded.startsWith('sha256:') ? `Loaded image ID: ${loaded}\n` : `Loaded image: ${loaded}\n`,
      });
  });
}

/** Import of a root file system as an image. Pulling needs registries, which holm does not know yet. */
async function create(call: Call): Promise<void> {
  const { query, backend } = call;
  const fromImage = query.text('fromImage');
  if (fromImage !== '') {
    const tag = query.text('tag');
    const name = tag === '' ? fromImage : `${fromImage}${tag.startsWith('sha256:') ? '@' : ':'}${tag}`;
    const shown = familiarName(withTag(parseReference(name)));
    throw new HolmError('notFound', `Cannot pull "${shown}": registries are not supported yet`);
  }
  const source = query.text('fromSrc');
  if (source !== '-')
    throw new HolmError('unsupported', `Cannot import "${source}": only "-", the request's body, is supported yet`);
  const reference = repositoryTag(call);
  const platform = query.text('platform');
  const lines = new Lines(call);
  await lines.during(async () => {
    const id = await backend.images.importRoot(call.request, {
      ...(reference !== undefined && { reference }),
      ...(platform !== '' && { platform }),
      message: query.text('message') || 'Imported from -',
      changes: query.all('changes').flatMap((change) => change.split('\n')),
    });
    lines.write({ status: id });
  });
}

async function save(call: Call): Promise<void> {
  const names = call.params.length > 0 ? [call.param(0)] : call.query.all('names');
  if (names.length === 0) throw new HolmError('invalid', 'no images were specified');
  for (const name of names) imageOf(call, name);
  await call.sendStream(await call.backend.images.save(names), 'application/x-tar');
}

export const imageTransferRoutes: readonly Route[] = [
  { method: 'POST', path: '/images/create', handle: create },
  { method: 'POST', path: '/images/load', handle: load },
  { method: 'GET', path: '/images/get', handle: save },
  { method: 'GET', path: '/images/{name...}/get', handle: save },
];
