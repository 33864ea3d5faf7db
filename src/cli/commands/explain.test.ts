import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatExplanation, wrap } from './explain.ts';

test('an explanation is numbered, aligned and wrapped', () => {
  const explanation = {
    sections: [
      {
        title: 'In the guard, before the clone',
        steps: [
          { call: 'mkdir', what: '/sys/fs/cgroup/holm/0123', why: 'its cgroup', tolerated: 'EEXIST' },
          { call: 'write_file', what: 'memory.max = 536870912', why: '--memory 512m', tolerated: '' },
        ],
      },
      { title: 'In the container', steps: [{ call: 'execve', what: 'sh', why: '', tolerated: '' }] },
    ],
  };
  assert.equal(
    formatExplanation(explanation, 80),
    [
      'In the guard, before the clone',
      '1. mkdir       /sys/fs/cgroup/holm/0123',
      '               ↳ its cgroup; may fail with EEXIST',
      '2. write_file  memory.max = 536870912',
      '               ↳ --memory 512m',
      '',
      'In the container',
      '3. execve      sh',
      '',
      '3 steps in 2 programs',
      '',
    ].join('\n'),
  );
  assert.deepEqual(wrap('one two three', 7), ['one two', 'three']);
});
