import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { createServer as createSocketServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ChunkedDecoder, Client, escapePath, readAll } from './client.ts';

const directory = mkdtempSync(join(tmpdir(), 'holm-client-'));
const path = join(directory, 'http.sock');
let server: Server;
const seen: { method: string; url: string; body: string; headers: IncomingMessage['headers'] }[] = [];

const routes: Record<string, RequestListener> = {
  '/length': (_request, response) => response.setHeader('Content-Length', 5).end('hello'),
  '/chunks': (_request, response) => {
    for (let at = 0; at < 200; at++) response.write(`line ${at}\n`);
    response.end();
  },
  '/lines': (_request, response) => {
    response.write('{"a":1}\n{"a"');
    setTimeout(() => response.end(':2}\r\n\n{"a":3}'), 10);
  },
  '/empty': (_request, response) => response.writeHead(204).end(),
  '/notfound': (_request, response) => response.writeHead(404).end('{"message":"No such container: web"}'),
  '/plain': (_request, response) => response.writeHead(500).end('boom'),
  '/slow': () => undefined,
  '/early': (_request, response) => response.writeHead(400).end('{"message":"no"}'),
};

before(async () => {
  server = createServer((request, response) => {
    const url = request.url!.split('?')[0]!;
    if (url === '/early' || url === '/slow') return routes[url]!(request, response);
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      seen.push({
        method: request.method!,
        url: request.url!,
        body: Buffer.concat(chunks).toString(),
        headers: request.headers,
      });
      (routes[url] ?? ((_request, answer) => answer.end()))(request, response);
    });
  });
  server.on('upgrade', (_request, socket: Socket) => {
    socket.write(
      'HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nearly ',
    );
    let got = '';
    socket.on('data', (chunk) => {
      got += chunk.toString();
    });
    socket.on('end', () => socket.end(`got ${got}`));
  });
  await new Promise<void>((resolve) => server.listen({ path }, resolve));
});

after(() => {
  server.closeAllConnections();
  server.close();
  rmSync(directory, { recursive: true });
});

const client = new Client(`unix://${path}`);

test('bodies are read whole, whatever their framing', async () => {
  const cases: [string, string][] = [
    ['/length', 'hello'],
    ['/chunks', Array.from({ length: 200 }, (_one, at) => `line ${at}\n`).join('')],
    ['/empty', ''],
  ];
  for (const [url, text] of cases) assert.equal(await readAll((await client.request('GET', url)).body), text, url);
  assert.equal((await client.request('HEAD', '/length')).headers.get('content-length'), '5');
});

test('JSON lines come one by one', async () => {
  const values: unknown[] = [];
  for await (const value of client.jsonLines('GET', '/lines')) values.push(value);
  assert.deepEqual(values, [{ a: 1 }, { a: 2 }, { a: 3 }]);
});

test('a request carries its query, its JSON or its stream', async () => {
  seen.length = 0;
  await client.json('POST', '/q', {
    query: { a: 'x y', list: ['1', '2'], yes: true, no: false, absent: undefined },
    json: { ä: 1 },
  });
  assert.deepEqual([seen[0]!.url, seen[0]!.body], ['/q?a=x%20y&list=1&list=2&yes=1&no=0', '{"ä":1}']);
  const big = Buffer.alloc(300_000, 'x');
  const stream = (async function* () {
    yield Buffer.from('start');
    yield Buffer.alloc(0);
    yield big;
  })();
  await client.json('PUT', '/q', { stream, headers: { 'Content-Type': 'application/x-tar' } });
  assert.equal(seen[1]!.body.length, 300_005);
  assert.equal(seen[1]!.headers['content-type'], 'application/x-tar');
});

test('an answer of an error is thrown with its message', async () => {
  await assert.rejects(client.json('GET', '/notfound'), {
    kind: 'notFound',
    message: 'Error response from daemon: No such container: web',
  });
  await assert.rejects(client.json('GET', '/plain'), { kind: 'internal', message: 'Error response from daemon: boom' });
});

test('an answer that comes before the body is sent wins over the broken pipe', async () => {
  const endless = (async function* () {
    for (;;) yield Buffer.alloc(65536);
  })();
  await assert.rejects(client.json('POST', '/early', { stream: endless }), { kind: 'invalid' });
});

test('a body that cannot be read breaks the request off', async () => {
  const broken = (async function* () {
    yield Buffer.from('x');
    throw new Error('disk on fire');
  })();
  await assert.rejects(client.json('POST', '/slow', { stream: broken }), /disk on fire/);
});

test('a hijacked stream goes both ways, and its halves end apart', async () => {
  const { socket, contentType } = await client.hijack('/attach');
  assert.equal(contentType, 'application/vnd.docker.raw-stream');
  socket.write('typed');
  socket.end();
  assert.equal(await readAll(socket), 'early got typed');
});

test('what is no daemon is told', async () => {
  const missing = new Client(`unix://${directory}/none.sock`);
  await assert.rejects(missing.json('GET', '/'), {
    kind: 'unavailable',
    message: `Cannot connect to holmd at unix://${directory}/none.sock. Is it running?`,
  });
  assert.throws(() => new Client('tcp://127.0.0.1:2375'), { kind: 'unsupported' });
  await assert.rejects(client.json('GET', '/slow', { signal: AbortSignal.timeout(20) }), { kind: 'cancelled' });
});

test('an answer that breaks off is an error, as is one that is not HTTP', async () => {
  const answers = [
    'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal',
    'SSH-2.0\r\n\r\n',
    '',
  ];
  for (const [at, answer] of answers.entries()) {
    const raw = createSocketServer((socket) => socket.resume().end(answer));
    const to = join(directory, `raw${at}.sock`);
    await new Promise<void>((resolve) => raw.listen({ path: to }, resolve));
    await assert.rejects(new Client(`unix://${to}`).json('GET', '/'), { name: 'HolmError' }, answer);
    raw.close();
  }
});

test('ChunkedDecoder takes pieces of any size', () => {
  const encoded = Buffer.from('5;ext=1\r\nhello\r\n1\r\n \r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n');
  for (let size = 1; size <= encoded.length; size++) {
    const decoder = new ChunkedDecoder();
    let text = '';
    for (let at = 0; at < encoded.length; at += size)
      for (const bytes of decoder.decode(encoded.subarray(at, at + size))) text += bytes.toString();
    assert.equal(text, 'hello 0123456789', `pieces of ${size}`);
    assert.equal(decoder.ended, true);
  }
  assert.throws(() => [...new ChunkedDecoder().decode(Buffer.from('zz\r\n'))], { kind: 'corrupt' });
});

test('escapePath() keeps what names of images have', () => {
  assert.equal(escapePath('host:5000/a/b:c@sha256:0'), 'host:5000/a/b:c@sha256:0');
  assert.equal(escapePath('a b?#%'), 'a%20b%3F%23%25');
});
