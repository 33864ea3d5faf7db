// What Docker's API has no word for: routes under /holm/.
import { createReadStream } from 'node:fs';
import { HolmError } from '../base/error.ts';
import type { Call } from './call.ts';
import { readCreateRequest } from './create.ts';
import { Lines } from './lines.ts';
import type { Route } from './router.ts';

/** What starting the container of this create request would ask of the kernel, and why; runs nothing. */
async function explain(call: Call): Promise<void> {
  const config = readCreateRequest(call, await call.json());
  call.send(200, await call.backend.explain(config));
}

/** Makes an image from Debian's packages: lines {"id", "status"}, then {"image": id}. */
async function imageFromDebian(call: Call): Promise<void> {
  const { query, backend, signal } = call;
  const suite = query.text('suite');
  if (!/^[a-z][a-z0-9-]*$/.test(suite))
    throw new HolmError('invalid', `Cannot make an image: "${suite}" is no Debian suite`);
  const reference = query.text('tag');
  const architecture = query.text('arch');
  const init = query.text('init');
  const include = query
    .text('include')
    .split(',')
    .filter((name) => name !== '');
  const request = {
    suite,
    include,
    kernel: query.flag('kernel'),
    ...(architecture === '' ? {} : { architecture }),
    ...(init === '' ? {} : { init }),
    ...(reference === '' ? {} : { reference }),
  };
  const lines = new Lines(call);
  await lines.during(async () => {
    const image = await backend.createDebianImage(request, (status) => lines.write({ id: suite, status }), signal);
    lines.write({ image });
  });
}

/** The bytes of an image's kernel or initial RAM disk; 204 when it has a kernel and no initial RAM disk. */
async function machineFile(call: Call): Promise<void> {
  const files = await call.backend.machineFiles(call.param(0));
  const part = call.param(1);
  if (part !== 'kernel' && part !== 'initramfs')
    throw new HolmError('notFound', `Cannot give "${part}" of an image: it must be "kernel" or "initramfs"`);
  const path = files[part];
  if (path === undefined) call.sendEmpty(204);
  else await call.sendStream(createReadStream(path), 'application/octet-stream');
}

export const holmRoutes: readonly Route[] = [
  { method: 'POST', path: '/holm/explain', handle: explain },
  { method: 'POST', path: '/holm/images/from-debian', handle: imageFromDebian },
  { method: 'GET', path: '/holm/images/{name...}/machine/{part}', handle: machineFile },
];
