// The file system device (virtio 1.2, section 5.11): FUSE requests over queues, a directory of the host behind them.
// Requests are carried out at once, one after another: files of a host answer from its cache, or block this device's
// thread as long as its disk takes.
import type { DeviceState } from '../device.ts';
import { inHeaderBytes, outHeaderBytes } from '../fs/fuse.ts';
import type { HostDirectory } from '../fs/host-directory.ts';
import { FuseSession, maxArgumentBytes, maxTransferBytes, type SessionOptions } from '../fs/session.ts';
import type { Chain } from './chain.ts';
import { type VirtioDevice, type VirtioTransport, virtioId } from './device.ts';

const tagBytes = 36;

export interface FileSystemOptions extends SessionOptions {
  /** What the guest mounts it by: `mount -t virtiofs TAG DIRECTORY`, or `root=TAG rootfstype=virtiofs`. */
  readonly tag: string;
  readonly directory: HostDirectory;
}

export class FileSystem implements VirtioDevice {
  readonly name = 'fs';
  readonly id: number = virtioId.fileSystem;
  readonly features: readonly number[] = [];
  /** High priority (FORGET), then requests; a transfer of 1 MiB takes a descriptor a page. */
  readonly queueSizes: readonly number[] = [128, 1024];
  readonly config: Uint8Array = new Uint8Array(tagBytes + 4);
  readonly #session: FuseSession;
  #transport!: VirtioTransport;

  constructor({ tag, directory, ...options }: FileSystemOptions) {
    const name = new TextEncoder().encode(tag);
    if (name.length === 0 || name.length > tagBytes) {
      throw new RangeError(`Cannot share a directory as "${tag}": a tag has 1 to ${tagBytes} bytes`);
    }
    this.config.set(name);
    new DataView(this.config.buffer).setUint32(tagBytes, 1, true);
    this.#session = new FuseSession(directory, options);
  }

  attach(transport: VirtioTransport): void {
    this.#transport = transport;
  }

  notify(index: number): void {
    const queue = this.#transport.queue(index);
    for (let chain = queue.pop(); chain !== undefined; chain = queue.pop()) queue.push(chain, this.#serve(chain));
  }

  reset(): void {
    this.#session.reset();
  }

  save(): DeviceState {
    return this.#session.save();
  }

  load(state: DeviceState): void {
    this.#session.load(state);
  }

  /** Answers a request; returns how many bytes it wrote. */
  #serve(chain: Chain): number {
    const roomBytes = Math.max(0, chain.writableBytes - outHeaderBytes);
    const reply = this.#session.serve({
      head: chain.read(0, inHeaderBytes + maxArgumentBytes),
      data: (offset, bytes) => chain.readableSlice(offset, Math.min(bytes, maxTransferBytes)),
      room: (bytes) => chain.writableSlice(outHeaderBytes, Math.min(bytes, roomBytes)),
      roomBytes,
    });
    if (reply === undefined || chain.writableBytes < outHeaderBytes) return 0;
    chain.write(0, reply.head);
    if (typeof reply.answer === 'number') return outHeaderBytes + reply.answer;
    return outHeaderBytes + chain.write(outHeaderBytes, reply.answer);
  }
}
