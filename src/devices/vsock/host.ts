// The host's side of the socket device: who answers what the guest calls. src/machines/soft/vsock.ts has unix sockets.
import type { Stream, StreamEvents } from '../net/stream.ts';

export interface VsockHost {
  /** The guest calls `port` of the host; undefined when nobody may be called there. */
  connect(port: number, events: StreamEvents): Stream | undefined;
}

/** What the socket device offers its host. */
export interface VsockGuest {
  /**
   * Calls `port` of the guest for a client whose bytes are `stream`; the client's events go to what this gives.
   * `answered` gets the host's port of the connection, or undefined when the guest did not take the call: then `stream` is
   * the caller's again.
   */
  call(port: number, stream: Stream, answered: (hostPort: number | undefined) => void): StreamEvents;
}
