import assert from 'node:assert/strict';
import { test } from 'node:test';
import { syscon, uart } from '../devices/address-map.ts';
import { hartWord, layout, ramStart } from '../memory/layout.ts';
import { interrupt, Signals } from '../memory/signals.ts';
import type { Hart, RemoteFence } from '../vcpu/hart.ts';
import { HartControl, hartState } from './hart-control.ts';
import { answerCall } from './sbi.ts';

/** A world of two harts whose hart 0 calls; says what the call did. */
function world() {
  const map = layout(2, 2 ** 20);
  const buffer = new SharedArrayBuffer(map.totalBytes);
  const x = new Array<bigint>(32).fill(0n);
  const csrs = new Map<string, bigint>();
  const fences: { harts: readonly number[]; fence: RemoteFence }[] = [];
  const writes: [number, number][] = [];
  const typed = [0x68, 0x69];
  const ram = new Uint8Array(2 ** 20);
  let pc = 0x1000n;
  const hart: Hart = {
    run: () => 'sbi',
    reset: () => {},
    x: (register) => x[register]!,
    setX: (register, value) => {
      x[register] = value;
    },
    pc: () => pc,
    setPc: (value) => {
      pc = value;
    },
    csr: (name) => csrs.get(name) ?? 0n,
    setCsr: (name, value) => {
      csrs.set(name, value);
    },
    ticksToTimer: () => Infinity,
    remoteFence: (harts, fence) => {
      fences.push({ harts, fence });
    },
    serveRequests: () => {},
  };
  const control = new HartControl(buffer, map);
  control.setState(1, hartState.stopped);
  const call = (id: bigint, func: bigint, ...args: bigint[]): [bigint, bigint] => {
    x[17] = id;
    x[16] = func;
    args.forEach((value, i) => {
      x[10 + i] = value;
    });
    const before = pc;
    answerCall({
      hart,
      index: 0,
      control,
      signals: new Signals(buffer, map),
      mmio: {
        has: () => true,
        read: (address) => (address === uart.start + 5 ? (typed.length > 0 ? 1 : 0) : (typed.shift() ?? 0)),
        write: (address, _, value) => {
          writes.push([address, value]);
        },
      },
      ram: (address, bytes) => {
        const offset = Number(address) - ramStart;
        return offset >= 0 && offset + bytes <= ram.length ? ram.subarray(offset, offset + bytes) : undefined;
      },
    });
    assert.equal(pc, before + 4n);
    return [x[10]!, x[11]!];
  };
  const pending = (of: number): number => new Int32Array(buffer)[(map.hart(of) + hartWord.pending) >> 2]!;
  return { call, control, csrs, fences, writes, ram, pending };
}

const hsm = 0x48534dn;
const rfence = 0x52464e43n;
const dbcn = 0x4442434en;

test('base: version 2.0, and which extensions are there', () => {
  const { call } = world();
  assert.deepEqual(call(0x10n, 0n), [0n, 2n << 24n]);
  for (const id of [0x54494d45n, 0x735049n, rfence, hsm, 0x53525354n, dbcn])
    assert.deepEqual(call(0x10n, 3n, id), [0n, 1n]);
  assert.deepEqual(call(0x10n, 3n, 0x504d55n), [0n, 0n]);
  assert.deepEqual(call(0x504d55n, 0n), [-2n, 0n]);
  assert.deepEqual(call(hsm, 99n), [-2n, 0n]);
});

test('hsm: a stopped hart is started once, a wrong one not at all', () => {
  const { call, control } = world();
  assert.deepEqual(call(hsm, 2n, 1n), [0n, BigInt(hartState.stopped)]);
  assert.deepEqual(call(hsm, 0n, 1n, 0x8020_0000n, 77n), [0n, 0n]);
  assert.deepEqual(control.begin(1), { pc: 0x8020_0000, opaque: 77, firmware: 0 });
  assert.equal(control.state(1), hartState.startPending);
  assert.deepEqual(call(hsm, 0n, 0n, 0n, 0n), [-6n, 0n]);
  assert.deepEqual(call(hsm, 0n, 2n, 0n, 0n), [-3n, 0n]);
  assert.deepEqual(call(hsm, 2n, 2n), [-3n, 0n]);
});

test('ipi and fences reach the harts of the mask', () => {
  const { call, pending, fences } = world();
  assert.deepEqual(call(0x735049n, 0n, 0b10n, 0n), [0n, 0n]);
  assert.equal(pending(1), interrupt.ssip);
  assert.equal(pending(0), 0);
  assert.deepEqual(call(0x735049n, 0n, 0b100n, 0n), [-3n, 0n]);
  call(rfence, 1n, 0n, 0xffff_ffff_ffff_ffffn, 0xffff_ffc0_0000_1000n, 0x2000n);
  call(rfence, 2n, 0b1n, 1n, 0n, 0xffff_ffff_ffff_ffffn, 5n);
  call(rfence, 0n, 0b1n, 0n);
  assert.deepEqual(fences, [
    {
      harts: [0, 1],
      fence: { of: 'addresses', start: Number(0xffff_ffc0_0000_1000n), bytes: 0x2000, asid: undefined },
    },
    { harts: [1], fence: { of: 'addresses', start: 0, bytes: Infinity, asid: 5 } },
    { harts: [0], fence: { of: 'instructions' } },
  ]);
});

test('time, console and reset reach their devices', () => {
  const { call, csrs, writes, ram } = world();
  call(0x54494d45n, 0n, 12345n);
  assert.equal(csrs.get('stimecmp'), 12345n);
  ram.set([0x6f, 0x6b], 16);
  assert.deepEqual(call(dbcn, 0n, 2n, BigInt(ramStart + 16), 0n), [0n, 2n]);
  assert.deepEqual(call(dbcn, 0n, 2n, 0x1000n, 0n), [-5n, 0n]);
  assert.deepEqual(call(dbcn, 1n, 10n, BigInt(ramStart + 32), 0n), [0n, 2n]);
  assert.deepEqual([...ram.subarray(32, 34)], [0x68, 0x69]);
  call(0x53525354n, 0n, 0n, 0n);
  assert.deepEqual(call(0x53525354n, 0n, 9n, 0n), [-3n, 0n]);
  assert.deepEqual(writes, [
    [uart.start, 0x6f],
    [uart.start, 0x6b],
    [syscon.start, syscon.powerOff],
  ]);
});
