// One mailbox a hart, in the control page: a register access that the device thread must carry out. The hart writes the
// request, rings the bell and sleeps until the answer; so at most one request a hart is under way, and it is in order.
import { control } from '../memory/layout.ts';
import { ringBell } from './bell.ts';
import type { AccessBytes } from './device.ts';

/** Words of a mailbox. */
const state = 0;
const write = 1;
const address = 2;
const bytes = 3;
const value = 4;

const idle = 0;
const asked = 1;
const taken = 2;

export interface MailboxRequest {
  readonly hart: number;
  readonly write: boolean;
  readonly address: number;
  readonly bytes: AccessBytes;
  readonly value: number;
}

/** Does an access on the device thread and waits for it: gives the value read, or 0. For the hart's own worker only. */
export function ask(
  words: Int32Array,
  hart: number,
  isWrite: boolean,
  at: number,
  width: AccessBytes,
  data: number,
): number {
  const box = mailbox(hart);
  words[box + write] = isWrite ? 1 : 0;
  words[box + address] = at;
  words[box + bytes] = width;
  words[box + value] = data;
  // The store publishes the words above: the device thread loads the state first.
  Atomics.store(words, box + state, asked);
  ringBell(words);
  for (;;) {
    const now = Atomics.load(words, box + state);
    if (now === idle) return words[box + value]! >>> 0;
    Atomics.wait(words, box + state, now);
  }
}

/** The request that a hart waits on, once; `undefined` if there is none or it was already taken. */
export function takeRequest(words: Int32Array, hart: number): MailboxRequest | undefined {
  const box = mailbox(hart);
  if (Atomics.compareExchange(words, box + state, asked, taken) !== asked) return undefined;
  return {
    hart,
    write: words[box + write] !== 0,
    address: words[box + address]! >>> 0,
    bytes: words[box + bytes] as AccessBytes,
    value: words[box + value]! >>> 0,
  };
}

/** Answers the request that was taken, and lets the hart go on. */
export function answer(words: Int32Array, hart: number, data: number): void {
  const box = mailbox(hart);
  words[box + value] = data;
  Atomics.store(words, box + state, idle);
  Atomics.notify(words, box + state);
}

function mailbox(hart: number): number {
  return (control.mailboxes + hart * control.mailboxBytes) >> 2;
}
