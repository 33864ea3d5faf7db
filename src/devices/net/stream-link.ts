// A link, or a card of another process, over a byte stream: the two ends of a cable between a machine's process and a
// hub's. When the stream cannot take more, frames are lost; when the card is full, the stream is paused.
import type { DeviceState } from '../device.ts';
import type { Frame } from './frame.ts';
import { encodeFrame, FrameReader } from './frame-stream.ts';
import type { Link, Port } from './link.ts';
import type { Stream, StreamEvents } from './stream.ts';

const maxWaitingBytes = 1 << 20;

/** The machine's end. */
export class StreamLink implements Link, StreamEvents {
  readonly #closed: () => void;
  readonly #reader = new FrameReader();
  #stream: Stream | undefined;
  #port: Port | undefined;
  #waiting: Frame[] = [];

  /** `closed` is called when the other end is gone: the cable is out. */
  constructor(closed: () => void) {
    this.#closed = closed;
  }

  /** The stream whose events this is. */
  join(stream: Stream): void {
    this.#stream = stream;
  }

  attach(port: Port): void {
    this.#port = port;
  }

  send(frame: Frame): void {
    sendOver(this.#stream, frame);
  }

  flush(): void {}

  resume(): void {
    for (let frame = this.#waiting[0]; frame !== undefined; frame = this.#waiting[0]) {
      if (this.#port?.deliver(frame) === false) return;
      this.#waiting.shift();
    }
    this.#stream?.resume();
  }

  reset(): void {
    this.#waiting = [];
    this.#stream?.resume();
  }

  close(): void {
    this.#stream?.reset();
    this.#stream = undefined;
  }

  save(): DeviceState {
    return {};
  }

  load(): void {
    this.reset();
  }

  connected(): void {}

  received(bytes: Uint8Array): void {
    const frames = this.#reader.read(bytes);
    if (frames === undefined) {
      this.close();
      this.#closed();
      return;
    }
    this.#waiting.push(...frames);
    this.resume();
    if (this.#waiting.length > 0) this.#stream?.pause();
  }

  ended(): void {
    this.close();
    this.#closed();
  }

  drained(): void {}

  closed(): void {
    this.#stream = undefined;
    this.#closed();
  }
}

/** The hub's end: what comes over the stream goes into `link`, a port of the hub. Gives the stream's events. */
export function serveLink(link: Link, stream: Stream): StreamEvents {
  const reader = new FrameReader();
  const part = (): void => {
    link.close();
    stream.reset();
  };
  link.attach({
    deliver: (frame) => {
      sendOver(stream, frame);
      return true;
    },
  });
  return {
    connected: () => undefined,
    received: (bytes) => {
      const frames = reader.read(bytes);
      if (frames === undefined) return part();
      for (const frame of frames) link.send(frame);
      link.flush();
    },
    ended: part,
    drained: () => undefined,
    closed: () => link.close(),
  };
}

function sendOver(stream: Stream | undefined, frame: Frame): void {
  if (stream === undefined || stream.waitingBytes + frame.bytes > maxWaitingBytes) return;
  stream.write(encodeFrame(frame));
}
