// What all measures share: the machines to compare, what they boot from, and how a machine for measuring is set up.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, stop } from 'esbuild';
import { output } from '../../scripts/command.ts';
import { formatCpio } from '../../src/images/machine/cpio.ts';
import type { Place } from '../engines/engine.ts';
import { type Artefacts, openArtefacts } from './artefacts.ts';
import { compileGuestPrograms } from './compile.ts';
import type { Guest } from './guest.ts';
import { type HolmPrograms, holm, type MachineKind, type MachineSetup, qemu } from './kinds.ts';
import type { EngineName, Options } from './options.ts';

export interface Bench {
  readonly place: Place;
  readonly quick: boolean;
  /** holm with the engines asked for, or with these, then QEMU. */
  machines(usual?: readonly EngineName[]): readonly MachineKind[];
  /** Made when first asked for: bare programs need none. */
  artefacts(): Promise<Artefacts>;
  /** The same, if anyone has asked. */
  openedArtefacts(): Promise<Artefacts> | undefined;
  /** The image's initial RAM disk with /bench upon it. */
  initramfs(): Promise<string>;
}

/** Long enough for a busy host, and an end to what hangs. */
export const limitMs = { boot: 120_000, debian: 600_000, work: 300_000 } as const;
const ramBytes = 512 * 2 ** 20;

const root = join(import.meta.dirname, '../..');
const scripts = {
  machine: join(root, 'src/machine-process.ts'),
  guest: join(import.meta.dirname, 'programs/guest.ts'),
} as const;

export async function openBench(place: Place, options: Options, tell: (status: string) => void): Promise<Bench> {
  const programs = await bundle(place, options);
  let artefacts: Promise<Artefacts> | undefined;
  let initramfs: Promise<string> | undefined;
  const bench: Bench = {
    place,
    quick: options.quick,
    machines: (usual = ['translator']) => [...(options.engines ?? usual).map((engine) => holm(programs, engine)), qemu],
    artefacts: () => (artefacts ??= openArtefacts(place.directory, tell)),
    openedArtefacts: () => artefacts,
    initramfs: () => (initramfs ??= makeInitramfs(bench)),
  };
  return bench;
}

/** As it is shipped: one script a program, which stays the same while the tree changes. */
async function bundle({ directory }: Place, { profile }: Options): Promise<HolmPrograms> {
  const outfiles = Object.entries(scripts).map(async ([name, entry]) => {
    const outfile = join(directory, `${name}.cjs`);
    const options = { bundle: true, platform: 'node', target: 'node24', format: 'cjs', logLevel: 'warning' } as const;
    await build({ entryPoints: [entry], outfile, ...options });
    return outfile;
  });
  const [machine = '', guest = ''] = await Promise.all(outfiles);
  await stop();
  return { machine, guest, ...(profile !== undefined && { profileDirectory: profile }) };
}

/** The kernel unpacks archives that follow one another. */
async function makeInitramfs(bench: Bench): Promise<string> {
  const { initramfs } = await bench.artefacts();
  const directory = join(bench.place.directory, 'guest');
  mkdirSync(directory);
  const programs = await compileGuestPrograms(directory);
  const init = readFileSync(join(import.meta.dirname, 'guest/init'));
  const added = formatCpio([
    { path: 'bench', is: 'directory' },
    { path: 'bench/init', is: 'file', content: init, executable: true },
    ...programs.map(({ name, path }) => {
      return { path: `bench/${name}`, is: 'file', content: readFileSync(path), executable: true } as const;
    }),
  ]);
  const path = join(bench.place.directory, 'initramfs.cpio');
  writeFileSync(path, Buffer.concat([readFileSync(initramfs), added]));
  return path;
}

/** A machine with Debian's kernel; without more, its first program is the initial RAM disk's shell of measuring. */
export async function setUp(bench: Bench, more: Partial<MachineSetup> = {}): Promise<MachineSetup> {
  const { kernel } = await bench.artefacts();
  const initrd = await bench.initramfs();
  const commandLine = 'console=ttyS0 quiet rdinit=/bench/init';
  return { harts: 1, ramBytes, kernel, initrd, commandLine, disks: [], network: false, ...more };
}

/** Waits until the shell of measuring takes commands. */
export async function waitUntilReady(guest: Guest): Promise<void> {
  await guest.waitFor(/bench: ready/, limitMs.boot);
}

/** The versions of all that takes part. */
export async function versionsOf(): Promise<Readonly<Record<string, string>>> {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  const said = async (argv: readonly string[]): Promise<string> => {
    const text = await output(argv, { timeoutMs: 10_000 }).catch(() => '');
    return /\(Debian ([^)]+)\)/.exec(text)?.[1] ?? /\d+\.\d+[\w.+-]*/.exec(text)?.[0] ?? 'none';
  };
  return {
    holm: version,
    node: process.versions.node,
    v8: process.versions.v8,
    qemu: await said(['qemu-system-riscv64', '--version']),
    gcc: await said(['riscv64-linux-gnu-gcc', '-dumpfullversion']),
  };
}
