// Which interrupt is taken first, in which mode and where, is what QEMU takes: every combination of pending, enabled, delegated
// and masked, at random; machine timer and software interrupts from the CLINT. Both engines.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { installMissing } from '../../../scripts/debian.ts';
import { interruptsProgram } from './interrupts-program.ts';
import { runInOwn } from './own-machine.ts';
import { qemu, runInQemu } from './qemu-machine.ts';

const directory = mkdtempSync(join(tmpdir(), 'holm-interrupts-'));
before(() => installMissing([qemu]));
after(() => rmSync(directory, { recursive: true, force: true }));

const trials = 4000;
/** With the advanced interrupt architecture QEMU 7.2 knows their order (section 3.1.9); without it takes the least number. */
const machine = { features: ',x-smaia=on,x-ssaia=on' } as const;

test('interrupts: QEMU, the interpreter and the translator agree', async () => {
  const image = interruptsProgram(1, trials);
  const want = (await runInQemu(image, join(directory, 'program.bin'), machine)).trim().split('\n');
  assert.equal(want.length, trials, 'QEMU ran to the end');
  const firsts = new Set(want.map((line) => line.split(' ')[0]));
  // External, software and timer of S and M mode, and calls of all modes when nothing came.
  for (const code of [1n, 3n, 5n, 7n, 9n])
    assert.ok(firsts.has(((1n << 63n) | code).toString(16)), `interrupt ${code}`);
  for (const engine of ['interpreter', 'translator'] as const) {
    const got = runInOwn(image, engine).output.trim().split('\n');
    for (const [i, line] of want.entries()) assert.equal(got[i], line, `${engine}: trial ${i}`);
  }
});
