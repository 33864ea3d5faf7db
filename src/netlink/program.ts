// How netlink messages get to the kernel: as steps of a guest's own program, or in one exchange through the keeper.
import { HolmError } from '../base/error.ts';
import { errnoName, O_CLOEXEC } from '../kernel/constants.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { type Program, type Register, register, type Step, type StepOptions, step } from '../kernel/steps.ts';
import {
  decodeMessages,
  encodeMessages,
  type Message,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  type ReceivedMessage,
} from './message.ts';

// linux/netlink.h
export const NETLINK_ROUTE = 0;
export const NETLINK_NETFILTER = 12;
const AF_NETLINK = 16;
const SOCK_RAW = 3;
/** How often an interrupted dump is asked for again. */
const dumpAttempts = 10;

/** How many NLMSG_ERROR and NLMSG_DONE messages will answer these when all goes well. */
export function countAcks(messages: readonly Message[]): number {
  return messages.filter(({ flags }) => (flags & NLM_F_ACK) !== 0 || (flags & NLM_F_DUMP) === NLM_F_DUMP).length;
}

/**
 * The same messages with one acknowledgement, of the last: the kernel works through them in order, and the first that
 * fails is told of before it.
 */
export function acknowledgeLast(messages: readonly Message[]): Message[] {
  return messages.map((message, index) =>
    index === messages.length - 1
      ? { ...message, flags: message.flags | NLM_F_ACK }
      : { ...message, flags: message.flags & ~NLM_F_ACK },
  );
}

/** Steps that open a socket, send messages in one batch, wait for their acknowledgements, and close it. */
export function netlinkSteps(
  protocol: number,
  messages: readonly Message[],
  what: string,
  socket: Register,
  options: StepOptions = {},
): Program {
  return [
    openSocket(protocol, socket),
    sendMessages(socket, messages, what, options),
    step('close', [socket], 'close the netlink socket'),
  ];
}

/** A socket belongs to the network namespace in which it was opened. */
export function openSocket(protocol: number, result: Register): Step {
  return step('socket', [AF_NETLINK, SOCK_RAW | O_CLOEXEC, protocol], 'open a netlink socket', { result });
}

export function sendMessages(
  socket: Register,
  messages: readonly Message[],
  what: string,
  options: StepOptions = {},
): Step {
  return step('netlink', [socket, encodeMessages(messages), countAcks(messages)], what, options);
}

/**
 * Sends messages through the keeper, in the network namespace that it is in, and gives what the kernel answered beside
 * acknowledgements. `what` completes "Cannot …". An errno in `tolerate` gives no messages instead of an error. What may
 * take milliseconds, such as removing links, is carried out `apart`, in a child of the keeper.
 */
export async function exchange(
  kernel: Kernel,
  protocol: number,
  messages: readonly Message[],
  what: string,
  options: { tolerate?: readonly number[]; apart?: boolean } = {},
): Promise<ReceivedMessage[]> {
  // The program goes on after a failure, for the socket is the keeper's and must be closed.
  const result = register(1);
  const program = netlinkSteps(protocol, messages, what, register(0), { result, tolerate: 'any' });
  for (let attempt = 0; attempt < dumpAttempts; attempt++) {
    const outcome = await (options.apart === true ? kernel.fork(program).outcome : kernel.run(program));
    const error = -outcome.register(result);
    if (error > 0) {
      if (options.tolerate?.includes(error) === true) return [];
      throw new HolmError('internal', `Cannot ${what}: ${errnoName(error)} from netlink(7)`);
    }
    const received = decodeMessages(outcome.output(1) ?? new Uint8Array());
    if (!received.some(({ flags }) => (flags & NLM_F_DUMP_INTR) !== 0)) return received;
  }
  throw new HolmError('unavailable', `Cannot ${what}: what was asked for changed ${dumpAttempts} times meanwhile`);
}
