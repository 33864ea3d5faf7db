// The memory balloon (virtio 1.2, section 5.5): takes pages from the guest for the host, and hears of pages that are free
// anyway (page reporting). `give` returns them to the host as far as it can; a page that comes back may hold anything.
import { pageBytes, ramStart } from '../../memory/layout.ts';
import type { DeviceState } from '../device.ts';
import type { Chain } from './chain.ts';
import { type VirtioDevice, type VirtioTransport, virtioId } from './device.ts';

/** Feature bits (section 5.5.3). */
const VIRTIO_BALLOON_F_STATS_VQ = 1;
const VIRTIO_BALLOON_F_DEFLATE_ON_OOM = 2;
const VIRTIO_BALLOON_F_PAGE_REPORTING = 5;

const inflate = 0;
const deflate = 1;
const stats = 2;

/** Tags of statistics (section 5.5.6.3), in order, by the names they have in `statistics`. */
const statNames = [
  'swapInBytes',
  'swapOutBytes',
  'majorFaults',
  'minorFaults',
  'freeBytes',
  'totalBytes',
  'availableBytes',
  'cacheBytes',
  'hugePageAllocations',
  'hugePageFailures',
] as const;
const statBytes = 10;

export type MemoryStatistics = { readonly [name in (typeof statNames)[number]]?: number };

/** Page numbers that one request may carry: what Linux sends, many times over. */
const maxPages = 0x1_0000;

export interface BalloonOptions {
  /** Returns whole pages that the guest does not use, a run at a time, to the host as far as it can. */
  readonly give: (pages: Uint8Array) => void;
  /** Whether to hear of pages that are free without being asked for: of use only if `give` really frees them. */
  readonly reporting: boolean;
  readonly ramBytes: number;
}

/**
 * What can be done for `give` where shared WebAssembly memory cannot be discarded, as in today's engines: pages become zeros,
 * which checkpoints skip, and which the host's kernel can merge or drop if it looks for such. A page that is zero already is
 * only read: writing would make the host allocate it.
 */
export function zeroPages(pages: Uint8Array): void {
  for (let at = 0; at < pages.length; at += pageBytes) {
    const page = new BigUint64Array(pages.buffer, pages.byteOffset + at, pageBytes / 8);
    if (!isZero(page)) page.fill(0n);
  }
}

function isZero(words: BigUint64Array): boolean {
  for (let i = 0; i < words.length; i++) if (words[i] !== 0n) return false;
  return true;
}

export class Balloon implements VirtioDevice {
  readonly name = 'balloon';
  readonly id: number = virtioId.balloon;
  readonly features: readonly number[];
  readonly queueSizes: readonly number[];
  readonly config: Uint8Array = new Uint8Array(8);
  readonly #give: (pages: Uint8Array) => void;
  readonly #ramPages: number;
  #transport!: VirtioTransport;
  #statistics: MemoryStatistics = {};
  #givenBytes = 0;
  /** The driver's buffer for statistics, kept until they are asked for again. */
  #statsChain: Chain | undefined;

  constructor({ give, reporting, ramBytes }: BalloonOptions) {
    this.#give = give;
    this.features = [
      VIRTIO_BALLOON_F_STATS_VQ,
      VIRTIO_BALLOON_F_DEFLATE_ON_OOM,
      ...(reporting ? [VIRTIO_BALLOON_F_PAGE_REPORTING] : []),
    ];
    this.queueSizes = reporting ? [128, 128, 8, 32] : [128, 128, 8];
    this.#ramPages = Math.floor(ramBytes / pageBytes);
  }

  /** What the guest said last of its memory; empty before. */
  get statistics(): MemoryStatistics {
    return this.#statistics;
  }

  /** Bytes that the guest has put into the balloon, by its own account. */
  get inflatedBytes(): number {
    return this.#view.getUint32(4, true) * pageBytes;
  }

  /** Bytes given back since the start, by inflating and by reporting; the guest may have taken them again. */
  get givenBytes(): number {
    return this.#givenBytes;
  }

  /** Asks the guest for so many bytes, in whole pages; 0 gives all back. */
  resize(bytes: number): void {
    this.#view.setUint32(0, Math.min(Math.floor(bytes / pageBytes), this.#ramPages), true);
    this.#transport.configChanged();
  }

  /** Asks the guest for new statistics; they are there when it answered. */
  askStatistics(): void {
    const chain = this.#statsChain;
    if (chain === undefined) return;
    this.#statsChain = undefined;
    const queue = this.#transport.queue(stats);
    queue.push(chain, 0);
    queue.signal();
  }

  attach(transport: VirtioTransport): void {
    this.#transport = transport;
  }

  notify(index: number): void {
    const hasStats = this.#transport.has(VIRTIO_BALLOON_F_STATS_VQ);
    if (index === stats && hasStats) this.#readStatistics();
    // Without statistics the queue of reports has their place (Linux numbers only the queues that are there).
    else if (index === (hasStats ? stats + 1 : stats)) this.#reported(index);
    else if (index === inflate || index === deflate) this.#pages(index);
  }

  writeConfig(offset: number, bytes: number, value: number): void {
    // The driver writes `actual` only.
    if (offset === 4 && bytes === 4) this.#view.setUint32(4, value, true);
  }

  reset(): void {
    this.#statsChain = undefined;
    this.#statistics = {};
    this.#view.setUint32(4, 0, true);
  }

  /** The buffer for statistics comes again after a load, as does every chain that was not pushed. */
  save(): DeviceState {
    return { statistics: { ...this.#statistics }, givenBytes: this.#givenBytes };
  }

  load(state: DeviceState): void {
    this.#statistics = state.statistics as MemoryStatistics;
    this.#givenBytes = state.givenBytes as number;
    this.#statsChain = undefined;
  }

  get #view(): DataView {
    return new DataView(this.config.buffer);
  }

  #pages(index: number): void {
    const queue = this.#transport.queue(index);
    for (let chain = queue.pop(); chain !== undefined; chain = queue.pop()) {
      if (index === inflate) this.#inflate(chain);
      queue.push(chain, 0);
    }
  }

  /** Gives pages back by number, neighbours in one run. */
  #inflate(chain: Chain): void {
    const list = chain.read(0, Math.min(chain.readableBytes & ~3, maxPages * 4));
    const numbers = new Uint32Array(list.buffer);
    const memory = this.#transport.memory;
    for (let i = 0; i < numbers.length; ) {
      const first = numbers[i]!;
      let count = 1;
      // Linux takes pages in falling or rising order.
      while (i + count < numbers.length && numbers[i + count] === first + count) count++;
      let start = first;
      if (count === 1) {
        while (i + count < numbers.length && numbers[i + count] === first - count) count++;
        start = first - count + 1;
      }
      const address = start * pageBytes;
      if (address < ramStart || !memory.contains(address, count * pageBytes)) {
        this.#transport.fail(`page ${start} is not RAM`);
        return;
      }
      this.#release(memory.bytes(address, count * pageBytes));
      memory.written(address, count * pageBytes);
      i += count;
    }
  }

  /** Reports name free pages by the buffers themselves; they are the device's until the answer. */
  #reported(index: number): void {
    const queue = this.#transport.queue(index);
    for (let chain = queue.pop(); chain !== undefined; chain = queue.pop()) {
      for (const [i, view] of chain.writable.entries()) {
        const whole = chain.addresses[i]! % pageBytes === 0 && view.length % pageBytes === 0;
        if (whole) this.#release(view);
      }
      queue.push(chain, chain.writableBytes);
    }
  }

  #release(pages: Uint8Array): void {
    this.#give(pages);
    this.#givenBytes += pages.length;
  }

  #readStatistics(): void {
    const queue = this.#transport.queue(stats);
    for (let chain = queue.pop(); chain !== undefined; chain = queue.pop()) {
      const list = chain.read(0, statNames.length * 2 * statBytes);
      const view = new DataView(list.buffer);
      const found: { [name: string]: number } = {};
      for (let at = 0; at + statBytes <= list.length; at += statBytes) {
        const name = statNames[view.getUint16(at, true)];
        if (name !== undefined) found[name] = view.getUint32(at + 2, true) + view.getUint32(at + 6, true) * 2 ** 32;
      }
      this.#statistics = found;
      // One buffer at a time; an older one is of no use.
      if (this.#statsChain !== undefined) queue.push(this.#statsChain, 0);
      this.#statsChain = chain;
    }
  }
}
