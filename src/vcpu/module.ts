// A WebAssembly module put together from its functions (core specification, section 5.5). Indices are handed out as
// things are declared: imports first, then functions.
import { Code } from './code.ts';

export interface FunctionType {
  readonly parameters: readonly number[];
  readonly results: readonly number[];
}

interface Import {
  readonly module: string;
  readonly name: string;
  readonly describe: (code: Code) => void;
}

interface Body {
  readonly type: number;
  locals: readonly number[];
  code: Code | undefined;
}

export class Module {
  readonly #types: FunctionType[] = [];
  readonly #imports: Import[] = [];
  readonly #bodies: Body[] = [];
  readonly #exports: { name: string; kind: number; index: number }[] = [];
  #importedFunctions = 0;

  /** The index of a function type, declared once. */
  type(parameters: readonly number[], results: readonly number[] = []): number {
    const same = this.#types.findIndex((type) => equal(type.parameters, parameters) && equal(type.results, results));
    return same >= 0 ? same : this.#types.push({ parameters, results }) - 1;
  }

  importFunction(module: string, name: string, type: number): number {
    if (this.#bodies.length > 0) throw new Error('Cannot import a function: functions are declared already');
    this.#imports.push({ module, name, describe: (code) => code.byte(0x00).unsigned(type) });
    return this.#importedFunctions++;
  }

  /** A shared memory of exactly `pages` WebAssembly pages. */
  importMemory(module: string, name: string, pages: number): void {
    this.#imports.push({
      module,
      name,
      describe: (code) => code.byte(0x02).byte(0x03).unsigned(pages).unsigned(pages),
    });
  }

  /** A table of functions of at least `entries` entries. */
  importTable(module: string, name: string, entries: number): void {
    this.#imports.push({ module, name, describe: (code) => code.byte(0x01).byte(0x70).byte(0x00).unsigned(entries) });
  }

  /** Declares a function, so that others may call it before its body is given by `define`. */
  declare(type: number): number {
    return this.#importedFunctions + this.#bodies.push({ type, locals: [], code: undefined }) - 1;
  }

  /** `locals` are the types of the locals after the parameters; `code` must end with `end`. */
  define(func: number, locals: readonly number[], code: Code): void {
    const body = this.#bodies[func - this.#importedFunctions];
    if (!body) throw new Error(`Cannot define function ${func}: it was not declared`);
    body.locals = locals;
    body.code = code;
  }

  exportFunction(name: string, func: number): void {
    this.#exports.push({ name, kind: 0, index: func });
  }

  encode(): Uint8Array<ArrayBuffer> {
    const out = new Code(4096);
    for (const byte of [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]) out.byte(byte);
    section(out, 1, this.#types, (code, type) => {
      code.byte(0x60).unsigned(type.parameters.length).append(Uint8Array.from(type.parameters));
      code.unsigned(type.results.length).append(Uint8Array.from(type.results));
    });
    section(out, 2, this.#imports, (code, item) => {
      text(code, item.module);
      text(code, item.name);
      item.describe(code);
    });
    section(out, 3, this.#bodies, (code, body) => code.unsigned(body.type));
    section(out, 7, this.#exports, (code, item) => {
      text(code, item.name);
      code.byte(item.kind).unsigned(item.index);
    });
    section(out, 10, this.#bodies, (code, body) => {
      if (!body.code) throw new Error('Cannot encode the module: a declared function has no body');
      const locals = new Code(16);
      const runs = inRuns(body.locals);
      locals.unsigned(runs.length);
      for (const run of runs) locals.unsigned(run.count).byte(run.type);
      code
        .unsigned(locals.length + body.code.length)
        .append(locals.finish())
        .append(body.code.finish());
    });
    return out.finish();
  }
}

function section<T>(out: Code, id: number, items: readonly T[], encode: (code: Code, item: T) => void): void {
  if (items.length === 0) return;
  const code = new Code(1024);
  code.unsigned(items.length);
  for (const item of items) encode(code, item);
  out.byte(id).unsigned(code.length).append(code.finish());
}

function text(code: Code, value: string): void {
  code.unsigned(value.length);
  for (let i = 0; i < value.length; i++) code.byte(value.charCodeAt(i));
}

function inRuns(types: readonly number[]): { type: number; count: number }[] {
  const runs: { type: number; count: number }[] = [];
  for (const type of types) {
    const last = runs.at(-1);
    if (last?.type === type) last.count++;
    else runs.push({ type, count: 1 });
  }
  return runs;
}

function equal(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}
