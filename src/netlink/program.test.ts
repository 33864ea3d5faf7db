import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Kernel, Outcome } from '../kernel/kernel.ts';
import { Recorder } from '../kernel/recorder.ts';
import { register } from '../kernel/steps.ts';
import { changeLink, listLinks, removeLink } from './link.ts';
import { decodeMessages, encodeMessages, NLM_F_DUMP_INTR } from './message.ts';
import { acknowledgeLast, countAcks, exchange, NETLINK_ROUTE, netlinkSteps } from './program.ts';

const messages = [changeLink({ index: 1, up: true }), removeLink({ index: 2 })];

/** A kernel whose netlink call gives these results, one after another. */
function answering(results: { error?: number; flags?: number }[]): Kernel {
  const kernel = new Recorder();
  kernel.run = (program) => {
    kernel.programs.push(program);
    const { error = 0, flags } = results[kernel.programs.length - 1]!;
    const outcome: Outcome = {
      register: ({ register }) => (register === 1 ? -error : 3),
      output: () => (flags === undefined ? undefined : encodeMessages([{ type: 16, flags, parts: [] }]).bytes),
    };
    return Promise.resolve(outcome);
  };
  return kernel;
}

test('a batch is acknowledged once, and a dump ends once', () => {
  assert.equal(countAcks(messages), 2);
  assert.equal(countAcks(acknowledgeLast(messages)), 1);
  assert.equal(countAcks([listLinks()]), 1);
});

test('steps open, send and close', () => {
  const steps = netlinkSteps(NETLINK_ROUTE, acknowledgeLast(messages), 'do it', register(28));
  assert.deepEqual(
    steps.map(({ call, what }) => [call, what]),
    [
      ['socket', 'open a netlink socket'],
      ['netlink', 'do it'],
      ['close', 'close the netlink socket'],
    ],
  );
  assert.equal(steps[1]!.args[2], 1);
});

test('an exchange closes its socket even if the kernel refuses', async () => {
  const kernel = answering([{ error: 19 }]);
  await assert.rejects(
    exchange(kernel, NETLINK_ROUTE, messages, 'do it'),
    /^HolmError: Cannot do it: ENODEV from netlink/,
  );
  const [program] = (kernel as Recorder).programs;
  assert.equal(program![1]!.tolerate, 'any');
  assert.equal(program![2]!.call, 'close');
});

test('an exchange gives what came, nothing for a tolerated errno', async () => {
  assert.equal((await exchange(answering([{ flags: 2 }]), NETLINK_ROUTE, [listLinks()], 'list')).length, 1);
  const tolerant = exchange(answering([{ error: 19 }]), NETLINK_ROUTE, messages, 'do it', { tolerate: [19] });
  assert.deepEqual(await tolerant, []);
});

test('an interrupted dump is asked for again', async () => {
  const kernel = answering([{ flags: 2 | NLM_F_DUMP_INTR }, { flags: 2 }]);
  assert.equal((await exchange(kernel, NETLINK_ROUTE, [listLinks()], 'list')).length, 1);
  const sent = (kernel as Recorder).programs.map(([, step]) => (step!.args[1] as { bytes: Uint8Array }).bytes);
  assert.equal(sent.length, 2);
  assert.equal(decodeMessages(sent[1]!)[0]!.flags, 0x301);
  const always = answering(Array.from({ length: 10 }, () => ({ flags: NLM_F_DUMP_INTR })));
  await assert.rejects(exchange(always, NETLINK_ROUTE, [listLinks()], 'list'), /changed 10 times/);
});
