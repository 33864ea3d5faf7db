// An attached stream that exists before its guest runs: docker attaches first and starts afterwards. Bytes flow, with
// back-pressure in both directions, once `join` gives it the guard's stream.
import { Duplex } from 'node:stream';
import { DetachFilter } from './detach-keys.ts';

const bufferBytes = 1 << 20;

export class LateStream extends Duplex {
  #inner: Duplex | undefined;
  #write: { chunk: Buffer; done: (error?: Error | null) => void } | undefined;
  #final: ((error?: Error | null) => void) | undefined;

  readonly #filter: DetachFilter | undefined;

  /** With `detachKeys`, typing them ends the stream and not the guest. */
  constructor(detachKeys?: Buffer) {
    super({ allowHalfOpen: true, readableHighWaterMark: bufferBytes });
    this.#filter = detachKeys === undefined ? undefined : new DetachFilter(detachKeys);
  }

  get isJoined(): boolean {
    return this.#inner !== undefined;
  }

  /** Connects to the guard's stream; once only. */
  join(inner: Duplex): void {
    if (this.destroyed) {
      inner.destroy();
      return;
    }
    this.#inner = inner;
    inner.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) inner.pause();
    });
    inner.on('end', () => this.push(null));
    inner.on('error', () => this.#end());
    inner.on('close', () => this.#end());
    const write = this.#write;
    this.#write = undefined;
    if (write !== undefined) this.#send(inner, write.chunk, write.done);
    const final = this.#final;
    this.#final = undefined;
    if (final !== undefined) inner.end(() => final());
  }

  /** Ends a stream whose guest never came. */
  abandon(): void {
    this.#end();
  }

  #end(): void {
    if (!this.readableEnded && !this.destroyed) this.push(null);
    this.#write?.done();
    this.#final?.();
    this.#write = undefined;
    this.#final = undefined;
  }

  #send(inner: Duplex, chunk: Buffer, done: (error?: Error | null) => void): void {
    const passed = this.#filter?.pass(chunk) ?? chunk;
    if (this.#filter?.isDetached) {
      inner.destroy();
      done();
      return;
    }
    // What a guest no longer reads is dropped, as it would be by a closed pipe.
    if (inner.destroyed || inner.writableEnded) done();
    else inner.write(passed, () => done());
  }

  override _read(): void {
    this.#inner?.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    if (this.#inner === undefined) this.#write = { chunk, done };
    else this.#send(this.#inner, chunk, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    if (this.#inner === undefined) this.#final = done;
    else if (this.#inner.destroyed) done();
    else this.#inner.end(() => done());
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#inner?.destroy();
    done(error);
  }
}
