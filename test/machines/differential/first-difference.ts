// Finds the instruction at fault when two machines disagree: first the block, then how much of the block it takes.
import { join } from 'node:path';
import { disassemble } from '../../../src/vcpu/disassemble.ts';
import type { HartOptions } from '../../../src/vcpu/hart.ts';
import { runInOwn } from './own-machine.ts';
import { runInQemu } from './qemu-machine.ts';
import { type ProgramOptions, randomProgram } from './random-program.ts';

/** Says where they part, in words. */
export async function firstDifference(
  options: ProgramOptions,
  engine: HartOptions['engine'],
  directory: string,
): Promise<string> {
  const outputs = async (changed: Partial<ProgramOptions>): Promise<[string[], string[]]> => {
    const { image } = randomProgram({ ...options, ...changed });
    const want = await runInQemu(image, join(directory, 'search.bin'));
    return [want.split('\n'), runInOwn(image, engine).output.split('\n')];
  };
  const [want, got] = await outputs({ talkative: true });
  const line = want.findIndex((text, i) => text !== got[i]);
  if (line < 0) return 'the difference is gone when it prints more';
  const block = line % (options.blocks + 1);
  const round = Math.floor(line / (options.blocks + 1));
  const differs = async (pieces: number): Promise<boolean> => {
    const [a, b] = await outputs({ only: { block, pieces }, rounds: 400 });
    return a.join() !== b.join();
  };
  if (!(await differs(options.instructions * 2)))
    return `block ${block} in round ${round}, only together with what came before`;
  let [fine, bad] = [0, options.instructions * 2];
  while (bad - fine > 1) {
    const middle = (fine + bad) >> 1;
    if (await differs(middle)) bad = middle;
    else fine = middle;
  }
  const part = (pieces: number): Uint8Array => randomProgram({ ...options, only: { block, pieces } }).code;
  const before = part(bad - 1).length;
  const guilty = part(bad).subarray(before);
  return `block ${block}, round ${round}, piece ${bad}:\n${listing(guilty)}`;
}

function listing(code: Uint8Array): string {
  const view = new DataView(code.buffer, code.byteOffset, code.length);
  const lines: string[] = [];
  for (let at = 0; at + 2 <= code.length; ) {
    const wide = (view.getUint16(at, true) & 3) === 3 && at + 4 <= code.length;
    const bits = wide ? view.getUint32(at, true) : view.getUint16(at, true);
    lines.push(`  ${bits.toString(16).padStart(wide ? 8 : 4, '0')}  ${disassemble(bits)}`);
    at += wide ? 4 : 2;
  }
  return lines.join('\n');
}
