// What Docker's API has no word for: routes under /holm/.
import type { Call } from './call.ts';
import { readCreateRequest } from './containers.ts';
import type { Route } from './router.ts';

/** What starting the container of this create request would ask of the kernel, and why; runs nothing. */
async function explain(call: Call): Promise<void> {
  const config = readCreateRequest(call, await call.json());
  call.send(200, await call.backend.explain(config));
}

export const holmRoutes: readonly Route[] = [{ method: 'POST', path: '/holm/explain', handle: explain }];
