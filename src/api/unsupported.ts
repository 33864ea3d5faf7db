// Operations of Docker's API that holm does not serve, named so that a client gets a clear answer instead of a 404.
import { HolmError } from '../base/error.ts';
import type { Call } from './call.ts';
import type { Route } from './router.ts';

const later: readonly string[] = [
  'POST /auth',
  'POST /build',
  'POST /build/cancel',
  'POST /session',
  'POST /grpc',
  'GET /images/search',
  'POST /images/{name...}/push',
  'GET /images/{name...}/attestations',
  'GET /distribution/{name...}/json',
  'POST /networks/create',
  'POST /networks/{name}/connect',
  'POST /networks/{name}/disconnect',
  'DELETE /networks/{name}',
  'PUT /volumes/{name}',
  'GET /containers/{name}/attach/ws',
  'GET /containers/{name}/checkpoints',
  'POST /containers/{name}/checkpoints',
  'DELETE /containers/{name}/checkpoints/{checkpoint}',
  'POST /swarm/init',
  'POST /swarm/join',
  'GET /plugins/privileges',
  'POST /plugins/pull',
  'POST /plugins/create',
  'DELETE /plugins/{name...}',
  'POST /plugins/{name...}/enable',
  'POST /plugins/{name...}/disable',
  'POST /plugins/{name...}/upgrade',
  'POST /plugins/{name...}/push',
  'POST /plugins/{name...}/set',
];

const swarm: readonly string[] = [
  'GET /swarm',
  'GET /swarm/unlockkey',
  'POST /swarm/leave',
  'POST /swarm/update',
  'POST /swarm/unlock',
  'GET /nodes/{id}',
  'DELETE /nodes/{id}',
  'POST /nodes/{id}/update',
  'POST /services/create',
  'GET /services/{id}',
  'DELETE /services/{id}',
  'POST /services/{id}/update',
  'GET /services/{id}/logs',
  'GET /tasks/{id}',
  'GET /tasks/{id}/logs',
  'POST /secrets/create',
  'GET /secrets/{id}',
  'DELETE /secrets/{id}',
  'POST /secrets/{id}/update',
  'POST /configs/create',
  'GET /configs/{id}',
  'DELETE /configs/{id}',
  'POST /configs/{id}/update',
];

const emptyLists: readonly string[] = [
  'GET /plugins',
  'GET /nodes',
  'GET /services',
  'GET /tasks',
  'GET /secrets',
  'GET /configs',
];

function rows(names: readonly string[], handle: (call: Call, name: string) => void): readonly Route[] {
  return names.map((name) => {
    const [method, path] = name.split(' ') as [Route['method'], string];
    return { method, path, handle: (call) => handle(call, name) };
  });
}

export const unsupportedRoutes: readonly Route[] = [
  ...rows(emptyLists, (call) => call.send(200, [])),
  ...rows(later, (_call, name) => {
    throw new HolmError('unsupported', `holm does not support "${name}" yet`);
  }),
  // A part of `docker system prune`: there is no build cache, so nothing of it goes.
  {
    method: 'POST',
    path: '/build/prune',
    handle: (call) => call.send(200, { CachesDeleted: null, SpaceReclaimed: 0 }),
  },
  // Clients ask for a plugin of a name that they find nowhere else.
  {
    method: 'GET',
    path: '/plugins/{name...}/json',
    handle: (call) => {
      throw new HolmError('notFound', `plugin "${call.param(0)}" not found`);
    },
  },
  ...rows(swarm, () => {
    throw new HolmError(
      'unavailable',
      'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm ' +
        'and try again.',
    );
  }),
];
