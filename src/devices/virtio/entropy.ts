// The entropy device (virtio 1.2, section 5.4): fills the driver's buffers with random bytes. The source is passed in, so
// that a recorded machine can be given the same again.
import type { DeviceState } from '../device.ts';
import { type VirtioDevice, type VirtioTransport, virtioId } from './device.ts';

/** What one request gets at most: a driver asks again, and a huge buffer does not hold the device thread up. */
const maxBytes = 0x1_0000;

export class Entropy implements VirtioDevice {
  readonly name = 'entropy';
  readonly id: number = virtioId.entropy;
  readonly features: readonly number[] = [];
  readonly queueSizes: readonly number[] = [8];
  readonly config: Uint8Array = new Uint8Array(0);
  readonly #random: (bytes: number) => Uint8Array;
  #transport!: VirtioTransport;

  /** `random` gives so many random bytes, 65536 at most. */
  constructor(random: (bytes: number) => Uint8Array) {
    this.#random = random;
  }

  attach(transport: VirtioTransport): void {
    this.#transport = transport;
  }

  notify(): void {
    const queue = this.#transport.queue(0);
    for (let chain = queue.pop(); chain !== undefined; chain = queue.pop()) {
      queue.push(chain, chain.write(0, this.#random(Math.min(chain.writableBytes, maxBytes))));
    }
  }

  reset(): void {}

  save(): DeviceState {
    return {};
  }

  load(): void {}
}
