// A byte stream to the host, as the guest's TCP and vsock connections need it: the contract that Node's sockets (in
// src/machines/soft/) and tests carry out. Both directions close on their own; nothing is called after `closed`.

export interface Stream {
  /** Takes all the bytes; the caller keeps to `waitingBytes`. They may change once the call has returned. */
  write(bytes: Uint8Array): void;
  /** Bytes written that the host has not taken yet. */
  readonly waitingBytes: number;
  /** No more bytes will be written. */
  end(): void;
  /** Ends, and breaks once all is written: what the other side still sends is lost. `closed` may still be called. */
  close(): void;
  /** Breaks the stream at once; the other side sees a reset. `closed` is not called. */
  reset(): void;
  /** Stops and restarts `received`. */
  pause(): void;
  resume(): void;
}

export interface StreamEvents {
  /** A stream that was asked for is there. */
  connected(): void;
  /** Bytes that belong to the receiver from now on. */
  received(bytes: Uint8Array): void;
  /** The other side will write no more. */
  ended(): void;
  /** `waitingBytes` went down to 0 after it was not. */
  drained(): void;
  /** The stream is over: why it could not connect, "reset" for a break, undefined after both ends. */
  closed(why?: StreamFailure): void;
}

export type StreamFailure = 'refused' | 'unreachable' | 'reset';
