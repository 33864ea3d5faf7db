import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ErrorKind, HolmError } from '../base/error.ts';
import { answerFor, noSuchImage } from './wording.ts';

const texts: readonly (readonly [message: string, told: string])[] = [
  ['Cannot execute "x": ENOENT from execve(2)', ': exec: "x": executable file not found in $PATH'],
  ['Cannot execute "./x": ENOENT from execve(2)', ': exec: "./x": no such file or directory'],
  ['Cannot execute "/x": EACCES from execve(2)', ': exec: "/x": permission denied'],
  ['Cannot execute "/x": EISDIR from execve(2)', ': exec: "/x": is a directory'],
  ['Cannot execute "/x": ENOEXEC from execve(2)', ': exec: "/x": exec format error'],
  ['Cannot mount "/data": ENOENT from mount(2)', ''],
];
for (const [message, added] of texts)
  test(message, () => {
    assert.deepEqual(answerFor(new HolmError('invalid', message)), { code: 400, message: `${message}${added}` });
    const wrapped = new HolmError('invalid', 'Cannot start container "web"', { cause: new Error(message) });
    assert.equal(answerFor(wrapped).message, `Cannot start container "web": ${message}${added}`);
  });

const codes: readonly (readonly [kind: ErrorKind, code: number])[] = [
  ['invalid', 400],
  ['notFound', 404],
  ['conflict', 409],
  ['wrongState', 409],
  ['unsupported', 501],
  ['unavailable', 503],
  ['internal', 500],
];
test('kinds have HTTP codes', () => {
  for (const [kind, code] of codes) assert.equal(answerFor(new HolmError(kind, 'x')).code, code);
  assert.deepEqual(answerFor(new TypeError('oops')), { code: 500, message: 'oops' });
  assert.deepEqual(answerFor('text'), { code: 500, message: 'text' });
});

test('a missing image is told with its tag, an id as it was written', () => {
  for (const [asked, told] of [
    ['a', 'a:latest'],
    ['localhost:5000/a', 'localhost:5000/a:latest'],
    ['a:1', 'a:1'],
    ['sha256:0123456789ab', 'sha256:0123456789ab'],
    ['0123456789ab', '0123456789ab'],
  ] as const)
    assert.equal(noSuchImage(asked).message, `No such image: ${told}`);
});
