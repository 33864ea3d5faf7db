import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Registers } from '../../kernel/steps.ts';
import { tapSteps } from './tap-steps.ts';

it('opens a tap with headers and offloads, and keeps it as the descriptor that was asked for', () => {
  const registers = new Registers();
  const steps = tapSteps('tap0', 9, registers);
  assert.deepEqual(
    steps.map(({ call }) => call),
    ['openat2', 'ioctl', 'ioctl', 'ioctl', 'dup3', 'close'],
  );
  const [, make, header, offloads, keep] = steps;
  const request = make!.args[2] as Uint8Array;
  assert.equal(make!.args[1], 0x400454ca);
  assert.equal(Buffer.from(request).toString('latin1', 0, 5), 'tap0\0');
  assert.equal(Buffer.from(request).readUInt16LE(16), 0x5002);
  assert.deepEqual(header!.args.slice(1), [0x400454d8, Uint8Array.of(12, 0, 0, 0)]);
  assert.deepEqual(offloads!.args.slice(1), [0x400454d0, 7]);
  assert.deepEqual(keep!.args.slice(1), [9, 0]);
  assert.deepEqual(registers.acquire(), { register: 0 }, 'its register is free again');
  assert.equal((tapSteps('a name that is too long', 9, new Registers())[1]!.args[2] as Uint8Array)[15], 0);
});
