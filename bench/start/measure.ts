// What a measure is: a module with its name, what it measures in rows, who takes part and how one sample is taken, and the
// aims as data. Every file of bench/start that is named in measures.ts exports one; bench/machine has the same shape.
import type { Bench } from './bench.ts';

export type Unit = 'ms' | 's' | 'MB' | 'MiB/s' | 'a second' | 'MIPS';
export type Better = 'less' | 'more';

/** What is to be reached: a number, or a multiple of what another one takes (a half: twice as fast). */
export type Aim =
  | { readonly of: string; readonly limit: number }
  | { readonly of: string; readonly against: string; readonly factor: number };

/** One quantity: a line of the report for each who takes part. */
export interface Row {
  readonly name: string;
  /** What is measured, as the report says it. */
  readonly title: string;
  readonly unit: Unit;
  readonly better: Better;
  readonly aims: readonly Aim[];
  /** Drawn in the picture; true unless told. */
  readonly drawn?: boolean;
}

/** Values by row; a row may be missing where it does not apply. */
export type Sample = Readonly<Record<string, number | undefined>>;

/** One who takes part. */
export interface Subject {
  readonly name: string;
  sample(): Promise<Sample>;
  close?(): Promise<void>;
}

/** `B` is what the measures of one benchmark share. */
export interface Measure<B = Bench> {
  /** For --only. */
  readonly name: string;
  readonly rows: readonly Row[];
  readonly rounds: { readonly full: number; readonly quick: number };
  /** Samples before those that count. */
  readonly warmUp: number;
  /** After each sample: what an engine or the kernel still does then shall not meet the next one's. 40 unless told. */
  readonly settleMs?: number;
  /** Makes ready what is measured; who takes part, in the order of a round. */
  open(bench: B): Promise<readonly Subject[]>;
}
