// A tap device as a card's link. Node cannot open one: the keeper does, by the steps of tap-steps.ts, and this process
// inherits the descriptor.
import { writevSync } from 'node:fs';
import { Socket } from 'node:net';
import type { DeviceState } from '../../devices/device.ts';
import { ethernetBytes } from '../../devices/net/ethernet.ts';
import { type Frame, frameOf, maxFrameBytes } from '../../devices/net/frame.ts';
import type { Link, Port } from '../../devices/net/link.ts';
import { decodeNetHeader, encodeNetHeader, netHeaderBytes } from '../../devices/virtio/net-header.ts';

/** The part of Node's own pipe that polls a descriptor of any kind; there is no public way to wait for a tap. */
interface PipeHandle {
  open(fd: number): void;
}
interface PipeBinding {
  readonly Pipe: new (kind: number) => PipeHandle;
  readonly constants: { readonly SOCKET: number };
}

export class TapLink implements Link {
  readonly #fd: number;
  readonly #socket: Socket;
  #port: Port | undefined;
  #waiting: Frame | undefined;

  /** `fd` is a tap's, set up as above; the link closes it. */
  constructor(fd: number) {
    this.#fd = fd;
    const { binding } = process as unknown as { binding(name: string): PipeBinding };
    const { Pipe, constants } = binding.call(process, 'pipe_wrap');
    const handle = new Pipe(constants.SOCKET);
    handle.open(fd);
    // Each read gives one frame, if the buffer holds the largest.
    const onread = {
      buffer: new Uint8Array(netHeaderBytes + maxFrameBytes + 1),
      callback: (bytes: number, buffer: Uint8Array): boolean => this.#received(buffer.subarray(0, bytes)),
    };
    const options = { handle, readable: true, writable: true, onread };
    this.#socket = new Socket(options as object);
    this.#socket.on('error', () => undefined);
  }

  attach(port: Port): void {
    this.#port = port;
    this.#socket.resume();
  }

  /** A frame that the tap does not take at once is lost, as by any full queue. */
  send(frame: Frame): void {
    try {
      writevSync(this.#fd, [encodeNetHeader(frame.offload, 0), ...frame.pieces]);
    } catch {
      // Full, or down.
    }
  }

  flush(): void {}

  resume(): void {
    if (this.#waiting === undefined) return;
    if (this.#port?.deliver(this.#waiting) === false) return;
    this.#waiting = undefined;
    this.#socket.resume();
  }

  reset(): void {
    if (this.#waiting === undefined) return;
    this.#waiting = undefined;
    this.#socket.resume();
  }

  close(): void {
    this.#socket.destroy();
  }

  save(): DeviceState {
    return {};
  }

  load(): void {
    this.reset();
  }

  #received(bytes: Uint8Array): boolean {
    const frameBytes = bytes.length - netHeaderBytes;
    if (frameBytes < ethernetBytes) return true;
    const offload = decodeNetHeader(bytes.subarray(0, netHeaderBytes), frameBytes);
    if (offload === undefined) return true;
    if (this.#port?.deliver(frameOf(bytes.subarray(netHeaderBytes), offload)) !== false) return true;
    this.#waiting = frameOf(bytes.slice(netHeaderBytes), offload);
    return false;
  }
}
