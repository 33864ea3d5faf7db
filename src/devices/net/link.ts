// What a card is plugged into. A link may refuse nothing from the card (it drops what it cannot carry, as a wire
// does); towards the card it sees a full guest and waits for `resume`.
import type { DeviceState } from '../device.ts';
import type { Frame } from './frame.ts';

/** The card's side: where frames for the guest go. */
export interface Port {
  /**
   * Hands a frame to the guest; false when it has no room: then nothing was taken, and `resume` follows. Never calls the
   * link back from within.
   */
  deliver(frame: Frame): boolean;
}

export interface Link {
  /** Called once, before any frame. */
  attach(port: Port): void;
  /** Takes a frame from the guest. */
  send(frame: Frame): void;
  /** The guest has nothing more to send for now: acknowledgements may go. */
  flush(): void;
  /** The guest has room again after `deliver` said false. */
  resume(): void;
  /** The card was reset: a guest that just started knows of no connection. */
  reset(): void;
  close(): void;
  save(): DeviceState;
  load(state: DeviceState): void;
}
