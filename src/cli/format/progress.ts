// Progress of long work: on a terminal one line an id with a bar, rewritten in place; elsewhere each new status on its own line.
import { formatBytes } from '../../base/units.ts';

export interface ProgressStep {
  readonly id: string;
  readonly status: string;
  readonly currentBytes?: number | undefined;
  readonly totalBytes?: number | undefined;
}

/** Lines are rewritten at most so often. */
const redrawMs = 80;

export class ProgressLines {
  readonly #to: NodeJS.WriteStream;
  readonly #lines = new Map<string, { step: ProgressStep; dirty: boolean }>();
  #drawn = 0;
  #drawnAt = 0;

  constructor(to: NodeJS.WriteStream) {
    this.#to = to;
  }

  show(step: ProgressStep): void {
    if (!this.#to.isTTY) {
      this.#print(step);
      return;
    }
    if (step.id === '') {
      this.finish();
      this.#lines.clear();
      this.#drawn = 0;
      this.#to.write(`${step.status}\n`);
      return;
    }
    this.#lines.set(step.id, { step, dirty: true });
    if (Date.now() - this.#drawnAt >= redrawMs) this.finish();
  }

  /** Draws what is not yet drawn. */
  finish(): void {
    if (!this.#to.isTTY || ![...this.#lines.values()].some((line) => line.dirty)) return;
    const columns = this.#to.columns || 80;
    const lines = [...this.#lines.values()].map((line) => {
      line.dirty = false;
      return `\x1b[2K${formatStep(line.step, columns)}\n`;
    });
    this.#to.write(`${this.#drawn > 0 ? `\x1b[${this.#drawn}A` : ''}${lines.join('')}`);
    this.#drawn = lines.length;
    this.#drawnAt = Date.now();
  }

  #print(step: ProgressStep): void {
    const before = this.#lines.get(step.id)?.step.status;
    this.#lines.set(step.id, { step, dirty: false });
    if (before !== step.status || step.id === '')
      this.#to.write(`${step.id === '' ? '' : `${step.id}: `}${step.status}\n`);
  }
}

/** "layer: Unpacking [====>     ]  12.5MB/117MB", cut to the terminal's width. */
export function formatStep(step: ProgressStep, columns: number): string {
  const { id, status, currentBytes, totalBytes } = step;
  const head = `${id}: ${status}`;
  if (currentBytes === undefined || (totalBytes !== undefined && totalBytes > 0 && currentBytes >= totalBytes))
    return head.slice(0, columns - 1);
  if (totalBytes === undefined || totalBytes <= 0) return `${head}  ${formatBytes(currentBytes)}`.slice(0, columns - 1);
  const width = Math.max(10, Math.min(50, columns - head.length - 24));
  const filled = Math.floor((width * currentBytes) / totalBytes);
  const bar = `[${`${'='.repeat(filled)}>`.padEnd(width).slice(0, width)}]`;
  return `${head} ${bar}  ${formatBytes(currentBytes)}/${formatBytes(totalBytes)}`.slice(0, columns - 1);
}
