// The composition root: builds every store once, in order, recovers, and holds what the doors use. Knows all rooms; does
// nothing itself.
import { chmodSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { nowNanos } from '../base/clock.ts';
import { openDatabase } from '../base/database.ts';
import { HolmError } from '../base/error.ts';
import { createId } from '../base/id.ts';
import { Locks } from '../base/locks.ts';
import { log } from '../base/log.ts';
import { parentSteps } from '../cgroups/group.ts';
import { detectHierarchies } from '../cgroups/hierarchy.ts';
import type { Container, ContainerConfig } from '../containers/container.ts';
import { isUp } from '../containers/container.ts';
import { Containers } from '../containers/containers.ts';
import { describe } from '../containers/creation.ts';
import { Execs } from '../containers/execs.ts';
import type { Facilities } from '../containers/facilities.ts';
import { startProbe } from '../containers/probes.ts';
import { prepareMountPoints } from '../containers/roots.ts';
import { networkOf, startOf } from '../containers/starting.ts';
import { ContentStore } from '../content/content-store.ts';
import { createDebianImage, type DebianRequest } from '../images/from-debian.ts';
import { Images } from '../images/images.ts';
import { findMachineFiles, type MachineFiles } from '../images/machine/machine-files.ts';
import { openKeeper } from '../kernel/keeper.ts';
import { DiskStore } from '../layers/disk-store.ts';
import { LayerStore } from '../layers/layer-store.ts';
import { Machines } from '../machines/machines.ts';
import { defaultPool, findOverlap, type IdPool, parsePool, subordinatePool } from '../namespaces/id-pool.ts';
import { Networks } from '../networks/networks.ts';
import { readHostCapabilities } from '../security/capabilities.ts';
import { checkNullDevice } from '../security/masks.ts';
import { Volumes } from '../volumes/volumes.ts';
import type { Configuration } from './configuration.ts';
import { ContainersDoor } from './containers-door.ts';
import { Events } from './events.ts';
import { type Explanation, explainStart } from './explain.ts';
import { HealthChecks } from './health-checks.ts';
import { type HostFacts, readHostFacts } from './host.ts';
import { MachinesDoor } from './machines-door.ts';

const version = '0.1.0';

export class Engine implements AsyncDisposable {
  readonly version: string = version;
  readonly startedAt: bigint = nowNanos();
  readonly events: Events;
  readonly containers: ContainersDoor;
  readonly images: Images;
  readonly volumes: Volumes;
  readonly networks: Networks;
  readonly machines: MachinesDoor;
  readonly configuration: Configuration;
  readonly #facilities: Facilities;
  readonly #containers: Containers;
  readonly #healthChecks: HealthChecks;
  readonly #machines: Machines;
  readonly #close: () => Promise<void>;

  private constructor(parts: {
    configuration: Configuration;
    events: Events;
    facilities: Facilities;
    containers: Containers;
    execs: Execs;
    healthChecks: HealthChecks;
    machines: Machines;
    close: () => Promise<void>;
  }) {
    const { facilities, containers, execs, healthChecks, machines } = parts;
    this.configuration = parts.configuration;
    this.events = parts.events;
    this.images = facilities.images;
    this.volumes = facilities.volumes;
    this.networks = facilities.networks;
    this.containers = new ContainersDoor(facilities, containers, execs, healthChecks);
    this.machines = new MachinesDoor(machines);
    this.#machines = machines;
    this.#healthChecks = healthChecks;
    this.#facilities = facilities;
    this.#containers = containers;
    this.#close = parts.close;
  }

  /** Opens the engine on its directories; all that a crash left is finished or undone before it resolves. Without its keeper it can do nothing. */
  static async open(configuration: Configuration, onKeeperLost: () => void): Promise<Engine> {
    const { stateDirectory, runDirectory } = configuration;
    for (const directory of [
      stateDirectory,
      runDirectory,
      `${runDirectory}/guests`,
      `${runDirectory}/execs`,
      `${runDirectory}/view`,
    ]) {
      mkdirSync(directory, { recursive: true, mode: 0o711 });
    }
    // What containers own on the disk is out of reach for the host's users, above all their set-user-id programs.
    chmodSync(stateDirectory, 0o710);
    checkNullDevice();
    prepareMountPoints(stateDirectory);
    const binary = configuration.keeper || builtKeeper();
    const kernel = await openKeeper(binary, `${runDirectory}/keeper.sock`, onKeeperLost);
    const hierarchies = detectHierarchies();
    await kernel.run(parentSteps(hierarchies, configuration.cgroupParent));
    const database = openDatabase(`${stateDirectory}/holm.db`);
    const events = new Events();
    const content = await ContentStore.open(`${stateDirectory}/content`);
    const layers = await LayerStore.open(`${stateDirectory}/layers`, kernel);
    // Images and volumes ask who uses them; the containers exist only after them.
    const found: { containers?: Containers; healthChecks?: HealthChecks; machines?: Machines } = {};
    const all = () => found.containers?.list() ?? [];
    const images = await Images.open({
      database,
      content,
      layers,
      usersOf: (id) => [
        ...all()
          .filter((container) => container.imageId === id)
          .map((container) => ({ id: container.id, isRunning: isUp(container) })),
        ...(found.machines?.usersOf(id) ?? []),
      ],
      onEvent: (action, id, name) => {
        if (action === 'delete') {
          void found.containers?.runs.slots.forgetImage(id);
          found.machines?.collect().catch((error) => log('error', 'Cannot remove disks', { error }));
        }
        events.emit({ type: 'image', action, actorId: id, attributes: { name } });
      },
    });
    const volumes = new Volumes(
      database,
      `${stateDirectory}/volumes`,
      (name) =>
        all()
          .filter((container) => container.mountPoints.some((point) => point.name === name))
          .map(({ id }) => id),
      (volume, action) =>
        events.emit({ type: 'volume', action, actorId: volume.name, attributes: { driver: volume.driver } }),
    );
    const networks = new Networks(database, kernel, { bridge: configuration.bridge, subnet: configuration.subnet });
    const facilities: Facilities = {
      kernel,
      locks: new Locks(),
      images,
      layers,
      networks,
      volumes,
      hierarchies,
      cgroupParent: configuration.cgroupParent,
      stateDirectory,
      runDirectory,
      initBinary: binary,
      availableCapabilities: readHostCapabilities(),
      users: { byDefault: configuration.userns, pool: readIdPool(configuration.usernsIds) },
      tell: (container, action, attributes) => {
        found.containers?.runs.slots.noteWork();
        events.emit(containerEvent(container, action, attributes));
        found.healthChecks?.note(container, action);
      },
    };
    const containers = new Containers(facilities, database, configuration.warmSlots);
    found.containers = containers;
    const execs = new Execs(facilities, containers);
    const healthChecks = new HealthChecks({
      startProbe: (id, argv) => startProbe(execs, id, argv),
      shellOf: ({ imageId }) => images.find(imageId)?.defaults.shell,
      tellStatus: (id, status) => facilities.tell(containers.get(id), `health_status: ${status}`),
      restart: (id) => containers.replaceUnhealthy(id),
    });
    found.healthChecks = healthChecks;
    const machines = new Machines(
      {
        locks: facilities.locks,
        images,
        layers,
        disks: await DiskStore.open(`${stateDirectory}/disks`, layers),
        stateDirectory,
        cacheDirectory: join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'holm'),
        program: fileURLToPath(new URL('../../build/holm-machine.cjs', import.meta.url)),
        containers: {
          create: (config, name, image) => containers.create(config, name, image),
          find: (id) => containers.records.findById(id) ?? containers.records.findByName(id),
          start: (id, options) => containers.start(id, options),
          wait: (id, condition, options) => containers.wait(id, condition, options),
          stop: (id, options) => containers.stop(id, options),
          kill: (id, signal) => containers.kill(id, signal),
          remove: (id, options) => containers.remove(id, options),
        },
        tell: (machine, action) =>
          events.emit({
            type: 'machine',
            action,
            actorId: machine.id,
            attributes: { name: machine.name, ...machine.config.labels },
          }),
      },
      database,
    );
    found.machines = machines;
    const engine = new Engine({
      configuration,
      events,
      facilities,
      containers,
      execs,
      healthChecks,
      machines,
      close: async () => {
        healthChecks.close();
        await containers.runs.slots.close();
        await layers.synced();
        await kernel.close();
        database.close();
      },
    });
    await engine.#recover();
    return engine;
  }

  async #recover(): Promise<void> {
    this.volumes.recover();
    await this.networks.ensureBridge();
    await this.#containers.recover();
    await this.#machines.recover();
    for (const container of this.#containers.list()) if (isUp(container)) this.#healthChecks.watch(container);
    await this.networks.recover(
      this.#containers
        .list()
        .filter(isUp)
        .map(({ id }) => id),
    );
    await this.images.collect();
    void this.#containers.resumePolicies();
  }

  host(): HostFacts {
    const facts = readHostFacts(this.#facilities.hierarchies, this.configuration.stateDirectory);
    if (this.configuration.userns === 'host') return facts;
    return { ...facts, securityOptions: [...facts.securityOptions, 'name=userns'] };
  }

  /** Makes an image from Debian's packages, or takes it from the cache; gives its id. */
  async createDebianImage(
    request: DebianRequest,
    onProgress: (status: string) => void,
    signal: AbortSignal,
  ): Promise<string> {
    const workDirectory = `${this.configuration.stateDirectory}/work`;
    const { image } = await createDebianImage(this.images, this.#facilities.kernel, {
      ...request,
      workDirectory,
      onProgress,
      signal,
    });
    return image.id;
  }

  /** Where an image's kernel and initial RAM disk are. Throws `invalid` when it has no kernel. */
  async machineFiles(reference: string): Promise<MachineFiles> {
    const files = await findMachineFiles(this.images.get(reference), this.#facilities.layers);
    if (files !== undefined) return files;
    throw new HolmError('invalid', `Cannot start a machine from image "${reference}": it has no kernel`);
  }

  /** The program that starting such a container would give to the kernel. Nothing is carried out or recorded. */
  async explain(config: ContainerConfig): Promise<Explanation> {
    const image = this.images.get(config.image);
    const container = describe(this.#facilities, this.#containers.records, config, image, createId(), 'explained');
    const network = networkOf(container);
    const connection =
      network === undefined ? undefined : this.networks.preview(network, { macAddress: config.macAddress });
    const start = startOf(this.#facilities, this.#containers.records, container, connection, { awaitClients: 0 });
    return explainStart(start);
  }

  /** Leaves the guests running. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
  }
}

function containerEvent(container: Container, action: string, attributes: Readonly<Record<string, string>> = {}) {
  return {
    type: 'container' as const,
    action,
    actorId: container.id,
    attributes: { ...container.labels, image: container.config.image, name: container.name, ...attributes },
  };
}

/** The ids that containers are given: as configured, else as the host's administrator has set aside for "holm". */
function readIdPool(configured: string): IdPool {
  if (configured !== '') return parsePool(configured);
  const read = (path: string) => (existsSync(path) ? readFileSync(path, 'utf8') : '');
  const [subuid, subgid] = [read('/etc/subuid'), read('/etc/subgid')];
  const given = subordinatePool(subuid, subgid, 'holm');
  if (given !== undefined) return given;
  const other = findOverlap(defaultPool, subuid, subgid);
  if (other === undefined) return defaultPool;
  throw new HolmError(
    'conflict',
    `Cannot take container ids from ${defaultPool.firstUid} on: "${other}" in /etc/subuid or /etc/subgid has some of them; --userns-ids FIRST:COUNT or a row for "holm" gives others`,
  );
}

/** The keeper that `npm run keeper` built. */
function builtKeeper(): string {
  return fileURLToPath(new URL('../../build/holm-keeper', import.meta.url));
}
