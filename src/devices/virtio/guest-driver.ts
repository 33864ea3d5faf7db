// The guest's side of virtio over MMIO in TypeScript, for tests of devices: the handshake of a driver, and rings written into
// guest memory as a kernel would. device-under-test.ts puts it together with a device.
import type { GuestMemory } from '../../memory/guest-memory.ts';
import { ramStart } from '../../memory/layout.ts';
import type { AccessBytes } from '../device.ts';
import { VIRTQ_DESC_F_INDIRECT, VIRTQ_DESC_F_NEXT, VIRTQ_DESC_F_WRITE } from './descriptors.ts';
import { VIRTIO_F_EVENT_IDX, VIRTIO_F_INDIRECT_DESC, VIRTIO_F_VERSION_1 } from './device.ts';
import { register } from './registers.ts';

/** Where a driver's memory begins unless told. */
const firstFree = ramStart + 0x1_0000;

/** What a driver reads and writes: the transport itself, or a hart's port. Offsets are those of the slot's window. */
export interface Registers {
  read(offset: number, bytes: AccessBytes): number;
  write(offset: number, bytes: AccessBytes, value: number): unknown;
}

export interface Completion {
  readonly head: number;
  readonly writtenBytes: number;
  /** What the device wrote into the request's writable buffers, as far as it says. */
  readonly written: Uint8Array;
}

interface Ring {
  readonly size: number;
  readonly descriptors: number;
  readonly available: number;
  readonly used: number;
  readonly free: number[];
  /** Requests under way by head: their descriptors, and their writable buffers. */
  readonly underWay: Map<number, { descriptors: number[]; writable: (readonly [number, number])[] }>;
  nextAvailable: number;
  nextUsed: number;
}

export interface DriverOptions {
  /** Feature bits wanted besides VERSION_1; those that are not offered are left out. */
  readonly features?: readonly number[];
  readonly eventIndex?: boolean;
  readonly indirect?: boolean;
  /** The first guest address that the driver may use. */
  readonly from?: number;
}

export class GuestDriver {
  readonly #memory: GuestMemory;
  readonly #registers: Registers;
  readonly #rings: Ring[] = [];
  readonly #options: DriverOptions;
  #free: number;

  constructor(memory: GuestMemory, registers: Registers, options: DriverOptions = {}) {
    this.#memory = memory;
    this.#registers = registers;
    this.#options = options;
    this.#free = options.from ?? firstFree;
  }

  /** The handshake of section 3.1.1, with `queues` queues; returns the device status at its end. */
  start(queues: number): number {
    const { eventIndex = true, indirect = true, features = [] } = this.#options;
    this.write(register.Status, 0);
    this.write(register.Status, 1);
    this.write(register.Status, 3);
    const wanted = [...features, VIRTIO_F_VERSION_1];
    if (eventIndex) wanted.push(VIRTIO_F_EVENT_IDX);
    if (indirect) wanted.push(VIRTIO_F_INDIRECT_DESC);
    for (const word of [0, 1]) {
      this.write(register.DeviceFeaturesSel, word);
      const offered = this.read(register.DeviceFeatures);
      let accepted = 0;
      for (const bit of wanted) if (bit >> 5 === word) accepted |= 1 << (bit & 31);
      this.write(register.DriverFeaturesSel, word);
      this.write(register.DriverFeatures, (accepted & offered) >>> 0);
    }
    this.write(register.Status, 11);
    for (let queue = 0; queue < queues; queue++) this.#rings[queue] = this.setUp(queue);
    this.write(register.Status, 15);
    return this.read(register.Status);
  }

  read(offset: number): number {
    return this.#registers.read(offset, 4);
  }

  write(offset: number, value: number): void {
    this.#registers.write(offset, 4, value);
  }

  /** Gives all memory back that the driver took; its rings must be set up anew. */
  rewind(): void {
    this.#free = this.#options.from ?? firstFree;
    this.start(this.#rings.length);
  }

  /** So many bytes of guest memory, aligned to 16. */
  allocate(bytes: number): number {
    const at = this.#free;
    this.#free += (bytes + 15) & ~15;
    return at;
  }

  ring(queue: number): Ring {
    return this.#rings[queue]!;
  }

  /** Readable buffers' bytes and writable buffers' lengths, one descriptor each; returns the head. Notifies if wanted. */
  submit(queue: number, readable: readonly Uint8Array[], writable: readonly number[] = []): number {
    const buffers = [
      ...readable.map((bytes) => {
        const address = this.allocate(bytes.length);
        this.#memory.set(address, bytes);
        return { address, bytes: bytes.length, flags: 0 };
      }),
      ...writable.map((bytes) => ({ address: this.allocate(bytes), bytes, flags: VIRTQ_DESC_F_WRITE })),
    ];
    const head = this.place(queue, buffers);
    this.offer(queue, head);
    return head;
  }

  /** Writes descriptors and returns the head, without telling the device. */
  place(queue: number, buffers: readonly { address: number; bytes: number; flags: number }[]): number {
    const ring = this.ring(queue);
    const writable = buffers.filter((b) => b.flags !== 0).map((b) => [b.address, b.bytes] as const);
    if (this.#options.indirect !== false && buffers.length > 1) {
      const table = this.allocate(buffers.length * 16);
      for (const [i, buffer] of buffers.entries()) this.#descriptor(table, i, buffer, buffers.length);
      const head = ring.free.shift()!;
      const entry = { address: table, bytes: buffers.length * 16, flags: VIRTQ_DESC_F_INDIRECT };
      this.describe(ring.descriptors, head, entry, 0);
      ring.underWay.set(head, { descriptors: [head], writable });
      return head;
    }
    const taken = buffers.map(() => ring.free.shift()!);
    for (const [i, buffer] of buffers.entries()) {
      const next = taken[i + 1];
      const flags = buffer.flags | (next === undefined ? 0 : VIRTQ_DESC_F_NEXT);
      this.describe(ring.descriptors, taken[i]!, { ...buffer, flags }, next ?? 0);
    }
    ring.underWay.set(taken[0]!, { descriptors: taken, writable });
    return taken[0]!;
  }

  /** Makes a chain available and notifies the device if it wants that. */
  offer(queue: number, head: number): void {
    const ring = this.ring(queue);
    const memory = this.#memory;
    memory.setU16(ring.available + 4 + (ring.nextAvailable % ring.size) * 2, head);
    const before = ring.nextAvailable;
    ring.nextAvailable = (before + 1) & 0xffff;
    memory.storeU16(ring.available + 2, ring.nextAvailable);
    if (this.#options.eventIndex !== false) {
      if (memory.loadU16(ring.used + 4 + ring.size * 8) === before) this.write(register.QueueNotify, queue);
    } else if ((memory.loadU16(ring.used) & 1) === 0) this.write(register.QueueNotify, queue);
  }

  /** What the device finished since the last time; asks for an interrupt at the next. */
  completions(queue: number): Completion[] {
    const ring = this.ring(queue);
    const memory = this.#memory;
    const found: Completion[] = [];
    while (memory.loadU16(ring.used + 2) !== ring.nextUsed) {
      const entry = ring.used + 4 + (ring.nextUsed % ring.size) * 8;
      const head = memory.u32(entry);
      const writtenBytes = memory.u32(entry + 4);
      const request = ring.underWay.get(head);
      if (request === undefined) throw new Error(`The device returned ${head}, which was not its own`);
      ring.underWay.delete(head);
      ring.free.push(...request.descriptors);
      ring.nextUsed = (ring.nextUsed + 1) & 0xffff;
      const all = request.writable.flatMap(([address, bytes]) => [...memory.bytes(address, bytes)]);
      found.push({ head, writtenBytes, written: Uint8Array.from(all.slice(0, writtenBytes)) });
    }
    if (this.#options.eventIndex !== false) memory.storeU16(ring.available + 4 + ring.size * 2, ring.nextUsed);
    return found;
  }

  /** Acknowledges what the interrupt status says and returns it. */
  acknowledge(): number {
    const status = this.read(register.InterruptStatus);
    this.write(register.InterruptACK, status);
    return status;
  }

  /** Writes one descriptor. */
  describe(
    table: number,
    index: number,
    { address, bytes, flags }: { address: number; bytes: number; flags: number },
    next: number,
  ): void {
    const at = table + index * 16;
    this.#memory.setU64(at, address);
    this.#memory.setU32(at + 8, bytes);
    this.#memory.setU16(at + 12, flags);
    this.#memory.setU16(at + 14, next);
  }

  /** Sets a queue up at its largest size, and makes it ready. */
  setUp(queue: number): Ring {
    this.write(register.QueueSel, queue);
    const size = this.read(register.QueueNumMax);
    const descriptors = this.allocate(size * 16);
    const available = this.allocate(6 + size * 2);
    const used = this.allocate(6 + size * 8);
    this.#memory.bytes(descriptors, size * 16).fill(0);
    this.#memory.bytes(available, 6 + size * 2).fill(0);
    this.#memory.bytes(used, 6 + size * 8).fill(0);
    this.write(register.QueueNum, size);
    for (const [at, address] of [
      [register.QueueDescLow, descriptors],
      [register.QueueDriverLow, available],
      [register.QueueDeviceLow, used],
    ] as const) {
      this.write(at, address);
      this.write(at + 4, 0);
    }
    this.write(register.QueueReady, 1);
    const free = Array.from({ length: size }, (_, i) => i);
    return { size, descriptors, available, used, free, underWay: new Map(), nextAvailable: 0, nextUsed: 0 };
  }

  #descriptor(
    table: number,
    i: number,
    buffer: { address: number; bytes: number; flags: number },
    count: number,
  ): void {
    const last = i === count - 1;
    this.describe(table, i, { ...buffer, flags: buffer.flags | (last ? 0 : VIRTQ_DESC_F_NEXT) }, last ? 0 : i + 1);
  }
}
