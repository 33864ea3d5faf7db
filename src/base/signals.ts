// Signals by name and number, as Linux numbers them on x86-64, arm64 and riscv64 (signal(7)).
import { constants } from 'node:os';
import { HolmError } from './error.ts';

const realtimeFirst = 34;
const realtimeLast = 64;

/** The number of "SIGTERM", "term", "15" or "SIGRTMIN+3"; throws `invalid` with docker's wording. */
export function parseSignal(text: string): number {
  const upper = text.toUpperCase().replace(/^SIG/, '');
  if (/^\d+$/.test(upper)) {
    const number = Number(upper);
    if (number >= 1 && number <= realtimeLast) return number;
  }
  const realtime = /^RT(MIN|MAX)(?:([+-])(\d+))?$/.exec(upper);
  if (realtime !== null) {
    const offset = Number(`${realtime[2] ?? '+'}${realtime[3] ?? 0}`);
    const number = (realtime[1] === 'MIN' ? realtimeFirst : realtimeLast) + offset;
    if (number >= realtimeFirst && number <= realtimeLast) return number;
  }
  const number = (constants.signals as Record<string, number>)[`SIG${upper}`];
  if (number === undefined) throw new HolmError('invalid', `invalid signal: ${text}`);
  return number;
}
