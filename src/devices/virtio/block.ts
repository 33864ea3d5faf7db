// The block device (virtio 1.2, section 5.2). One queue; a request is done at once if the backend can, so that the answer
// is there before the hart has gone to sleep. Data moves between the backend and guest memory without a copy.
import { type BlockBackend, type Done, sectorBytes } from '../block-backend.ts';
import type { DeviceState } from '../device.ts';
import type { Chain } from './chain.ts';
import { type VirtioDevice, type VirtioTransport, virtioId } from './device.ts';

/** Feature bits (section 5.2.3). */
const VIRTIO_BLK_F_SIZE_MAX = 1;
const VIRTIO_BLK_F_SEG_MAX = 2;
const VIRTIO_BLK_F_RO = 5;
const VIRTIO_BLK_F_BLK_SIZE = 6;
const VIRTIO_BLK_F_FLUSH = 9;
const VIRTIO_BLK_F_TOPOLOGY = 10;
const VIRTIO_BLK_F_DISCARD = 13;
const VIRTIO_BLK_F_WRITE_ZEROES = 14;

/** Request types and status (section 5.2.6). */
const VIRTIO_BLK_T_IN = 0;
const VIRTIO_BLK_T_OUT = 1;
const VIRTIO_BLK_T_FLUSH = 4;
const VIRTIO_BLK_T_GET_ID = 8;
const VIRTIO_BLK_T_DISCARD = 11;
const VIRTIO_BLK_T_WRITE_ZEROES = 13;
const VIRTIO_BLK_S_OK = 0;
const VIRTIO_BLK_S_IOERR = 1;
const VIRTIO_BLK_S_UNSUPP = 2;
/** Of a range to discard or zero: the only flag, bit 0, lets zeroing give space back. */
const unmap = 1;

const headerBytes = 16;
const idBytes = 20;
const rangeBytes = 16;
const queueSize = 256;
/** A request has a header, a status and at most so many pieces of data, each of at most so many bytes. */
const maxSegments = queueSize - 2;
const maxSegmentBytes = 0x10_0000;
const maxRanges = 16;
/** A range is written as zeros in one go: the time of one request is bounded. */
const maxRangeSectors = 0x1_0000;

export interface BlockOptions {
  readonly backend: BlockBackend;
  readonly name: string;
  /** What the guest finds as the disk's serial number: at most 20 ASCII characters. */
  readonly serial: string;
  /** A request that the backend could not do; the guest gets an I/O error. */
  readonly failed?: (disk: string, error: unknown) => void;
}

export class Block implements VirtioDevice {
  readonly name: string;
  readonly id: number = virtioId.block;
  readonly features: readonly number[];
  readonly queueSizes: readonly number[] = [queueSize];
  readonly config: Uint8Array;
  readonly #backend: BlockBackend;
  readonly #serial: Uint8Array;
  readonly #failed: (disk: string, error: unknown) => void;
  /** Requests of the backend under way. */
  readonly #underWay = new Set<Promise<void>>();
  #transport!: VirtioTransport;

  constructor({ backend, name, serial, failed }: BlockOptions) {
    this.name = name;
    this.#backend = backend;
    this.#failed = failed ?? (() => {});
    this.#serial = new Uint8Array(idBytes);
    this.#serial.set(Uint8Array.from(serial.slice(0, idBytes), (letter) => letter.charCodeAt(0)));
    this.features = [
      VIRTIO_BLK_F_SIZE_MAX,
      VIRTIO_BLK_F_SEG_MAX,
      VIRTIO_BLK_F_BLK_SIZE,
      VIRTIO_BLK_F_FLUSH,
      VIRTIO_BLK_F_TOPOLOGY,
      ...(backend.readOnly ? [VIRTIO_BLK_F_RO] : [VIRTIO_BLK_F_WRITE_ZEROES]),
      ...(backend.discard && !backend.readOnly ? [VIRTIO_BLK_F_DISCARD] : []),
    ];
    this.config = configuration(backend);
  }

  attach(transport: VirtioTransport): void {
    this.#transport = transport;
  }

  notify(): void {
    const queue = this.#transport.queue(0);
    for (let chain = queue.pop(); chain !== undefined; chain = queue.pop()) this.#serve(chain);
  }

  /** Waits for requests under way: they may still write to guest memory. */
  reset(): void | Promise<void> {
    if (this.#underWay.size > 0) return Promise.allSettled(this.#underWay).then(() => {});
  }

  /** Settles when no request is under way. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#underWay);
  }

  save(): DeviceState {
    return {};
  }

  load(): void {}

  #serve(chain: Chain): void {
    if (chain.readableBytes < headerBytes || chain.writableBytes < 1) {
      this.#transport.fail('a block request without header or status');
      return;
    }
    let done: Done;
    try {
      const status = this.#request(chain);
      if (typeof status === 'number') {
        this.#answer(chain, status);
        return;
      }
      done = status;
    } catch (error) {
      this.#fail(chain, error);
      return;
    }
    if (done === undefined) {
      this.#answer(chain, VIRTIO_BLK_S_OK);
      return;
    }
    const settled: Promise<void> = done
      .then(
        () => this.#answer(chain, VIRTIO_BLK_S_OK),
        (error: unknown) => this.#fail(chain, error),
      )
      .then(() => {
        this.#underWay.delete(settled);
        this.#transport.queue(0).signal();
      });
    this.#underWay.add(settled);
  }

  /** Begins a request: a status if it cannot be, else when it is done. */
  #request(chain: Chain): number | Done {
    const header = new DataView(chain.read(0, headerBytes).buffer);
    const offset = (header.getUint32(8, true) + header.getUint32(12, true) * 2 ** 32) * sectorBytes;
    switch (header.getUint32(0, true)) {
      case VIRTIO_BLK_T_IN: {
        const bytes = chain.writableBytes - 1;
        if (!this.#fits(offset, bytes)) return VIRTIO_BLK_S_IOERR;
        return this.#backend.read(offset, chain.writableSlice(0, bytes));
      }
      case VIRTIO_BLK_T_OUT: {
        const bytes = chain.readableBytes - headerBytes;
        if (this.#backend.readOnly || !this.#fits(offset, bytes)) return VIRTIO_BLK_S_IOERR;
        return this.#backend.write(offset, chain.readableSlice(headerBytes, bytes));
      }
      case VIRTIO_BLK_T_FLUSH:
        return this.#backend.flush();
      case VIRTIO_BLK_T_GET_ID:
        chain.write(0, this.#serial.subarray(0, Math.min(idBytes, chain.writableBytes - 1)));
        return VIRTIO_BLK_S_OK;
      case VIRTIO_BLK_T_DISCARD:
        return this.#ranges(chain, true);
      case VIRTIO_BLK_T_WRITE_ZEROES:
        return this.#ranges(chain, false);
      default:
        return VIRTIO_BLK_S_UNSUPP;
    }
  }

  /** Discards or zeroes ranges, all of which are looked at first. */
  #ranges(chain: Chain, discard: boolean): number | Done {
    const { discard: give, readOnly } = this.#backend;
    if (readOnly) return VIRTIO_BLK_S_IOERR;
    if (discard && give === undefined) return VIRTIO_BLK_S_UNSUPP;
    const bytes = chain.readableBytes - headerBytes;
    if (bytes === 0 || bytes % rangeBytes !== 0 || bytes > maxRanges * rangeBytes) return VIRTIO_BLK_S_IOERR;
    const view = new DataView(chain.read(headerBytes, bytes).buffer);
    const ranges: { offset: number; bytes: number; flags: number }[] = [];
    for (let at = 0; at < bytes; at += rangeBytes) {
      const sectors = view.getUint32(at + 8, true);
      const range = {
        offset: (view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32) * sectorBytes,
        bytes: sectors * sectorBytes,
        flags: view.getUint32(at + 12, true),
      };
      if ((range.flags & ~(discard ? 0 : unmap)) !== 0) return VIRTIO_BLK_S_UNSUPP;
      if (sectors > maxRangeSectors || !this.#fits(range.offset, range.bytes)) return VIRTIO_BLK_S_IOERR;
      ranges.push(range);
    }
    const waits: Promise<void>[] = [];
    for (const range of ranges) {
      const giveBack = give !== undefined && (discard || (range.flags & unmap) !== 0);
      const done = giveBack
        ? give.call(this.#backend, range.offset, range.bytes)
        : this.#backend.zero(range.offset, range.bytes);
      if (done !== undefined) waits.push(done);
    }
    if (waits.length > 0) return Promise.all(waits).then(() => {});
  }

  #fits(offset: number, bytes: number): boolean {
    return bytes % sectorBytes === 0 && bytes <= maxSegments * maxSegmentBytes && offset + bytes <= this.#backend.bytes;
  }

  #answer(chain: Chain, status: number): void {
    chain.write(chain.writableBytes - 1, Uint8Array.of(status));
    // A failed read wrote an unknown part of its buffers; stale instructions there must go all the same.
    this.#transport.queue(0).push(chain, chain.writableBytes);
  }

  #fail(chain: Chain, error: unknown): void {
    this.#failed(this.name, error);
    this.#answer(chain, VIRTIO_BLK_S_IOERR);
  }
}

/** The configuration of section 5.2.4. */
function configuration(backend: BlockBackend): Uint8Array {
  const config = new Uint8Array(60);
  const view = new DataView(config.buffer);
  const sectors = Math.floor(backend.bytes / sectorBytes);
  view.setUint32(0, sectors >>> 0, true);
  view.setUint32(4, Math.floor(sectors / 2 ** 32), true);
  view.setUint32(8, maxSegmentBytes, true);
  view.setUint32(12, maxSegments, true);
  view.setUint32(20, sectorBytes, true);
  // Topology: pages of 2^3 sectors are what the host writes well, from sector 0 on, and the least to be asked for.
  config[24] = 3;
  view.setUint16(26, 8, true);
  view.setUint32(36, maxRangeSectors, true);
  view.setUint32(40, maxRanges, true);
  view.setUint32(44, 8, true);
  view.setUint32(48, maxRangeSectors, true);
  view.setUint32(52, maxRanges, true);
  config[56] = backend.discard ? 1 : 0;
  return config;
}
