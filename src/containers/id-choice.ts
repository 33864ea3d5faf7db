// Whose user namespace a container gets, and with which ids of the host. Decided when it is created, in its record before anything is
// made; a range of its own is free again when the record is gone. Namespaces are shared only within one user namespace: they
// belong to it, and who comes from another has no rights in them.
import { HolmError, kindOf } from '../base/error.ts';
import type { IdMapping } from '../namespaces/id-maps.ts';
import { chooseRange, touchesPool } from '../namespaces/id-pool.ts';
import type { Container, ContainerConfig, UserMode } from './container.ts';
import type { ContainerRecords } from './container-records.ts';
import type { Facilities } from './facilities.ts';

/** The user namespace that a container is to have; throws `invalid` in docker's words where options exclude each other. */
export function chooseUsers(
  { users }: Pick<Facilities, 'users'>,
  records: ContainerRecords,
  config: ContainerConfig,
): UserMode | undefined {
  const peers = peersOf(config, records);
  const asked = config.namespaces.user ?? followed(peers) ?? defaultUsers(users.byDefault);
  if (asked === undefined || asked.from === 'host') return asked;
  if (asked.from === 'container' && getPeer(records, 'user', asked.container).idMapping === undefined)
    return { from: 'host' };
  refuseHost(config);
  if (asked.from === 'maps' && touchesPool(users.pool, asked.mapping)) {
    throw new HolmError(
      'conflict',
      'Cannot map the ids as asked: some are of those that containers with ids of their own (--userns auto) are given',
    );
  }
  const mapping = asked.from === 'container' ? records.get(asked.container).idMapping : undefined;
  for (const { what, peer } of peers) {
    if (asked.from === 'container' && isSame(mapping, peer.idMapping)) continue;
    throw new HolmError(
      'invalid',
      `cannot share the ${what} namespace of container ${peer.name}: it is in another user namespace (--userns container:${peer.name} joins that one)`,
    );
  }
  return asked;
}

/** What a container joins of others tells whose users it has, unless it says so itself. */
function followed(peers: readonly Peer[]): UserMode | undefined {
  const found = peers.find(({ peer }) => peer.idMapping !== undefined);
  return found === undefined ? undefined : { from: 'container', container: found.reference };
}

function defaultUsers(byDefault: 'host' | 'auto'): UserMode | undefined {
  return byDefault === 'auto' ? { from: 'auto' } : undefined;
}

interface Peer {
  readonly what: string;
  readonly reference: string;
  readonly peer: Container;
}

function peersOf({ namespaces, network }: ContainerConfig, records: ContainerRecords): Peer[] {
  const { pid, ipc, uts, cgroup, time } = namespaces;
  return Object.entries({ network, pid, ipc, uts, cgroup, time }).flatMap(([what, mode]) => {
    const peer = mode?.from === 'container' ? findPeer(records, mode.container) : undefined;
    return mode?.from !== 'container' || peer === undefined ? [] : [{ what, reference: mode.container, peer }];
  });
}

/** Whoever is to be joined may be made later: the start asks for it. */
function findPeer(records: ContainerRecords, reference: string): Container | undefined {
  try {
    return records.get(reference);
  } catch (error) {
    if (kindOf(error) === 'notFound') return undefined;
    throw error;
  }
}

/** A container whose namespace is joined; not `notFound`, which docker's client takes for a missing image. */
export function getPeer(records: ContainerRecords, what: string, reference: string): Container {
  const peer = findPeer(records, reference);
  if (peer !== undefined) return peer;
  throw new HolmError('invalid', `joining ${what} namespace of container: No such container: ${reference}`);
}

/** As docker refuses them with userns-remap: they would give back what a user namespace takes away. */
function refuseHost({ privileged, network, namespaces, mounts }: ContainerConfig): void {
  const refuse = (why: string) => new HolmError('invalid', why);
  if (privileged) {
    throw refuse(
      'privileged mode is incompatible with user namespaces.  You must run the container in the host namespace when running privileged mode',
    );
  }
  if (network.from === 'host')
    throw refuse("cannot share the host's network namespace when user namespaces are enabled");
  if (namespaces.pid.from === 'host')
    throw refuse('cannot share the host PID namespace when user namespaces are enabled');
  const shared = mounts.find((mount) => mount.kind === 'bind' && /^r?shared$/.test(mount.propagation));
  if (shared !== undefined)
    throw refuse(`cannot share the mounts of "${shared.target}" with the host when user namespaces are enabled`);
}

function isSame(a: IdMapping | undefined, b: IdMapping | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** The ids of a container, of those that no record names yet; undefined in the host's user namespace. */
export function chooseIds(
  { users }: Pick<Facilities, 'users'>,
  records: ContainerRecords,
  { id, config }: Pick<Container, 'id' | 'config'>,
): IdMapping | undefined {
  const { user } = config.namespaces;
  switch (user?.from) {
    case 'maps':
      return user.mapping;
    case 'container':
      return records.get(user.container).idMapping;
    case 'auto': {
      const others = records.list().filter((other) => other.id !== id);
      return chooseRange(
        users.pool,
        others.flatMap(({ idMapping }) => (idMapping === undefined ? [] : [idMapping])),
      );
    }
    default:
      return undefined;
  }
}

/** A container that shares another's user namespace has the ids that that one has now, on record before it starts. */
export function followUsers(records: ContainerRecords, container: Container): Container {
  const { user } = container.config.namespaces;
  if (user?.from !== 'container') return container;
  const peer = records.get(user.container);
  if (isSame(peer.idMapping, container.idMapping)) return container;
  if (peer.idMapping === undefined)
    throw new HolmError('conflict', `cannot join the user namespace of container ${peer.name}: it is the host's`);
  return records.update(container.id, { idMapping: peer.idMapping });
}
