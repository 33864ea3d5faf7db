import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Rtc, type WallClock } from './rtc.ts';

function clock(): WallClock & { at: bigint; pass(ms: number): void; timers: Map<number, () => void> } {
  const timers = new Map<number, () => void>();
  return {
    at: 1_700_000_000_123_456_789n,
    timers,
    now() {
      return this.at;
    },
    after(ms, work) {
      timers.set(ms, work);
      return () => timers.delete(ms);
    },
    pass(ms) {
      this.at += BigInt(ms) * 1_000_000n;
      for (const [due, work] of [...timers]) {
        timers.delete(due);
        if (due <= ms) work();
      }
    },
  };
}

function rtc(): { rtc: Rtc; host: ReturnType<typeof clock>; level: () => boolean } {
  const host = clock();
  let high = false;
  return { rtc: new Rtc(host, { set: (on) => (high = on) }), host, level: () => high };
}

const time = (device: Rtc): bigint => BigInt(device.read(0)) | (BigInt(device.read(4)) << 32n);

function setAlarm(device: Rtc, at: bigint): void {
  device.write(0x0c, 4, Number(at >> 32n));
  device.write(0x08, 4, Number(at & 0xffff_ffffn));
}

test('tells the time, with halves that belong together', () => {
  const { rtc: device, host } = rtc();
  const low = device.read(0);
  host.at += 1n << 40n;
  assert.equal(BigInt(low) | (BigInt(device.read(4)) << 32n), 1_700_000_000_123_456_789n);
  assert.equal(time(device), 1_700_000_000_123_456_789n + (1n << 40n));
});

test('goes on from the time that the guest sets', () => {
  const { rtc: device, host } = rtc();
  device.write(4, 4, 1);
  device.write(0, 4, 500);
  host.at += 7n;
  assert.equal(time(device), (1n << 32n) + 507n);
});

test('an alarm interrupts once, when it is due and enabled', () => {
  const { rtc: device, host, level } = rtc();
  device.write(0x10, 4, 1);
  setAlarm(device, host.at + 5_000_000n);
  assert.equal(device.read(0x18), 1);
  host.pass(3);
  assert.equal(level(), false);
  setAlarm(device, host.at + 2_000_000n);
  host.pass(3);
  assert.equal(level(), true);
  assert.equal(device.read(0x18), 0);
  device.write(0x1c, 4, 0);
  assert.equal(level(), false);
});

test('an alarm in the past is due at once; a cleared one never', () => {
  const { rtc: device, host, level } = rtc();
  setAlarm(device, host.at - 1n);
  assert.equal(level(), false);
  device.write(0x10, 4, 1);
  assert.equal(level(), true);
  device.write(0x1c, 4, 0);
  setAlarm(device, host.at + 5_000_000n);
  device.write(0x14, 4, 0);
  host.pass(100);
  assert.equal(level(), false);
  assert.equal(host.timers.size, 0);
});

test('save and load keep the distance to the host and an alarm that is set', () => {
  const { rtc: device, host } = rtc();
  device.write(4, 4, 2);
  device.write(0, 4, 0);
  device.write(0x10, 4, 1);
  setAlarm(device, (2n << 32n) + 5_000_000n);
  const other = rtc();
  other.host.at = host.at;
  other.rtc.load(structuredClone(device.save()));
  assert.deepEqual(other.rtc.save(), device.save());
  assert.equal(time(other.rtc), 2n << 32n);
  other.host.pass(6);
  assert.equal(other.level(), true);
});
