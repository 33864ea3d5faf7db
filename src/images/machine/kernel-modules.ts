// Which files of a Linux kernel's modules are needed to load some of them, and in which order: read from the modules themselves
// (the section .modinfo, "depends=" and "softdep="), because an unpacked kernel package has no modules.dep yet.
import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { zstdDecompress } from 'node:zlib';
import { HolmError, hasCode } from '../../base/error.ts';

const run = promisify(execFile);

export interface KernelModule {
  /** With underscores, as /proc/modules has it. */
  readonly name: string;
  /** The ELF file, uncompressed. */
  readonly content: Uint8Array;
}

/** The modules of one kernel, read when asked for. */
export class KernelModules {
  readonly #files: ReadonlyMap<string, string>;
  readonly #read = new Map<string, Promise<Uint8Array>>();

  private constructor(files: ReadonlyMap<string, string>) {
    this.#files = files;
  }

  /** Finds the modules below a directory such as /usr/lib/modules/6.12.0. */
  static async open(directory: string): Promise<KernelModules> {
    const names = await readdir(directory, { recursive: true });
    const files = names.flatMap((path): [string, string][] => {
      const name = /([^/]+)\.ko(?:\.(?:xz|zst))?$/.exec(path)?.[1];
      return name === undefined ? [] : [[canonical(name), join(directory, path)]];
    });
    return new KernelModules(new Map(files));
  }

  /** The names of the modules to load, those that others need before these; a name that is no module (built in) is left out. */
  async orderOf(wanted: readonly string[]): Promise<readonly string[]> {
    const order: string[] = [];
    const visit = async (name: string, above: readonly string[]): Promise<void> => {
      if (order.includes(name) || above.includes(name) || !this.#files.has(name)) return;
      const { depends, softBefore } = parseModuleInfo(await this.#contentOf(name));
      for (const needed of [...softBefore, ...depends]) await visit(canonical(needed), [...above, name]);
      order.push(name);
    };
    for (const name of wanted) await visit(canonical(name), []);
    return order;
  }

  async get(name: string): Promise<KernelModule> {
    return { name, content: await this.#contentOf(name) };
  }

  #contentOf(name: string): Promise<Uint8Array> {
    const known = this.#read.get(name) ?? readModule(this.#files.get(name) ?? '');
    this.#read.set(name, known);
    return known;
  }
}

/** What a module says of the modules that it needs, and of those that should be there before it. */
export function parseModuleInfo(content: Uint8Array): { depends: readonly string[]; softBefore: readonly string[] } {
  const text = Buffer.from(content.buffer, content.byteOffset, content.length).toString('latin1');
  const depends = /\0depends=([^\0]*)\0/.exec(text)?.[1] ?? '';
  const soft = [...text.matchAll(/\0softdep=pre:([^\0]*)\0/g)].flatMap(([, names]) =>
    names!.replace(/post:.*/, '').split(/\s+/),
  );
  return { depends: depends.split(',').filter(isNotEmpty), softBefore: soft.filter(isNotEmpty) };
}

async function readModule(path: string): Promise<Uint8Array> {
  if (path.endsWith('.ko')) return await readFile(path);
  if (path.endsWith('.zst')) return await promisify(zstdDecompress)(await readFile(path));
  try {
    const { stdout } = await run('xz', ['-dc', path], { encoding: 'buffer', maxBuffer: 256 * 1024 * 1024 });
    return stdout;
  } catch (cause) {
    if (hasCode(cause, 'ENOENT'))
      throw new HolmError('unavailable', 'Cannot read the kernel’s modules: the program xz is not installed', {
        cause,
      });
    throw new HolmError('corrupt', `Cannot read the kernel module "${path}"`, { cause });
  }
}

function canonical(name: string): string {
  return name.replaceAll('-', '_');
}

function isNotEmpty(name: string): boolean {
  return name !== '';
}
