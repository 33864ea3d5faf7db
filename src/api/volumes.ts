// Routes for volumes.

import { formatTime } from '../base/clock.ts';
import { HolmError, kindOf } from '../base/error.ts';
import { createId } from '../base/id.ts';
import type { Volume } from '../volumes/volume.ts';
import type { Asked, Call } from './call.ts';
import type { Route } from './router.ts';

/** A volume as Docker's JSON; options are null where none were given. */
export function volumeJson(volume: Volume): Record<string, unknown> {
  return {
    CreatedAt: formatTime(volume.createdAt).replace(/\.\d+Z$/, 'Z'),
    Driver: volume.driver,
    Labels: volume.anonymous ? { 'com.docker.volume.anonymous': '', ...volume.labels } : volume.labels,
    Mountpoint: volume.path,
    Name: volume.name,
    Options: Object.keys(volume.options).length > 0 ? volume.options : null,
    Scope: 'local',
  };
}

/** How many containers use each volume. */
export function volumeUses({ backend }: Asked): ReadonlyMap<string, number> {
  const uses = new Map<string, number>();
  for (const { mountPoints } of backend.containers.list())
    for (const { kind, name } of mountPoints)
      if (kind === 'volume' && name !== undefined) uses.set(name, (uses.get(name) ?? 0) + 1);
  return uses;
}

function list(call: Call): void {
  const filters = call.query.filters(['dangling', 'driver', 'label', 'label!', 'name']);
  const uses = volumeUses(call);
  const volumes = call.backend.volumes
    .list()
    .filter(
      (volume) =>
        filters.pattern('name', volume.name) &&
        filters.exact('driver', volume.driver) &&
        filters.labels(volume.labels) &&
        (!filters.has('dangling') || filters.flag('dangling', false) === !uses.has(volume.name)),
    );
  call.send(200, { Volumes: volumes.map(volumeJson), Warnings: null });
}

function volumeOf(call: Call): Volume {
  const name = call.param(0);
  try {
    return call.backend.volumes.get(name);
  } catch (error) {
    if (kindOf(error) === 'notFound') throw new HolmError('notFound', `get ${name}: no such volume`);
    throw error;
  }
}

function inspect(call: Call): void {
  call.send(200, volumeJson(volumeOf(call)));
}

async function create(call: Call): Promise<void> {
  const body = await call.json();
  const name = body.string('Name');
  const driver = body.string('Driver') || 'local';
  if (driver !== 'local')
    throw new HolmError(
      'notFound',
      `create ${name}: error looking up volume plugin ${driver}: plugin "${driver}" not found`,
    );
  if (name !== '' && !/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name))
    throw new HolmError(
      'invalid',
      `create ${name}: "${name}" includes invalid characters for a local volume name, ` +
        'only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path',
    );
  if (body.has('ClusterVolumeSpec')) throw new HolmError('unsupported', 'cluster volumes are not supported yet');
  const labels = body.map('Labels');
  const volume = await call.backend.volumes.create({
    name: name === '' ? createId() : name,
    driver,
    options: body.map('DriverOpts'),
    labels: name === '' ? { ...labels, 'com.docker.volume.anonymous': '' } : labels,
  });
  call.send(201, volumeJson(volume));
}

async function remove(call: Call): Promise<void> {
  const name = call.param(0);
  const force = call.query.flag('force');
  try {
    volumeOf(call);
  } catch (error) {
    if (force && kindOf(error) === 'notFound') return call.sendEmpty(204);
    throw error;
  }
  const users = call.backend.containers
    .list()
    .filter(({ mountPoints }) => mountPoints.some((mount) => mount.kind === 'volume' && mount.name === name));
  if (users.length > 0)
    throw new HolmError('conflict', `remove ${name}: volume is in use - [${users.map(({ id }) => id).join(', ')}]`);
  await call.backend.volumes.remove(name, { force });
  call.sendEmpty(204);
}

async function prune(call: Call): Promise<void> {
  const filters = call.query.filters(['label', 'label!', 'all']);
  // Before 1.42 there was no "all", and named volumes went too.
  const all = filters.flag('all', call.minor < 42);
  const { removed, bytes } = await call.backend.volumes.prune({ all }, (volume) => !filters.labels(volume.labels));
  call.send(200, { VolumesDeleted: removed.length === 0 ? null : removed, SpaceReclaimed: bytes });
}

export const volumeRoutes: readonly Route[] = [
  { method: 'GET', path: '/volumes', handle: list },
  { method: 'POST', path: '/volumes/create', handle: create },
  { method: 'POST', path: '/volumes/prune', handle: prune },
  { method: 'GET', path: '/volumes/{name}', handle: inspect },
  { method: 'DELETE', path: '/volumes/{name}', handle: remove },
];
