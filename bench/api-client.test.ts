import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ApiClient } from './api-client.ts';

const directory = mkdtempSync(join(tmpdir(), 'holm-api-client-'));
const servers: Server[] = [];
after(() => {
  for (const server of servers) server.close();
  rmSync(directory, { recursive: true });
});

/** An engine that answers every request with the same bytes, sent in pieces of that size. */
function engine(answer: string, pieceBytes: number): Promise<ApiClient> {
  const path = join(directory, `${servers.length}.sock`);
  const server = createServer((socket) => {
    socket.on('data', async () => {
      for (let at = 0; at < answer.length; at += pieceBytes) {
        socket.write(answer.slice(at, at + pieceBytes));
        await new Promise(setImmediate);
      }
      if (answer.includes('Connection: close')) socket.end();
    });
    socket.on('error', () => {});
  });
  servers.push(server);
  return new Promise((resolve) => server.listen(path, () => resolve(new ApiClient(path))));
}

const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n7\r\n, \r\nyou\r\n0\r\n\r\n';
const cases: readonly (readonly [name: string, answer: string, body: string])[] = [
  ['a length', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello', 'hello'],
  ['a length of nothing', 'HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n', ''],
  ['no content', 'HTTP/1.1 204 No Content\r\nApi-Version: 1.41\r\n\r\n', ''],
  ['chunks', chunked, 'hello, \r\nyou'],
  ['until the end', 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello', 'hello'],
];

for (const [name, answer, body] of cases) {
  for (const pieceBytes of [1, 7, 4096]) {
    test(`ApiClient takes a body with ${name}, ${pieceBytes} bytes at a time`, async () => {
      const api = await engine(answer, pieceBytes);
      // Twice: the connection, or a new one, must serve again.
      for (const _ of [1, 2]) assert.equal((await api.call('GET', '/')).body, body);
      api.close();
    });
  }
}

test('ApiClient throws what the engine says', async () => {
  const api = await engine('HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone', 4096);
  await assert.rejects(api.call('GET', '/x'), /GET \/x: 404 none/);
});

test('ApiClient gives the bytes of a stream, from the head on', async () => {
  const api = await engine('HTTP/1.1 101 UPGRADED\r\nConnection: close\r\nUpgrade: tcp\r\n\r\nhello', 3);
  const taken: Buffer[] = [];
  const { ended } = await api.hijack('/attach', {}, (chunk) => taken.push(chunk));
  await ended;
  assert.equal(Buffer.concat(taken).toString(), 'hello');
});
