// What the scripts print: one line a step, with its time. A step that fails prints its name and leaves the error to the caller.
import { performance } from 'node:perf_hooks';

/** Seconds with one decimal below ten and none above. */
export function formatSeconds(milliseconds: number): string {
  const seconds = milliseconds / 1000;
  return `${seconds < 9.95 ? seconds.toFixed(1) : Math.round(seconds)} s`;
}

/** One line of the report: a mark, the time, the name, what came of it. */
export function formatLine(mark: string, milliseconds: number, name: string, result: string): string {
  return `${mark} ${formatSeconds(milliseconds).padStart(7)}  ${name}${result === '' ? '' : `: ${result}`}`;
}

/** Runs one step and prints its line; the work may give a few words that say what came of it. */
export async function step<T extends string | undefined>(name: string, work: () => Promise<T>): Promise<T> {
  const startedAt = performance.now();
  try {
    const result = await work();
    console.log(formatLine('✓', performance.now() - startedAt, name, result ?? ''));
    return result;
  } catch (error) {
    console.log(formatLine('✗', performance.now() - startedAt, name, ''));
    throw error;
  }
}
