// The machine in a page: what src/machines/soft/process.ts is in Node. The page's own thread serves the devices, each hart is a
// worker; disks are memory of the page, over a file that the page can read.
import { MemoryStore } from '../../devices/memory-store.ts';
import { StoreDisk } from '../../devices/store-disk.ts';
import { Block } from '../../devices/virtio/block.ts';
import type { VirtioDevice } from '../../devices/virtio/device.ts';
import { Entropy } from '../../devices/virtio/entropy.ts';
import { pageBytes } from '../../memory/layout.ts';
import type { HartStart } from '../../monitor/hart-thread.ts';
import { Machine, type MachineEnd } from '../../monitor/machine.ts';
import { state } from '../../vcpu/hart-state.ts';
import { BlobDisk } from './blob-disk.ts';
import { every, sharedNow, wallClock } from './clock.ts';

export interface PageMachineOptions {
  readonly harts: number;
  readonly ramBytes: number;
  readonly engine: HartStart['engine'];
  readonly kernel: Uint8Array;
  readonly initrd: Uint8Array | undefined;
  readonly commandLine: string;
  /** A disk that is only read: the guest's vda, with the serial number "image". */
  readonly image: Blob | undefined;
  /** Size of an empty disk in the page's memory, with the serial number "disk"; 0 for none. */
  readonly diskBytes: number;
  /** Takes what the guest wrote on its serial port; more comes when the promise is settled. */
  readonly output: (bytes: Uint8Array<ArrayBuffer>) => Promise<void>;
  /** Told what a device's driver did wrong, and what a disk could not do. */
  readonly broke: (device: string, why: string) => void;
}

/** Workers that have not ended so long after they were asked to are ended by force. */
const stopMs = 3000;
/** What `crypto.getRandomValues` gives at once. */
const maxRandomBytes = 0x1_0000;

export class PageMachine {
  readonly #machine: Machine;
  readonly #harts: number;
  /** The workers under way, each with what ends it as if it had ended by itself. */
  readonly #workers = new Map<Worker, () => void>();
  readonly #retired: BigInt64Array;
  #typed: Uint8Array = new Uint8Array(0);

  /** Throws BadKernel, and RangeError when there is no memory for it. */
  constructor(options: PageMachineOptions) {
    this.#harts = options.harts;
    this.#machine = new Machine({
      harts: options.harts,
      ramBytes: options.ramBytes,
      kernel: options.kernel,
      ...(options.initrd && { initrd: options.initrd }),
      commandLine: options.commandLine,
      virtio: devices(options),
      serial: { write: options.output, ready: () => this.#feed() },
      random,
      nowMs: sharedNow,
      calendar: wallClock,
      watch: every,
      engine: options.engine,
      startHart: (start) => this.#startHart(start),
      broke: options.broke,
    });
    this.#retired = new BigInt64Array(this.#machine.memory.buffer);
  }

  /** Runs to the machine's end; then none of its workers is left. */
  run(): Promise<MachineEnd> {
    return this.#machine.run();
  }

  stop(): void {
    this.#machine.stop();
    setTimeout(() => {
      for (const end of this.#workers.values()) end();
    }, stopMs);
  }

  /** Gives the guest bytes as if typed; what its serial port has no room for waits. */
  type(bytes: Uint8Array): void {
    const all = new Uint8Array(this.#typed.length + bytes.length);
    all.set(this.#typed);
    all.set(bytes, this.#typed.length);
    this.#typed = all;
    this.#feed();
  }

  /** Instructions that all harts have run, to within a slice of each. */
  get instructions(): number {
    let sum = 0;
    for (let hart = 0; hart < this.#harts; hart++) {
      sum += Number(Atomics.load(this.#retired, (this.#machine.layout.hart(hart) + state.retired) / 8));
    }
    return sum;
  }

  /** Bytes of the pages that the guest's instructions have written to or are in. */
  get touchedBytes(): number {
    const { memory, layout } = this.#machine;
    const flags = new Uint8Array(memory.buffer, layout.pageFlags, layout.ramBytes / pageBytes);
    let pages = 0;
    for (const flag of flags) if (flag !== 0) pages++;
    return pages * pageBytes;
  }

  #feed(): void {
    if (this.#typed.length === 0) return;
    this.#typed = this.#typed.subarray(this.#machine.serial.receive(this.#typed));
  }

  #startHart(start: HartStart): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const worker = new Worker('hart-worker.js', { type: 'module', name: `hart ${start.index}` });
    const end = (): void => {
      worker.terminate();
      this.#workers.delete(worker);
      resolve();
    };
    this.#workers.set(worker, end);
    worker.onmessage = end;
    worker.onerror = (event) => {
      reject(new Error(event.message || 'the worker of a hart could not be started'));
      end();
    };
    worker.postMessage(start);
    return promise;
  }
}

function devices({ image, diskBytes, broke }: PageMachineOptions): VirtioDevice[] {
  const failed = (disk: string, error: unknown): void => broke(disk, String(error));
  const disks: VirtioDevice[] = [];
  if (image) disks.push(new Block({ backend: new BlobDisk(image), name: 'image', serial: 'image', failed }));
  if (diskBytes > 0) {
    const backend = new StoreDisk(new MemoryStore(diskBytes));
    disks.push(new Block({ backend, name: 'disk', serial: 'disk', failed }));
  }
  return [...disks, new Entropy(random)];
}

function random(bytes: number): Uint8Array {
  const all = new Uint8Array(bytes);
  for (let at = 0; at < bytes; at += maxRandomBytes) crypto.getRandomValues(all.subarray(at, at + maxRandomBytes));
  return all;
}
