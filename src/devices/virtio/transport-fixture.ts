// A transport and its driver for the tests of virtio devices: real queues in a real guest memory, without registers.
import { GuestMemory } from '../../memory/guest-memory.ts';
import { layout, ramStart } from '../../memory/layout.ts';
import type { VirtioDevice, VirtioTransport } from './device.ts';
import { type QueueOwner, Virtqueue } from './queue.ts';

const ramBytes = 8 << 20;
const ringBytes = 0x1_0000;

export class TransportFixture implements VirtioTransport, QueueOwner {
  running = true;
  readonly eventIndex = false;
  readonly memory: GuestMemory;
  readonly drivers: DriverQueue[];
  readonly device: VirtioDevice;
  interrupts = 0;
  configChanges = 0;
  failure: string | undefined;
  /** Queues whose notification the device asked for once more. */
  readonly postponed: number[] = [];
  #features: ReadonlySet<number>;

  /** A device whose driver accepted `features`, all that it offers unless told. */
  constructor(device: VirtioDevice, features: readonly number[] = device.features) {
    const map = layout(1, ramBytes);
    this.memory = new GuestMemory(new ArrayBuffer(map.totalBytes), map);
    this.device = device;
    this.#features = new Set(features);
    const share = Math.floor((ramBytes - device.queueSizes.length * ringBytes) / device.queueSizes.length) & ~0xfff;
    this.drivers = device.queueSizes.map((size, index) => {
      const ring = ramStart + index * ringBytes;
      const data = ramStart + device.queueSizes.length * ringBytes + index * share;
      return new DriverQueue(this, new Virtqueue(this.memory, index, size, this), ring, data, share);
    });
    device.attach(this);
    device.start?.();
  }

  queue(index: number): Virtqueue {
    return this.drivers[index]!.queue;
  }

  has(feature: number): boolean {
    return this.#features.has(feature);
  }

  again(index: number): void {
    this.postponed.push(index);
  }

  configChanged(): void {
    this.configChanges++;
  }

  interrupt(): void {
    this.interrupts++;
  }

  fail(why: string): void {
    this.failure ??= why;
    this.running = false;
  }
}

export interface Used {
  readonly id: number;
  /** What the device wrote. */
  readonly bytes: Uint8Array;
}

/** The driver's side of a queue: chains of fresh buffers, in one area of memory that is used round and round. */
export class DriverQueue {
  readonly queue: Virtqueue;
  readonly #transport: TransportFixture;
  readonly #free: number[];
  readonly #data: number;
  readonly #dataBytes: number;
  readonly #chains = new Map<
    number,
    { readonly descriptors: number[]; readonly writable: (readonly [number, number])[] }
  >();
  #dataAt = 0;
  #available = 0;
  #used = 0;

  constructor(transport: TransportFixture, queue: Virtqueue, ring: number, data: number, dataBytes: number) {
    this.#transport = transport;
    this.queue = queue;
    queue.descriptors = ring;
    queue.available = ring + 0x8000;
    queue.used = ring + 0xa000;
    queue.setReady(true);
    this.#free = Array.from({ length: queue.size }, (_, index) => index);
    this.#data = data;
    this.#dataBytes = dataBytes;
  }

  /** Descriptors that no chain uses. */
  get free(): number {
    return this.#free.length;
  }

  /** Makes a chain of buffers with these bytes, then of writable ones of these sizes; the device is not told yet. */
  add(readable: readonly Uint8Array[], writable: readonly number[]): number {
    const { memory } = this.#transport;
    const places: (readonly [number, number])[] = [];
    const descriptors: number[] = [];
    for (const part of [...readable, ...writable]) {
      const bytes = typeof part === 'number' ? part : part.length;
      const address = this.#place(bytes);
      if (typeof part === 'number') places.push([address, bytes]);
      else memory.set(address, part);
      const index = this.#free.pop();
      if (index === undefined) throw new Error('the ring is full');
      const at = this.queue.descriptors + index * 16;
      memory.setU64(at, address);
      memory.setU32(at + 8, bytes);
      memory.setU16(at + 12, typeof part === 'number' ? 2 : 0);
      const before = descriptors.at(-1);
      if (before !== undefined) {
        const flags = this.queue.descriptors + before * 16 + 12;
        memory.setU16(flags, memory.u16(flags) | 1);
        memory.setU16(flags + 2, index);
      }
      descriptors.push(index);
    }
    const head = descriptors[0]!;
    this.#chains.set(head, { descriptors, writable: places });
    memory.setU16(this.queue.available + 4 + (this.#available % this.queue.size) * 2, head);
    this.#available++;
    memory.setU16(this.queue.available + 2, this.#available & 0xffff);
    return head;
  }

  /** Tells the device of what was added. */
  kick(): void {
    this.#transport.device.notify(this.queue.index);
    this.queue.signal();
  }

  /** The chains that the device gave back since the last call. */
  take(): Used[] {
    const { memory } = this.#transport;
    const found: Used[] = [];
    while (this.#used !== memory.u16(this.queue.used + 2)) {
      const entry = this.queue.used + 4 + (this.#used % this.queue.size) * 8;
      this.#used = (this.#used + 1) & 0xffff;
      const id = memory.u32(entry);
      const chain = this.#chains.get(id);
      if (chain === undefined) throw new Error(`the device gave back chain ${id}, which it does not have`);
      const bytes = new Uint8Array(memory.u32(entry + 4));
      let at = 0;
      for (const [address, room] of chain.writable) {
        const part = memory.bytes(address, Math.min(room, bytes.length - at));
        bytes.set(part, at);
        at += part.length;
      }
      if (at < bytes.length) throw new Error('the device wrote more than there was room for');
      this.#free.push(...chain.descriptors);
      this.#chains.delete(id);
      found.push({ id, bytes });
    }
    return found;
  }

  /** Adds one chain, tells the device, and gives what it wrote; undefined while it did not answer. */
  request(readable: readonly Uint8Array[], writable: readonly number[]): Uint8Array | undefined {
    const id = this.add(readable, writable);
    this.kick();
    return this.take().find((used) => used.id === id)?.bytes;
  }

  #place(bytes: number): number {
    if (this.#dataAt + bytes > this.#dataBytes) this.#dataAt = 0;
    const address = this.#data + this.#dataAt;
    this.#dataAt += bytes;
    return address;
  }
}
