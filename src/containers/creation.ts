// Making a container: deciding everything that is decided once (name, command line, volumes, files), record first.
import { chmodSync, chownSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { normalize } from 'node:path/posix';
import { nowNanos } from '../base/clock.ts';
import { HolmError } from '../base/error.ts';
import { createId, type Id, shortId } from '../base/id.ts';
import { parseSignal } from '../base/signals.ts';
import { checkPath } from '../cgroups/hierarchy.ts';
import { checkLimits, readHostCpus } from '../cgroups/limits.ts';
import type { Image } from '../images/image.ts';
import { RootView } from '../rootfs/view.ts';
import { mergeConfig } from './config.ts';
import type { Container, ContainerConfig, MountPoint, MountRequest } from './container.ts';
import type { ContainerRecords } from './container-records.ts';
import { cgroupOf, containerDirectory, type Facilities } from './facilities.ts';
import { chooseIds, chooseUsers, getPeer } from './id-choice.ts';
import { createName } from './names.ts';
import { copyImageContent, layerPaths } from './roots.ts';
import type { Slots } from './slots.ts';
import { checkSysctls } from './sysctls.ts';

const nameShape = /^\/?[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

/** Makes the record and the directories of a container. `placeOf` finds another container, for --volumes-from. */
export async function createContainer(
  facilities: Facilities,
  records: ContainerRecords,
  slots: Slots,
  { config, image, name: askedName }: { config: ContainerConfig; image: Image; name: string | undefined },
): Promise<{ container: Container; warnings: readonly string[] }> {
  const { hierarchies } = facilities;
  const { limits, warnings } = checkLimits(config.resources, hierarchies, readHostCpus(hierarchies));
  const possible = { ...config, resources: limits };
  const name = chooseName(records, askedName);
  const draft = describe(facilities, records, possible, image, createId(), name);
  const slot = slots.take(draft);
  let container = slot === undefined ? draft : describe(facilities, records, possible, image, slot, name);
  return await facilities.locks.hold(container.id, async () => {
    try {
      // What takes long and can be cut short is on record as such.
      container = { ...container, ...idsOf(facilities, records, container) };
      const asksMounts = config.mounts.length + container.config.volumes.length + config.volumesFrom.length > 0;
      records.insert(asksMounts ? { ...container, state: { is: 'creating' } } : container);
      if (slot === undefined) makeDirectories(facilities, container);
      if (!asksMounts) return { container, warnings };
      const mountPoints = await resolveMounts(facilities, records, container, image);
      return { container: records.update(container.id, { mountPoints, state: { is: 'created' } }), warnings };
    } catch (error) {
      await slots.discard(container.id);
      rmSync(containerDirectory(facilities, container.id), { recursive: true, force: true });
      records.remove(container.id);
      throw error;
    }
  });
}

/** A container's directories; those that are there stay. overlayfs shows the owner and mode of the upper one as the root's. */
export function makeDirectories(facilities: Facilities, container: Container): void {
  const { id, upperDirectory, workDirectory, lowerDirectories } = container;
  mkdirSync(containerDirectory(facilities, id), { recursive: true, mode: 0o710 });
  mkdirSync(upperDirectory, { recursive: true, mode: 0o755 });
  mkdirSync(workDirectory, { recursive: true, mode: 0o755 });
  const { mode, uid, gid } = statSync(lowerDirectories[0]!);
  if ((mode & 0o7777) !== 0o755) chmodSync(upperDirectory, mode & 0o7777);
  if (uid !== 0 || gid !== 0) chownSync(upperDirectory, uid, gid);
}

function chooseName(records: ContainerRecords, asked: string | undefined): string {
  if (asked !== undefined && asked !== '') return checkName(records, asked);
  for (let attempt = 0; ; attempt++) {
    const name = createName(attempt);
    if (records.findByName(name) === undefined) return name;
  }
}

/** The name without its slash; throws in docker's words if it cannot be used. */
export function checkName(records: ContainerRecords, asked: string): string {
  if (!nameShape.test(asked)) {
    throw new HolmError('invalid', `Invalid container name (${asked}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`);
  }
  const name = asked.replace(/^\//, '');
  const holder = records.findByName(name);
  if (holder !== undefined) {
    throw new HolmError(
      'conflict',
      `Conflict. The container name "/${name}" is already in use by container "${holder.id}". You have to remove (or rename) that container to be able to reuse that name.`,
    );
  }
  return name;
}

/** The record of a container before anything of it exists; explain uses it too. */
export function describe(
  facilities: Facilities,
  records: ContainerRecords,
  config: ContainerConfig,
  image: Image,
  id: Id,
  name: string,
): Container {
  const merged = mergeConfig(config, image.defaults);
  parseSignal(merged.stopSignal);
  if (!merged.workingDirectory.startsWith('/')) {
    throw new HolmError(
      'invalid',
      `the working directory '${merged.workingDirectory}' is invalid, it needs to be an absolute path`,
    );
  }
  const { ipc } = config.namespaces;
  if (ipc.from === 'container' && getPeer(records, 'IPC', ipc.container).config.namespaces.ipc.from === 'none')
    throw new HolmError('invalid', `cannot join IPC of a container ${ipc.container}: non-shareable IPC`);
  const user = chooseUsers(facilities, records, config);
  const namespaces = { ...config.namespaces, ...(user === undefined ? {} : { user }) };
  const directory = containerDirectory(facilities, id);
  const layers = layerPaths(facilities, image);
  const peer = config.network.from === 'container' ? getPeer(records, 'network', config.network.container) : undefined;
  const files = peer ?? {
    hostnamePath: `${directory}/hostname`,
    hostsPath: `${directory}/hosts`,
    resolvConfPath: `${directory}/resolv.conf`,
    hostname: config.hostname || (config.namespaces.uts.from === 'host' ? '' : shortId(id)),
  };
  const container: Container = {
    id,
    name,
    createdAt: nowNanos(),
    imageId: image.id,
    config: {
      ...config,
      namespaces,
      stopSignal: merged.stopSignal,
      ...(merged.healthcheck === undefined ? {} : { healthcheck: merged.healthcheck }),
      exposedPorts: [...new Set([...image.defaults.exposedPorts, ...config.exposedPorts])],
      volumes: merged.volumes,
    },
    argv: merged.argv,
    entrypointLength: merged.entrypointLength,
    environment: merged.environment,
    user: merged.user,
    workingDirectory: merged.workingDirectory,
    hostname: files.hostname,
    labels: merged.labels,
    mountPoints: [],
    endpoints: [],
    state: { is: 'created' },
    restartCount: 0,
    stoppedByUser: false,
    execIds: [],
    logPath: config.log.driver === 'none' ? '' : `${directory}/${id}-json.log`,
    hostnamePath: files.hostnamePath,
    hostsPath: files.hostsPath,
    resolvConfPath: files.resolvConfPath,
    upperDirectory: `${directory}/upper`,
    workDirectory: `${directory}/work`,
    lowerDirectories: layers.toReversed(),
  };
  checkPath(cgroupOf(facilities, container));
  checkSysctls(config);
  return { ...container, ...idsOf(facilities, records, container) };
}

/** Its ids as they are free now: to be put on record before anything else happens. */
function idsOf(facilities: Facilities, records: ContainerRecords, container: Container): Pick<Container, 'idMapping'> {
  const idMapping = chooseIds(facilities, records, container);
  return idMapping === undefined ? {} : { idMapping };
}

/** Decides what is mounted where, making volumes and missing sources. Explicit mounts win over --volumes-from and the image's. */
async function resolveMounts(
  facilities: Facilities,
  records: ContainerRecords,
  container: Container,
  image: Image,
): Promise<MountPoint[]> {
  const { config } = container;
  const points = new Map<string, MountPoint>();
  for (const volume of config.volumes) {
    if (!config.mounts.some(({ target }) => target === volume)) {
      refuseProc(volume);
      points.set(volume, await resolveVolume(facilities, container, image, anonymousVolume(volume)));
    }
  }
  for (const from of config.volumesFrom) {
    const [name = '', mode = ''] = from.split(':');
    for (const point of records.get(name).mountPoints) {
      if (point.kind !== 'tmpfs') points.set(point.target, mode === 'ro' ? { ...point, readOnly: true } : point);
    }
  }
  for (const request of config.mounts)
    points.set(request.target, await resolveMount(facilities, container, image, request));
  return [...points.values()];
}

function anonymousVolume(target: string): MountRequest & { kind: 'volume' } {
  return {
    kind: 'volume',
    source: '',
    target,
    readOnly: false,
    noCopy: false,
    labels: {},
    driver: '',
    driverOptions: {},
  };
}

async function resolveMount(
  facilities: Facilities,
  container: Container,
  image: Image,
  request: MountRequest,
): Promise<MountPoint> {
  if (request.target === '/') throw new HolmError('invalid', `invalid specification: destination can't be '/'`);
  refuseProc(request.target);
  if (!request.target.startsWith('/')) {
    throw new HolmError(
      'invalid',
      `invalid mount config for type "${request.kind}": invalid mount path: '${request.target}' mount path must be absolute`,
    );
  }
  if (request.kind === 'tmpfs')
    return { kind: 'tmpfs', source: '', target: request.target, readOnly: false, propagation: '' };
  if (request.kind === 'volume') return resolveVolume(facilities, container, image, request);
  if (statSync(request.source, { throwIfNoEntry: false }) === undefined) {
    if (!request.createSource) {
      throw new HolmError(
        'invalid',
        `invalid mount config for type "bind": bind source path does not exist: ${request.source}`,
      );
    }
    mkdirSync(request.source, { recursive: true, mode: 0o755 });
  }
  return {
    kind: 'bind',
    source: request.source,
    target: request.target,
    readOnly: request.readOnly,
    ...(request.ownersKept === undefined ? {} : { ownersKept: request.ownersKept }),
    propagation: request.propagation,
  };
}

/** Single files of /proc that others may replace, as runc allows it (lxcfs does). */
const replaceable = ['cpuinfo', 'diskstats', 'meminfo', 'stat', 'swaps', 'uptime', 'loadavg', 'slabinfo'];

function refuseProc(target: string): void {
  const path = normalize(target);
  if (path !== '/proc' && !path.startsWith('/proc/')) return;
  if (replaceable.includes(path.slice('/proc/'.length))) return;
  throw new HolmError('invalid', `"${target}" cannot be mounted because it is inside /proc`);
}

async function resolveVolume(
  facilities: Facilities,
  container: Container,
  image: Image,
  request: MountRequest & { kind: 'volume' },
): Promise<MountPoint> {
  const isNew = facilities.volumes.find(request.source) === undefined;
  const volume = await facilities.volumes.create({
    name: request.source,
    driver: request.driver,
    options: request.driverOptions,
    labels: request.labels,
  });
  if (isNew && !request.noCopy) {
    const found = new RootView(container.lowerDirectories).find(request.target);
    if (found?.stats.isDirectory()) await copyImageContent(facilities, image, found.path, volume.path);
  }
  return {
    kind: 'volume',
    name: volume.name,
    source: volume.path,
    ...(request.subpath === undefined ? {} : { subpath: request.subpath }),
    target: request.target,
    driver: volume.driver,
    readOnly: request.readOnly,
    propagation: '',
  };
}
