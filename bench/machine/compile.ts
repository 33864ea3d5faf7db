// Compiles what runs in the guests: bare programs, programs for Linux, and the kernel image that several harts run.
import { join } from 'node:path';
import { output } from '../../scripts/command.ts';

const compiler = 'riscv64-linux-gnu-gcc';
const own = (...parts: string[]): string => join(import.meta.dirname, ...parts);
const bare = [
  ...['-O2', '-mcmodel=medany', '-ffreestanding', '-fno-builtin', '-fno-tree-loop-distribute-patterns'],
  ...['-fno-pic', '-no-pie', '-nostdlib', '-static', '-Wl,--build-id=none'],
];
const linuxPrograms = ['nothing', 'hold', 'reads'];

/** An ELF file of programs/NAME.c, for M mode at the start of RAM. */
export async function compileBare(name: string, directory: string): Promise<string> {
  const file = join(directory, `${name}.elf`);
  const sources = ['start.S', 'machine.c', `${name}.c`].map((source) => own('programs', source));
  const target = ['-march=rv64gc', '-mabi=lp64d', '-T', own('programs/link.ld')];
  await output([compiler, ...bare, ...target, '-o', file, ...sources]);
  return file;
}

/** The programs of guest/ that run on Linux, static. */
export async function compileGuestPrograms(directory: string): Promise<readonly { name: string; path: string }[]> {
  return await Promise.all(
    linuxPrograms.map(async (name) => {
      const path = join(directory, name);
      await output([compiler, '-O2', '-static', '-s', '-Wall', '-Wextra', own('guest', `${name}.c`), '-o', path]);
      return { name, path };
    }),
  );
}

/** A raw kernel Image of guest/harts.S and harts.c. */
export async function compileHarts(directory: string): Promise<string> {
  const [elf, image] = [join(directory, 'harts.elf'), join(directory, 'harts.bin')];
  const target = ['-march=rv64imac_zicsr', '-mabi=lp64', '-T', own('guest/harts.ld')];
  await output([compiler, ...bare, ...target, '-o', elf, own('guest/harts.S'), own('guest/harts.c')]);
  await output(['riscv64-linux-gnu-objcopy', '-O', 'binary', elf, image]);
  return image;
}
