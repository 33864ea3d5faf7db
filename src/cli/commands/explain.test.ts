import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatExplanation, wrap } from './explain.ts';

test('an explanation is numbered, aligned and wrapped', () => {
  const explanation = {
    sections: [
      {
        title: 'In the guard, before the clone',
        steps: [
          {
            call: 'mkdirat(r3, "holm/0123", 493)',
            what: 'make the cgroup',
            why: 'its own',
            tolerated: 'EEXIST is no failure',
          },
          { call: 'write_file(r4, "memory.max")', what: 'limit the memory', why: '', tolerated: '' },
        ],
      },
      {
        title: 'In the container',
        steps: [{ call: 'exec(["/bin/sh"])', what: 'run the program', why: 'asked for', tolerated: '' }],
      },
    ],
  };
  assert.equal(
    formatExplanation(explanation, 80),
    [
      'In the guard, before the clone',
      '1. make the cgroup',
      '       mkdirat(r3, "holm/0123", 493)',
      '   ↳ its own; EEXIST is no failure',
      '2. limit the memory',
      '       write_file(r4, "memory.max")',
      '',
      'In the container',
      '3. run the program',
      '       exec(["/bin/sh"])',
      '   ↳ asked for',
      '',
      '3 steps in 2 programs',
      '',
    ].join('\n'),
  );
  assert.deepEqual(wrap('one two three', 7), ['one two', 'three']);
});
