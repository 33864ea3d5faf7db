// The ten programs on this project's hart and on Debian's qemu-system-riscv64: CPU seconds, interleaved, medians. Usage:
// measure.ts [--rounds N] [--engine interpreter|translator] [PROGRAM…]; needs gcc-riscv64-linux-gnu and qemu-system-misc.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const programs = [
  'alu',
  'sieve',
  'crc32',
  'memcpy',
  'quicksort',
  'sha256',
  'mandelbrot',
  'indirect',
  'chase',
  'muldiv',
];

interface Run {
  readonly output: string;
  readonly cpuSeconds: number;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string', default: '5' }, engine: { type: 'string', default: 'translator' } },
});
const directory = mkdtempSync(join(tmpdir(), 'programs-'));
try {
  const ratios: number[] = [];
  console.log(firstLine(execFileSync('qemu-system-riscv64', ['--version'])), '| Node', process.version);
  for (const name of positionals.length > 0 ? positionals : programs) {
    const file = build(name);
    const ours: Run[] = [];
    const theirs: Run[] = [];
    for (let round = 0; round < Number(values.rounds); round++) {
      theirs.push(runQemu(file));
      ours.push(runHart(file));
    }
    const outputs = new Set([...ours, ...theirs].map((run) => run.output));
    if (outputs.size > 1) throw new Error(`${name} ends differently: ${[...outputs].join(' ')}`);
    const ratio = median(theirs) / median(ours);
    ratios.push(ratio);
    console.log(
      `${name.padEnd(10)} QEMU ${median(theirs).toFixed(2)} s, hart ${median(ours).toFixed(2)} s: ${ratio.toFixed(2)} x`,
    );
  }
  const mean = Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length);
  console.log(`geometric mean ${mean.toFixed(2)} x`);
} finally {
  rmSync(directory, { recursive: true });
}

function build(name: string): string {
  const source = (file: string): string => join(import.meta.dirname, file);
  const file = join(directory, name);
  const machine = ['-march=rv64gc', '-mabi=lp64d', '-mcmodel=medany', '-ffreestanding', '-fno-builtin'];
  const loops = ['-fno-tree-loop-distribute-patterns', '-fno-pic', '-no-pie', '-nostdlib', '-static'];
  execFileSync('riscv64-linux-gnu-gcc', [
    ...['-O2', ...machine, ...loops, '-Wl,--build-id=none', '-T', source('link.ld'), '-o', file],
    ...['start.S', 'machine.c', `${name}.c`].map(source),
  ]);
  return file;
}

function runQemu(file: string): Run {
  const args = ['-machine', 'virt', '-nographic', '-bios', 'none', '-kernel', file];
  const output = execFileSync('/bin/sh', ['-c', '"$@" < /dev/null; times', 'sh', 'qemu-system-riscv64', ...args], {
    encoding: 'utf8',
  });
  const lines = output.trim().split('\n');
  return { output: lines[0]!.trim(), cpuSeconds: childSeconds(lines.at(-1)!) };
}

/** The last line of sh's `times`: user and system time of its children, each as 0m0.00s. */
function childSeconds(line: string): number {
  return line
    .trim()
    .split(/\s+/)
    .map((part) => /^(\d+)m([\d.]+)s$/.exec(part)!)
    .reduce((sum, [, minutes, seconds]) => sum + Number(minutes) * 60 + Number(seconds), 0);
}

function runHart(file: string): Run {
  const args = [join(import.meta.dirname, 'guest.ts'), file, values.engine];
  return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' })) as Run;
}

function median(runs: readonly Run[]): number {
  const sorted = runs.map((run) => run.cpuSeconds).sort((a, b) => a - b);
  return sorted[sorted.length >> 1]!;
}

function firstLine(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes).split('\n')[0]!;
}
