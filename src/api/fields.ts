// Reads a JSON object of a request into our own types. As Go's decoder does it: null is absent, unknown names are
// ignored, and a name in other letter case is found too. A value of the wrong type is refused with its place.
import { HolmError } from '../base/error.ts';

export class Fields {
  readonly #where: string;
  readonly #values: Readonly<Record<string, unknown>>;
  #lowered: ReadonlyMap<string, unknown> | undefined;

  constructor(value: unknown, where = '') {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw wrong(where || 'body', 'an object', value);
    this.#where = where;
    this.#values = value as Record<string, unknown>;
  }

  #place(name: string): string {
    return this.#where === '' ? name : `${this.#where}.${name}`;
  }

  /** The value, undefined when absent or null. */
  raw(name: string): unknown {
    if (Object.hasOwn(this.#values, name)) return this.#values[name] ?? undefined;
    if (this.#lowered === undefined) {
      const lowered = new Map<string, unknown>();
      for (const key of Object.keys(this.#values))
        if (key.charCodeAt(0) >= 0x61) lowered.set(key.toLowerCase(), this.#values[key]);
      this.#lowered = lowered;
    }
    return this.#lowered.size === 0 ? undefined : (this.#lowered.get(name.toLowerCase()) ?? undefined);
  }

  has(name: string): boolean {
    return this.raw(name) !== undefined;
  }

  /** Empty when absent. */
  string(name: string): string {
    const value = this.raw(name) ?? '';
    if (typeof value !== 'string') throw wrong(this.#place(name), 'a string', value);
    return value;
  }

  /** False when absent. */
  boolean(name: string): boolean {
    const value = this.raw(name) ?? false;
    if (typeof value !== 'boolean') throw wrong(this.#place(name), 'true or false', value);
    return value;
  }

  /** Zero when absent, which is Docker's "not set" almost everywhere. */
  integer(name: string): number {
    return this.optionalInteger(name) ?? 0;
  }

  optionalInteger(name: string): number | undefined {
    const value = this.raw(name);
    if (value === undefined) return undefined;
    if (typeof value !== 'number' || !Number.isInteger(value)) throw wrong(this.#place(name), 'a whole number', value);
    if (!Number.isSafeInteger(value)) throw tooLarge(this.#place(name), value);
    return value;
  }

  /** Nanoseconds in 64 bits; beyond 104 days they are no longer exact. Zero when absent. */
  nanoseconds(name: string): number {
    const value = this.raw(name) ?? 0;
    if (typeof value !== 'number' || !Number.isInteger(value)) throw wrong(this.#place(name), 'a whole number', value);
    // 2^63 - 1 itself is read as 2^63.
    if (Math.abs(value) > 2 ** 63) throw tooLarge(this.#place(name), value);
    return value;
  }

  optionalBoolean(name: string): boolean | undefined {
    return this.has(name) ? this.boolean(name) : undefined;
  }

  /** A list of strings; undefined when absent. */
  optionalStrings(name: string): readonly string[] | undefined {
    const value = this.raw(name);
    if (value === undefined) return undefined;
    if (!Array.isArray(value)) throw wrong(this.#place(name), 'a list of strings', value);
    for (const item of value) if (typeof item !== 'string') throw wrong(this.#place(name), 'a list of strings', item);
    return value;
  }

  strings(name: string): readonly string[] {
    return this.optionalStrings(name) ?? [];
  }

  /** A list of strings, or one string that stands for a list of one; undefined when absent. */
  optionalCommand(name: string): readonly string[] | undefined {
    const value = this.raw(name);
    return typeof value === 'string' ? [value] : this.optionalStrings(name);
  }

  /** A map of strings; empty when absent. */
  map(name: string): Readonly<Record<string, string>> {
    const value = this.raw(name);
    if (value === undefined) return {};
    if (typeof value !== 'object' || Array.isArray(value)) throw wrong(this.#place(name), 'a map of strings', value);
    for (const item of Object.values(value as object))
      if (typeof item !== 'string') throw wrong(this.#place(name), 'a map of strings', item);
    return value as Record<string, string>;
  }

  /** The keys of a map, whatever its values: Docker writes sets so. */
  keys(name: string): readonly string[] {
    const value = this.raw(name);
    if (value === undefined) return [];
    if (typeof value !== 'object' || Array.isArray(value)) throw wrong(this.#place(name), 'a map', value);
    return Object.keys(value as object);
  }

  object(name: string): Fields | undefined {
    const value = this.raw(name);
    return value === undefined ? undefined : new Fields(value, this.#place(name));
  }

  objects(name: string): readonly Fields[] {
    const value = this.raw(name);
    if (value === undefined) return [];
    if (!Array.isArray(value)) throw wrong(this.#place(name), 'a list', value);
    return value.map((item, at) => new Fields(item, `${this.#place(name)}[${at}]`));
  }
}

function tooLarge(place: string, value: number): HolmError {
  return new HolmError('invalid', `invalid JSON: ${place} is out of range: ${value}`);
}

function wrong(place: string, wanted: string, value: unknown): HolmError {
  const is = Array.isArray(value) ? 'a list' : value === null ? 'null' : `a ${typeof value}`;
  return new HolmError(
    'invalid',
    `invalid JSON: ${place} must be ${wanted}, is ${is.replace('a object', 'an object')}`,
  );
}

/** Nothing asked: for absent bodies and sections. */
export const noFields: Fields = new Fields({});
