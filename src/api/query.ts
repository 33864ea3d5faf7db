// The query part of a request, read as Docker's daemon reads it. Parsed at the first question, for most have none.
import { nowNanos } from '../base/clock.ts';
import { HolmError } from '../base/error.ts';
import { type Filters, parseFilters } from './filters.ts';
import { parseTimestamp } from './times.ts';

const falseWords = new Set(['', '0', 'no', 'false', 'none']);

export class Query {
  readonly #text: string;
  #parsed: URLSearchParams | undefined;

  constructor(text: string) {
    this.#text = text;
  }

  get #params(): URLSearchParams {
    this.#parsed ??= new URLSearchParams(this.#text);
    return this.#parsed;
  }

  has(name: string): boolean {
    return this.#text !== '' && this.#params.has(name);
  }

  /** The first value of that name; empty when there is none. */
  text(name: string): string {
    return this.#text === '' ? '' : (this.#params.get(name) ?? '');
  }

  all(name: string): readonly string[] {
    return this.#text === '' ? [] : this.#params.getAll(name);
  }

  flag(name: string, byDefault = false): boolean {
    if (!this.has(name)) return byDefault;
    return !falseWords.has(this.text(name).trim().toLowerCase());
  }

  /** A whole number; undefined when absent or empty. */
  integer(name: string): number | undefined {
    const text = this.text(name);
    if (text === '') return undefined;
    if (!/^[+-]?\d{1,15}$/.test(text)) throw new HolmError('invalid', `invalid value "${text}" for "${name}"`);
    return Number(text);
  }

  /** Nanoseconds since 1970; undefined when absent or empty. */
  time(name: string): bigint | undefined {
    const text = this.text(name);
    return text === '' ? undefined : parseTimestamp(text, nowNanos());
  }

  filters(allowed: readonly string[]): Filters {
    return parseFilters(this.text('filters'), allowed);
  }
}
