import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkMove, endCodes, endReasonOf, type MachineState, type Move, moves } from './machine.ts';

const states: Readonly<Record<MachineState['is'], MachineState>> = {
  creating: { is: 'creating' },
  created: { is: 'created' },
  running: { is: 'running', startedAt: 1n, pid: 2 },
  paused: { is: 'paused', startedAt: 1n, pid: 2 },
  ended: { is: 'ended', startedAt: 1n, finishedAt: 2n, why: 'halt', code: 72, error: '' },
};

describe('checkMove()', () => {
  it('allows what the table says, and nothing while a machine is made', () => {
    for (const move of Object.keys(moves) as Move[]) {
      for (const state of Object.values(states)) {
        const attempt = (): void => checkMove('web', state, move);
        if (moves[move].includes(state.is)) attempt();
        else assert.throws(attempt, { kind: 'wrongState' });
      }
      assert.ok(!moves[move].includes('creating'));
    }
  });
  it('says what stands in the way', () => {
    assert.throws(() => checkMove('web', states.running, 'start'), {
      message: 'Cannot start machine "web": it is running, must be created or ended',
    });
  });
});

describe('endReasonOf()', () => {
  it('knows each code of its own process, whatever else happened', () => {
    for (const [why, code] of Object.entries(endCodes)) assert.equal(endReasonOf(code, true), why);
  });
  const others: readonly (readonly [code: number, outOfMemory: boolean, why: string])[] = [
    [137, false, 'killed'],
    [137, true, 'out of memory'],
    [134, true, 'out of memory'],
    [134, false, 'fault'],
    [127, false, 'fault'],
  ];
  for (const [code, outOfMemory, why] of others)
    it(`takes ${code}${outOfMemory ? ' without memory' : ''} for "${why}"`, () => {
      assert.equal(endReasonOf(code, outOfMemory), why);
    });
});
