// The Goldfish real-time clock: nanoseconds since 1970 in two registers, and an alarm (Android's "goldfish_rtc", Linux's
// drivers/rtc/rtc-goldfish.c). The host's clock and timer are passed in, so that a recorded machine can be given the same.
import type { Device, DeviceState, InterruptLine } from './device.ts';

/** Registers. Reading the low half of the time latches the high half; so does writing, the other way round. */
const TIMER_TIME_LOW = 0x00;
const TIMER_TIME_HIGH = 0x04;
const TIMER_ALARM_LOW = 0x08;
const TIMER_ALARM_HIGH = 0x0c;
const TIMER_IRQ_ENABLED = 0x10;
const TIMER_CLEAR_ALARM = 0x14;
const TIMER_ALARM_STATUS = 0x18;
const TIMER_CLEAR_INTERRUPT = 0x1c;

/** A clock of the host. */
export interface WallClock {
  /** Nanoseconds since 1970, UTC. */
  now(): bigint;
  /** Calls `work` once after so many milliseconds, unless the function returned is called before. */
  after(ms: number, work: () => void): () => void;
}

/** The longest that timers of the host count. */
const maxTimerMs = 2 ** 31 - 1;

export class Rtc implements Device {
  readonly name = 'rtc';
  readonly #clock: WallClock;
  readonly #line: InterruptLine;
  /** What the guest's clock is ahead of the host's. */
  #offset = 0n;
  #timeHigh = 0;
  #alarm = 0n;
  #alarmHigh = 0;
  #armed = false;
  #enabled = false;
  #pending = false;
  #cancel: (() => void) | undefined;

  constructor(clock: WallClock, line: InterruptLine) {
    this.#clock = clock;
    this.#line = line;
  }

  read(offset: number): number {
    switch (offset) {
      case TIMER_TIME_LOW: {
        const now = this.#now();
        this.#timeHigh = Number(now >> 32n);
        return Number(now & 0xffff_ffffn);
      }
      case TIMER_TIME_HIGH:
        return this.#timeHigh >>> 0;
      case TIMER_ALARM_LOW:
        return Number(this.#alarm & 0xffff_ffffn);
      case TIMER_ALARM_HIGH:
        return Number(this.#alarm >> 32n);
      case TIMER_IRQ_ENABLED:
        return this.#enabled ? 1 : 0;
      case TIMER_ALARM_STATUS:
        return this.#armed ? 1 : 0;
      default:
        return 0;
    }
  }

  write(offset: number, _bytes: number, value: number): void {
    switch (offset) {
      case TIMER_TIME_LOW:
        this.#offset = BigInt.asUintN(64, (BigInt(this.#timeHigh >>> 0) << 32n) | BigInt(value)) - this.#clock.now();
        this.#arm();
        break;
      case TIMER_TIME_HIGH:
        this.#timeHigh = value;
        break;
      case TIMER_ALARM_LOW:
        this.#alarm = (BigInt(this.#alarmHigh >>> 0) << 32n) | BigInt(value);
        this.#armed = true;
        this.#arm();
        break;
      case TIMER_ALARM_HIGH:
        this.#alarmHigh = value;
        break;
      case TIMER_IRQ_ENABLED:
        this.#enabled = (value & 1) === 1;
        this.#update();
        break;
      case TIMER_CLEAR_ALARM:
        this.#armed = false;
        this.#arm();
        break;
      case TIMER_CLEAR_INTERRUPT:
        this.#pending = false;
        this.#update();
        break;
    }
  }

  /** The guest's time is not saved but its distance from the host's: after a load it is what it would have been. */
  save(): DeviceState {
    return {
      offset: `${this.#offset}`,
      timeHigh: this.#timeHigh,
      alarm: `${this.#alarm}`,
      alarmHigh: this.#alarmHigh,
      armed: this.#armed,
      enabled: this.#enabled,
      pending: this.#pending,
    };
  }

  load(state: DeviceState): void {
    this.#offset = BigInt(state.offset as string);
    this.#timeHigh = state.timeHigh as number;
    this.#alarm = BigInt(state.alarm as string);
    this.#alarmHigh = state.alarmHigh as number;
    this.#armed = state.armed as boolean;
    this.#enabled = state.enabled as boolean;
    this.#pending = state.pending as boolean;
    this.#update();
    this.#arm();
  }

  /** Ends the host's timer. */
  close(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #now(): bigint {
    return BigInt.asUintN(64, this.#clock.now() + this.#offset);
  }

  #arm(): void {
    this.close();
    if (!this.#armed) return;
    const left = this.#alarm - this.#now();
    if (left <= 0n) {
      this.#armed = false;
      this.#pending = true;
      this.#update();
      return;
    }
    // Rounded up, and looked at again: a timer of the host is coarse and may be early.
    const ms = Number(left / 1_000_000n) + 1;
    this.#cancel = this.#clock.after(Math.min(ms, maxTimerMs), () => this.#arm());
  }

  #update(): void {
    this.#line.set(this.#enabled && this.#pending);
  }
}
