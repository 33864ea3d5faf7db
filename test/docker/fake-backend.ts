// An engine in memory for tests of the API alone: containers run small made-up programs, nothing needs root.
//   cat          echoes its input, ends with it         say OUT [ERR]  writes to both outputs
//   sleep        runs until a signal                     exit N         ends with N
//   flood N      writes N MiB                            no-such…       cannot be executed
import { Duplex, PassThrough, Readable } from 'node:stream';
import type { Backend, ContainersBackend, EngineEvent } from '../../src/api/backend.ts';
import { nowNanos } from '../../src/base/clock.ts';
import { digestOf } from '../../src/base/digest.ts';
import { HolmError } from '../../src/base/error.ts';
import { createId } from '../../src/base/id.ts';
import { parseSignal } from '../../src/base/signals.ts';
import type { Container, ContainerConfig, Exec, Usage } from '../../src/containers/container.ts';
import type { AttachOptions } from '../../src/containers/requests.ts';
import type { Image } from '../../src/images/image.ts';
import type { Network } from '../../src/networks/network.ts';
import type { Volume } from '../../src/volumes/volume.ts';

/** What a client reads and writes of one made-up process. */
class Client extends Duplex {
  readonly #framed: boolean;
  readonly #onInput: (chunk: Buffer | null) => void;

  constructor(framed: boolean, onInput: (chunk: Buffer | null) => void) {
    super({ allowHalfOpen: true });
    this.#framed = framed;
    this.#onInput = onInput;
  }

  tell(kind: 1 | 2, chunk: Buffer): boolean {
    const head = Buffer.from([kind, 0, 0, 0, 0, 0, 0, 0]);
    head.writeUInt32BE(chunk.length, 4);
    return this.push(this.#framed ? Buffer.concat([head, chunk]) : chunk);
  }

  override _read(): void {
    this.emit('wanted');
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#onInput(chunk);
    done();
  }

  override _final(done: () => void): void {
    this.#onInput(null);
    done();
  }
}

class Process {
  readonly clients = new Set<Client>();
  readonly log: { kind: 1 | 2; text: Buffer; at: bigint }[] = [];
  readonly ended: PromiseWithResolvers<number> = Promise.withResolvers<number>();
  readonly #early: (Buffer | null)[] = [];
  #program = '';

  attach(framed: boolean): Client {
    const client = new Client(framed, (chunk) => this.#input(chunk));
    this.clients.add(client);
    return client;
  }

  start(argv: readonly string[]): void {
    const [program = '', first = '', second = ''] = argv;
    if (program.startsWith('no-such') || program.startsWith('/no/such'))
      throw new HolmError('invalid', `Cannot start the container: Cannot execute "${program}": ENOENT from execve(2)`);
    if (program.startsWith('/etc/'))
      throw new HolmError('invalid', `Cannot start the container: Cannot execute "${program}": EACCES from execve(2)`);
    this.#program = program;
    if (program === 'say') {
      this.#output(1, Buffer.from(`${first}\n`));
      if (second !== '') this.#output(2, Buffer.from(`${second}\n`));
      this.end(0);
    }
    if (program === 'exit') this.end(Number(first));
    for (const chunk of this.#early.splice(0)) this.#input(chunk);
    if (program === 'flood') void this.#flood(Number(first));
  }

  async #flood(mebibytes: number): Promise<void> {
    const chunk = Buffer.alloc(1 << 20, 'x');
    for (let sent = 0; sent < mebibytes; sent++)
      for (const client of this.clients)
        if (!client.tell(1, chunk)) await new Promise((resolve) => client.once('wanted', resolve));
    this.end(0);
  }

  #input(chunk: Buffer | null): void {
    if (this.#program === '') this.#early.push(chunk);
    if (this.#program !== 'cat') return;
    if (chunk === null) {
      this.#output(1, Buffer.from('<end>'));
      this.end(0);
    } else this.#output(1, chunk);
  }

  #output(kind: 1 | 2, text: Buffer): void {
    this.log.push({ kind, text, at: nowNanos() });
    for (const client of this.clients) client.tell(kind, text);
  }

  end(code: number): void {
    for (const client of this.clients) client.push(null);
    this.clients.clear();
    this.ended.resolve(code);
  }
}

const notFound = (what: string, name: string): HolmError => new HolmError('notFound', `Cannot find ${what} "${name}"`);

const noMachine = (): never => {
  throw new HolmError('notFound', 'Cannot find the machine: there are none');
};

/** Docker's clients know no machines. */
const noMachines: Backend['machines'] = {
  create: noMachine,
  list: () => [],
  get: noMachine,
  start: noMachine,
  stop: noMachine,
  kill: noMachine,
  console: noMachine,
  remove: noMachine,
};

/** The made-up engine, and what the tests need to look at. */
export class FakeEngine {
  readonly configs: ContainerConfig[] = [];
  readonly archives: Map<string, Buffer> = new Map();
  readonly loaded: Buffer[] = [];
  readonly resized: string[] = [];
  readonly backend: Backend;
  readonly #containers = new Map<string, Container>();
  readonly #processes = new Map<string, Process>();
  readonly #execs = new Map<string, { exec: Exec; process: Process }>();
  readonly #removed = new Map<string, PromiseWithResolvers<void>>();
  readonly #volumes = new Map<string, Volume>();
  readonly #listeners = new Set<(event: EngineEvent) => void>();
  readonly #past: EngineEvent[] = [];
  readonly image: Image = createImage();

  constructor() {
    const networks = createNetworks();
    this.backend = {
      version: '0.0.1',
      startedAt: nowNanos(),
      containers: this.#createContainers(),
      images: {
        list: () => [this.image],
        get: (reference) => {
          const names = [...this.image.references, 'debian', this.image.id, this.image.id.slice(7, 19)];
          if (names.includes(reference)) return this.image;
          throw notFound('image', reference);
        },
        load: async (archive, onProgress) => {
          onProgress({ id: 'layer', status: 'Loading layer', currentBytes: 1, totalBytes: 2 });
          this.loaded.push(await collect(archive));
          return ['debian:bookworm', `${this.image.id}`];
        },
        save: async (references) => Readable.from([Buffer.from(`archive of ${references.join(' and ')}`)]),
        importRoot: async (tar, options) => digestOf(Buffer.concat([await collect(tar), Buffer.from(options.message)])),
        tag: async () => undefined,
        remove: async (reference) => [{ untagged: reference }, { deleted: this.image.id }],
        prune: async () => ({ removed: [], bytes: 0 }),
      },
      volumes: {
        list: () => [...this.#volumes.values()],
        get: (name) => {
          const volume = this.#volumes.get(name);
          if (volume === undefined) throw notFound('volume', name);
          return volume;
        },
        create: async (request) => {
          const volume = { ...request, path: `/volumes/${request.name}`, createdAt: nowNanos(), anonymous: false };
          this.#volumes.set(request.name, volume);
          return volume;
        },
        remove: async (name) => void this.#volumes.delete(name),
        prune: async () => ({ removed: [], bytes: 0 }),
        sizeBytes: async () => 4096,
      },
      networks: {
        list: () => networks,
        get: (reference) => {
          const network = networks.find(({ name, id }) => name === reference || id === reference);
          if (network === undefined) throw notFound('network', reference);
          return network;
        },
      },
      machines: noMachines,
      events: { subscribe: (range, signal) => this.#subscribe(range, signal) },
      host: () => ({
        id: 'fake',
        name: 'fakehost',
        kernelVersion: '6.1.0',
        operatingSystem: 'Debian',
        operatingSystemVersion: '12',
        architecture: 'x86_64',
        cpus: 2,
        memoryBytes: 8 * 1024 ** 3,
        cgroupVersion: 2,
        storageDriver: 'overlay2',
        rootDirectory: '/var/lib/holm',
        securityOptions: ['name=seccomp,profile=builtin'],
        labels: [],
        warnings: [],
      }),
      createDebianImage: async () => this.image.id,
      machineFiles: noMachine,
      explain: async () => ({
        sections: [{ title: 'after clone', steps: [{ call: 'sethostname("x")', what: 'w', why: 'y', tolerated: '' }] }],
      }),
    };
  }

  tell(type: EngineEvent['type'], action: string, actorId: string, attributes: Record<string, string> = {}): void {
    const event = { type, action, actorId, attributes, at: nowNanos() };
    this.#past.push(event);
    for (const listener of this.#listeners) listener(event);
  }

  async *#subscribe(range: { since?: bigint; until?: bigint }, signal: AbortSignal): AsyncGenerator<EngineEvent> {
    const queue = range.since === undefined ? [] : this.#past.filter(({ at }) => at >= range.since!);
    let wake = Promise.withResolvers<void>();
    const listener = (event: EngineEvent): void => {
      queue.push(event);
      wake.resolve();
    };
    this.#listeners.add(listener);
    signal.addEventListener('abort', () => wake.resolve());
    try {
      for (;;) {
        yield* queue.splice(0);
        if (signal.aborted || (range.until !== undefined && range.until <= nowNanos())) return;
        await wake.promise;
        wake = Promise.withResolvers<void>();
      }
    } finally {
      this.#listeners.delete(listener);
    }
  }

  /** How many subscriptions are open. */
  get listeners(): number {
    return this.#listeners.size;
  }

  #get(reference: string): Container {
    const name = reference.replace(/^\//, '');
    for (const container of this.#containers.values())
      if (container.name === name || (name.length >= 4 && container.id.startsWith(name))) return container;
    throw notFound('container', reference);
  }

  #set(id: string, change: Partial<Container>): Container {
    const container = { ...this.#containers.get(id)!, ...change };
    this.#containers.set(id, container);
    return container;
  }

  #checkName(name: string): void {
    for (const container of this.#containers.values())
      if (container.name === name) throw new HolmError('conflict', `The name "${name}" is taken`);
  }

  #createContainers(): ContainersBackend {
    const processOf = (reference: string): Process => this.#processes.get(this.#get(reference).id)!;
    return {
      create: async (config, asked) => {
        const name = asked ?? `fake_${this.#containers.size}`;
        this.#checkName(name);
        this.configs.push(config);
        const container = createContainer(config, name, this.image);
        this.#containers.set(container.id, container);
        this.#processes.set(container.id, new Process());
        this.#removed.set(container.id, Promise.withResolvers());
        this.tell('container', 'create', container.id, { image: config.image, name });
        return { id: container.id, warnings: [] };
      },
      list: () => [...this.#containers.values()],
      get: (reference) => this.#get(reference),
      health: () => undefined,
      start: async (reference) => {
        const { id, argv, name } = this.#get(reference);
        const process = this.#processes.get(id)!;
        const startedAt = nowNanos();
        const finish = (code: number, error: string): void => {
          if (!this.#containers.has(id)) return;
          const state = { is: 'exited', startedAt: error === '' ? startedAt : 0n, finishedAt: nowNanos() } as const;
          this.#set(id, { state: { ...state, code, outOfMemory: false, error } });
          this.tell('container', 'die', id, { exitCode: String(code), name, image: 'debian:bookworm' });
          if (this.#get(id).config.autoRemove) void this.backend.containers.remove(id, { force: true, volumes: true });
        };
        this.#set(id, { state: { is: 'running', pid: 4242, startedAt } });
        void process.ended.promise.then((code) => finish(code, ''));
        this.tell('container', 'start', id, { name, image: 'debian:bookworm' });
        try {
          process.start(argv);
        } catch (error) {
          for (const client of process.clients) client.push(null);
          finish(127, String(error));
          throw error;
        }
      },
      stop: async (reference) => {
        if (this.#get(reference).state.is === 'running') processOf(reference).end(143);
      },
      restart: async () => undefined,
      kill: async (reference, signal) => processOf(reference).end(128 + parseSignal(signal)),
      pause: async (reference) => {
        const { id, state } = this.#get(reference);
        if (state.is === 'running') this.#set(id, { state: { ...state, is: 'paused' } });
      },
      resume: async (reference) => {
        const { id, state } = this.#get(reference);
        if (state.is === 'paused') this.#set(id, { state: { ...state, is: 'running' } });
      },
      wait: async (reference, condition, { signal }) => {
        const { id } = this.#get(reference);
        const aborted = new Promise<never>((_resolve, reject) =>
          signal.addEventListener('abort', () => reject(new HolmError('cancelled', 'gone'))),
        );
        const code = await Promise.race([this.#processes.get(id)!.ended.promise, aborted]);
        if (condition === 'removed') await Promise.race([this.#removed.get(id)!.promise, aborted]);
        return { code, error: '' };
      },
      remove: async (reference) => {
        const { id, name } = this.#get(reference);
        this.#processes.get(id)?.end(137);
        this.#containers.delete(id);
        this.#removed.get(id)?.resolve();
        this.tell('container', 'destroy', id, { name });
      },
      rename: async (reference, name) => {
        this.#checkName(name);
        this.#set(this.#get(reference).id, { name });
      },
      update: async (reference, resources) => {
        const { id, config } = this.#get(reference);
        this.#set(id, { config: { ...config, resources } });
        return [];
      },
      resize: async (_reference, { rows, columns }) => void this.resized.push(`${rows}x${columns}`),
      attach: async (reference, options: AttachOptions) => processOf(reference).attach(options.framed),
      logs: async (reference, options) => {
        const lines = processOf(reference).log.filter(({ kind }) => (kind === 1 ? options.stdout : options.stderr));
        const from = new PassThrough();
        const client = new Client(options.framed, () => undefined);
        client.pipe(from);
        for (const { kind, text } of options.tail === undefined ? lines : lines.slice(-options.tail || lines.length))
          client.tell(kind, text);
        client.push(null);
        return from;
      },
      usage: async () => createUsage(),
      top: async () => ({ titles: ['PID', 'CMD'], processes: [['4242', 'sleep']] }),
      changes: async () => [
        { path: '/etc', kind: 'modified' },
        { path: '/new', kind: 'added' },
      ],
      exportRoot: async () => Readable.from([Buffer.from('whole root')]),
      statPath: async (_reference, path) => {
        const archive = this.archives.get(path);
        if (archive === undefined && path !== '/' && path !== '/there')
          throw new HolmError('notFound', `Could not find the file ${path} in container`);
        const mode = archive === undefined ? 0x80000000 + 0o755 : 0o644;
        return { name: path.split('/').at(-1)!, sizeBytes: 5, mode, modifiedAt: nowNanos(), linkTarget: '' };
      },
      readArchive: async (reference, path) => ({
        stat: await this.backend.containers.statPath(reference, path),
        tar: Readable.from([this.archives.get(path) ?? Buffer.alloc(1024)]),
      }),
      writeArchive: async (_reference, path, tar) => void this.archives.set(path, await collect(tar)),
      commit: async () => this.image.id,
      prune: async () => ({ removed: [], bytes: 0 }),
      sizes: async () => ({ writableBytes: 100, rootBytes: 1000 }),
      createExec: async (reference, config) => {
        const exec = {
          id: createId(),
          containerId: this.#get(reference).id,
          config,
          state: { is: 'created' },
        } as const;
        this.#execs.set(exec.id, { exec, process: new Process() });
        return exec.id;
      },
      getExec: (id) => {
        const found = this.#execs.get(id);
        if (found === undefined) throw notFound('exec', id);
        return found.exec;
      },
      startExec: async (id, options) => {
        const { exec, process } = this.#execs.get(id)!;
        const finish = (code: number): void =>
          void this.#execs.set(id, { exec: { ...exec, state: { is: 'exited', code, pid: 7 } }, process });
        const client = process.attach(options.framed);
        this.#execs.set(id, { exec: { ...exec, state: { is: 'running', pid: 7 } }, process });
        void process.ended.promise.then(finish);
        try {
          process.start(exec.config.argv);
        } catch (error) {
          finish(127);
          throw error;
        }
        return options.detach ? undefined : client;
      },
      resizeExec: async (_id, { rows, columns }) => void this.resized.push(`${rows}x${columns}`),
    };
  }
}

async function collect(stream: Readable): Promise<Buffer> {
  return Buffer.concat(await stream.toArray());
}

function createContainer(config: ContainerConfig, name: string, image: Image): Container {
  const entrypoint = config.entrypoint ?? image.defaults.entrypoint ?? [];
  const id = createId();
  return {
    id,
    name,
    createdAt: nowNanos(),
    imageId: image.id,
    config,
    argv: [...entrypoint, ...(config.command ?? image.defaults.command ?? [])],
    entrypointLength: entrypoint.length,
    environment: [...image.defaults.environment, ...config.environment],
    user: config.user,
    workingDirectory: config.workingDirectory || '/',
    hostname: config.hostname || id.slice(0, 12),
    labels: config.labels,
    mountPoints: config.mounts.map((mount) => ({
      kind: mount.kind,
      ...(mount.kind === 'volume' && { name: mount.source, driver: 'local' }),
      source: mount.kind === 'tmpfs' ? '' : mount.source,
      target: mount.target,
      readOnly: mount.kind !== 'tmpfs' && mount.readOnly,
      propagation: mount.kind === 'bind' ? mount.propagation : '',
    })),
    endpoints: [],
    state: { is: 'created' },
    restartCount: 0,
    stoppedByUser: false,
    execIds: [],
    logPath: `/logs/${id}`,
    hostnamePath: '/x/hostname',
    hostsPath: '/x/hosts',
    resolvConfPath: '/x/resolv.conf',
    upperDirectory: '/x/upper',
    lowerDirectories: ['/l/2', '/l/1'],
    workDirectory: '/x/work',
  };
}

function createImage(): Image {
  return {
    id: digestOf('image'),
    manifest: digestOf('manifest'),
    platform: { os: 'linux', architecture: 'amd64' },
    createdAt: nowNanos() - 86_400_000_000_000n,
    author: 'a',
    comment: '',
    defaults: {
      user: '',
      workingDirectory: '',
      environment: ['PATH=/bin'],
      command: ['sleep'],
      labels: {},
      exposedPorts: [],
      volumes: [],
    },
    layers: [{ diffId: digestOf('layer'), chainId: digestOf('layer'), sizeBytes: 117_000_000 }],
    history: [
      { createdAt: nowNanos(), createdBy: 'debootstrap', comment: '', author: '', emptyLayer: false },
      { createdAt: nowNanos(), createdBy: 'CMD', comment: '', author: '', emptyLayer: true },
    ],
    references: ['debian:bookworm', 'debian:latest'],
    sizeBytes: 117_000_000,
  };
}

function createNetworks(): readonly Network[] {
  const make = (name: string, driver: Network['driver']): Network => ({
    id: createId(),
    name,
    driver,
    createdAt: nowNanos(),
    subnets: driver === 'bridge' ? [{ subnet: '10.88.0.0/16', gateway: '10.88.0.1' }] : [],
    options: {},
    labels: {},
    internal: false,
  });
  return [make('bridge', 'bridge'), make('host', 'host'), make('none', 'null')];
}

let usages = 0;
/** Each reading a second further on: half of one CPU of two. */
function createUsage(): Usage {
  usages++;
  return {
    readAt: nowNanos(),
    cpuTotalNanos: usages * 500_000_000,
    cpuUserNanos: usages * 400_000_000,
    cpuSystemNanos: usages * 100_000_000,
    cpuPerCpuNanos: [],
    throttledPeriods: 0,
    throttledPeriodsOf: 0,
    throttledNanos: 0,
    hostCpuNanos: usages * 2_000_000_000,
    hostCpus: 2,
    memoryBytes: 60 * 1024 ** 2,
    memoryPeakBytes: 60 * 1024 ** 2,
    memoryLimitBytes: 100 * 1024 ** 2,
    memoryStat: { inactive_file: 10 * 1024 ** 2 },
    pids: 3,
    blockIo: [{ major: 8, minor: 0, operation: 'read', bytes: 1_000_000, operations: 10 }],
    networks: {
      eth0: {
        receivedBytes: 2000,
        receivedPackets: 2,
        receivedErrors: 0,
        receivedDropped: 0,
        sentBytes: 3000,
        sentPackets: 3,
        sentErrors: 0,
        sentDropped: 0,
      },
    },
  };
}
