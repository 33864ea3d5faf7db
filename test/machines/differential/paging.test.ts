// Trial by trial, both engines translate addresses as QEMU does: random page tables of Sv39, fences that are just enough, loads,
// stores, atomics and fetches of every mode with every setting of SUM, MXR and MPRV, traps taken in M and in S mode.
// HOLM_DIFFERENTIAL=N runs N times as many programs.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { installMissing } from '../../../scripts/debian.ts';
import { runInOwn } from './own-machine.ts';
import type { PagingOptions } from './paging-layout.ts';
import { pagingProgram } from './paging-program.ts';
import { qemu, runInQemu } from './qemu-machine.ts';

const directory = mkdtempSync(join(tmpdir(), 'holm-paging-'));
before(() => installMissing([qemu]));
after(() => rmSync(directory, { recursive: true, force: true }));

const engines = ['interpreter', 'translator'] as const;
const programs = 4 * Number(process.env.HOLM_DIFFERENTIAL ?? 1);
const machine = { harts: 2 } as const;

for (let seed = 1; seed <= programs; seed++) {
  test(`page tables ${seed}: QEMU, the interpreter and the translator agree`, async () => {
    const options: PagingOptions = { seed, trials: 6000, rounds: 8 };
    const { image } = pagingProgram(options);
    const want = await runInQemu(image, join(directory, `${seed}.bin`), machine);
    assert.equal(want.trim().split('\n').length, options.rounds, 'QEMU ran every round');
    for (const engine of engines) {
      if (runInOwn(image, engine).output !== want) assert.fail(`${engine}: ${await firstTrial(options, engine)}`);
    }
  });
}

test('the trials are of every kind', async () => {
  const { image } = pagingProgram({ seed: 1, trials: 6000, rounds: 1, talkative: true });
  const causes = new Set(
    runInOwn(image, 'interpreter')
      .output.split('\n')
      .map((line) => parseInt(line, 16)),
  );
  // Access faults of fetch, load and store; illegal; calls of all modes; page faults of fetch, load and store.
  for (const cause of [1, 2, 5, 7, 8, 9, 11, 12, 13, 15]) assert.ok(causes.has(cause), `no cause ${cause}`);
});

/** The first trial that went otherwise, in words; a difference that only later rounds show is not found. */
async function firstTrial(options: PagingOptions, engine: (typeof engines)[number]): Promise<string> {
  const { image, trials } = pagingProgram({ ...options, talkative: true });
  const want = (await runInQemu(image, join(directory, 'search.bin'), machine)).split('\n');
  const got = runInOwn(image, engine).output.split('\n');
  const line = want.findIndex((text, i) => text !== got[i]);
  const place = line % (options.trials + 1);
  const round = Math.floor(line / (options.trials + 1));
  return `round ${round}, trial ${place}: ${trials[place]}\nmcause mtval mepc f1 a2 fold\n${want[line]}\n${got[line]}`;
}
