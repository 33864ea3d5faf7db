// From a container's record to its Start: everything that is looked up or decided anew at each start.
import { existsSync, lstatSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { HolmError } from '../base/error.ts';
import { createSteps, joinSteps } from '../cgroups/group.ts';
import { exitFiles } from '../cgroups/usage.ts';
import type { Start } from '../kernel/steps.ts';
import type { Peer } from '../namespaces/namespaces.ts';
import { nameFiles, readHostFiles } from '../networks/files.ts';
import type { Connection } from '../networks/networks.ts';
import { type Accounts, type Identity, resolveUser } from '../rootfs/users.ts';
import { RootView } from '../rootfs/view.ts';
import type { Container, Size } from './container.ts';
import type { ContainerRecords } from './container-records.ts';
import { deviceAccessOf, processOf, specOf } from './default-spec.ts';
import { cgroupOf, type Facilities, guestDirectory } from './facilities.ts';
import type { GuestSpec } from './guest-spec.ts';
import { cgroupRegister, type GuardSettings, preparedProgramOf, programOf, remainderOf } from './program.ts';
import { overlayOf } from './roots.ts';

const rotatedFiles = 1;
const noNetwork = { after: [], stage: [] };

export interface StartOptions {
  readonly awaitClients: number;
  readonly size?: Size;
}

/** The start of a container with its place in a network (undefined if it shares another container's). */
export function startOf(
  facilities: Facilities,
  records: ContainerRecords,
  container: Container,
  connection: Connection | undefined,
  options: StartOptions,
): Start {
  const spec = lookUpSpec(facilities, records, sizedTo(container, options.size), connection);
  return programOf(spec, guardOf(facilities, container, options));
}

/** The part of such a start that can be done before it is asked for. */
export function preparedStartOf(
  facilities: Facilities,
  records: ContainerRecords,
  container: Container,
  connection: Connection | undefined,
): Start {
  const spec = lookUpSpec(facilities, records, container, connection);
  const { log: _, ...guard } = guardOf(facilities, container, { awaitClients: 0 });
  return preparedProgramOf(spec, guard);
}

/** The rest of it. */
export function remainingStartOf(facilities: Facilities, container: Container, options: StartOptions): Start {
  const process = processOf(sizedTo(container, options.size), {
    identity: identityOf(container, container.user),
    availableCapabilities: facilities.availableCapabilities,
  });
  const { id, hostname, config } = container;
  return remainderOf({ id, hostname, domainname: config.domainname, process }, guardOf(facilities, container, options));
}

function sizedTo(container: Container, size: Size | undefined): Container {
  return size === undefined ? container : { ...container, config: { ...container.config, terminalSize: size } };
}

function lookUpSpec(
  facilities: Facilities,
  records: ContainerRecords,
  container: Container,
  connection: Connection | undefined,
): GuestSpec {
  const cgroup = cgroupOf(facilities, container);
  return specOf(container, {
    overlay: overlayOf(facilities, container),
    identity: identityOf(container, container.user),
    hierarchies: facilities.hierarchies,
    cgroup: {
      create: createSteps(facilities.hierarchies, cgroup, container.config.resources, {
        directory: cgroupRegister,
        devices: deviceAccessOf(container),
      }),
      join: joinSteps(facilities.hierarchies, cgroup),
    },
    network: connection ?? noNetwork,
    peerOf: (reference) => peerOf(facilities, records, reference),
    hasOwnTime: (reference) => hasOwnTime(records, reference),
    availableCapabilities: facilities.availableCapabilities,
    initBinary: facilities.initBinary,
  });
}

function guardOf(facilities: Facilities, container: Container, options: StartOptions): GuardSettings {
  const { log } = container.config;
  return {
    title: `holm-guard ${container.id}`,
    directory: guestDirectory(facilities, container.id),
    stdin: stdinOf(container),
    ...(container.logPath === ''
      ? {}
      : { log: { path: container.logPath, maxBytes: log.maxBytes ?? 0, maxFiles: log.maxFiles ?? rotatedFiles } }),
    spillDirectory: dirname(container.upperDirectory),
    awaitClients: options.awaitClients,
    exitFiles: exitFiles(facilities.hierarchies, cgroupOf(facilities, container)),
  };
}

function stdinOf({ config }: Container): Start['stdin'] {
  if (!config.stdinOpen) return 'none';
  // A terminal outlives those who look at it.
  return config.stdinOnce && !config.terminal ? 'once' : 'open';
}

/** Gives a container its place in its network, on record, and writes the files by which it knows names. */
export function joinNetwork(facilities: Facilities, container: Container): Connection | undefined {
  const name = networkOf(container);
  if (name === undefined) return undefined;
  const connection = facilities.networks.connect(container.id, name, { macAddress: container.config.macAddress });
  writeNameFiles(container, connection, facilities.networks.hostGateway);
  return connection;
}

/** The network that a container is to join; undefined if it shares another container's. */
export function networkOf({ config }: Container): string | undefined {
  if (config.network.from === 'container') return undefined;
  const name = config.network.from === 'network' ? config.network.network : config.network.from;
  return name === 'default' ? 'bridge' : name;
}

/**
 * /etc/hostname, hosts and resolv.conf of a container with its own place in a network; others share their peer's. A file
 * that says so already is left: replacing the content of one costs a write to the disk.
 */
export function writeNameFiles(container: Container, connection: Connection, hostGateway: string): void {
  const { config } = container;
  const files = nameFiles(
    {
      hostname: container.hostname,
      domainname: config.domainname,
      dnsServers: config.dnsServers,
      dnsSearch: config.dnsSearch,
      dnsOptions: config.dnsOptions,
      extraHosts: config.extraHosts,
      sharesHost: config.network.from === 'host',
      address: connection.endpoint.address,
      hostGateway,
    },
    readHostFiles(),
  );
  writeChanged(container.hostnamePath, files.hostname);
  writeChanged(container.hostsPath, files.hosts);
  writeChanged(container.resolvConfPath, files.resolvConf);
}

function writeChanged(path: string, content: string): void {
  if (existsSync(path) && readFileSync(path, 'utf8') === content) return;
  writeFileSync(path, content);
}

const accountFiles = { passwd: '/etc/passwd', group: '/etc/group' } as const;
/** Accounts of images, by their layers: these never change. */
const imageAccounts = new Map<string, Accounts>();
const mostRemembered = 64;

/** Whom a process of a container runs as, by the accounts of its own files. */
export function identityOf(container: Container, user: string): Identity {
  return resolveUser(user, container.config.additionalGroups, accountsOf(container));
}

function accountsOf({ upperDirectory, lowerDirectories }: Container): Accounts {
  const isUntouched = Object.values(accountFiles).every(
    (path) => lstatSync(`${upperDirectory}${path}`, { throwIfNoEntry: false }) === undefined,
  );
  if (!isUntouched) return readAccounts([upperDirectory, ...lowerDirectories]);
  const key = lowerDirectories.join(':');
  const known = imageAccounts.get(key) ?? readAccounts(lowerDirectories);
  if (imageAccounts.size >= mostRemembered) imageAccounts.clear();
  imageAccounts.set(key, known);
  return known;
}

function readAccounts(directories: readonly string[]): Accounts {
  const view = new RootView(directories);
  return { passwd: view.readText(accountFiles.passwd) ?? '', group: view.readText(accountFiles.group) ?? '' };
}

/** The first process of another container whose namespaces are joined. */
function peerOf(facilities: Facilities, records: ContainerRecords, reference: string): Peer {
  const { state, id } = records.get(reference);
  if (state.is === 'running' || state.is === 'paused') return { pid: state.pid, guard: guestDirectory(facilities, id) };
  throw new HolmError('conflict', `cannot join the namespaces of a non running container: ${id}`);
}

/** Whether a container has clocks of its own, or shares those of one that has. */
function hasOwnTime(records: ContainerRecords, reference: string): boolean {
  const { time } = records.get(reference).config.namespaces;
  if (time?.from === 'container') return hasOwnTime(records, time.container);
  return time?.from === 'new';
}
