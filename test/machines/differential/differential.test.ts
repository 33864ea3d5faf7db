// Instruction by instruction, both engines do what QEMU does: on random programs over the whole table, with corner values,
// traps and compressed forms. HOLM_DIFFERENTIAL=N runs N times as many instructions.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { installMissing } from '../../../scripts/debian.ts';
import { firstDifference } from './first-difference.ts';
import { runInOwn } from './own-machine.ts';
import { qemu, runInQemu } from './qemu-machine.ts';
import { type ProgramOptions, randomProgram } from './random-program.ts';

const directory = mkdtempSync(join(tmpdir(), 'holm-differential-'));
before(() => installMissing([qemu]));
after(() => rmSync(directory, { recursive: true, force: true }));

const times = Number(process.env.HOLM_DIFFERENTIAL ?? 1);
const programs = 4 * times;
let executed = 0;

for (let seed = 1; seed <= programs; seed++) {
  test(`random program ${seed}: QEMU, the interpreter and the translator agree`, async () => {
    const options: ProgramOptions = { seed, blocks: 60, instructions: 200, rounds: 120, withFloat: seed % 2 === 0 };
    const program = randomProgram(options);
    const want = await runInQemu(program.image, join(directory, `${seed}.bin`));
    assert.equal(want.trim().split('\n').length, options.rounds, 'QEMU ran every round');
    for (const engine of ['interpreter', 'translator'] as const) {
      const got = runInOwn(program.image, engine).output;
      if (got !== want) assert.fail(`${engine}: ${await firstDifference(options, engine, directory)}`);
    }
    executed += program.executed;
  });
}

test('that were at least five million instructions', () => {
  assert.ok(executed >= 5_000_000 * times, `only ${executed}`);
});
