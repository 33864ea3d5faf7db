import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ConsoleOutput } from './console-output.ts';

/** What a terminal with ONLCR shows of what is written in these pieces. */
async function shown(isTTY: boolean, ...pieces: readonly string[]): Promise<string> {
  let text = '';
  const write = (chunk: Uint8Array | string): boolean => {
    text += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString('latin1');
    return true;
  };
  const output = new ConsoleOutput({ isTTY, write } as NodeJS.WriteStream);
  for (const piece of pieces) output.write(Buffer.from(piece, 'latin1'));
  await sleep(20);
  return isTTY ? text.replaceAll('\n', '\r\n') : text;
}

describe('ConsoleOutput', () => {
  const cases: readonly (readonly string[])[] = [
    ['a\r\nb\r\n'],
    ['a\r', '\nb'],
    ['50%\r60%\r', '70%\r'],
    ['\r\r\n\r\n\r'],
    ['', '\r', '', '\n'],
  ];
  for (const pieces of cases)
    it(`shows ${JSON.stringify(pieces)} as it is`, async () => {
      assert.equal(await shown(true, ...pieces), pieces.join(''));
      assert.equal(await shown(false, ...pieces), pieces.join(''));
    });
});
