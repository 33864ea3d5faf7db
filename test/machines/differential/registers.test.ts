// What control and status registers make of random values is what QEMU's make of them, in both engines.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { installMissing } from '../../../scripts/debian.ts';
import { runInOwn } from './own-machine.ts';
import { qemu, runInQemu } from './qemu-machine.ts';
import { registersProgram } from './registers-program.ts';

const directory = mkdtempSync(join(tmpdir(), 'holm-registers-'));
before(() => installMissing([qemu]));
after(() => rmSync(directory, { recursive: true, force: true }));

for (const seed of [1, 2, 3]) {
  test(`registers ${seed}: QEMU, the interpreter and the translator agree`, async () => {
    const { image, lines } = registersProgram(seed, 60);
    const want = (await runInQemu(image, join(directory, `${seed}.bin`))).split('\n');
    assert.equal(want.length, lines.length + 1, 'QEMU ran to the end');
    for (const engine of ['interpreter', 'translator'] as const) {
      const got = runInOwn(image, engine).output.split('\n');
      for (const [i, line] of lines.entries()) assert.equal(got[i], want[i], `${engine}: ${line}`);
    }
  });
}
