// The API at the level of HTTP, where the docker client does not show it: versions, headers, hijacked connections,
// clients that go away, stale sockets.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { linkSync, statSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { serve } from '../../src/api/server.ts';
import { FakeServer } from './fake-server.ts';

const fake = await FakeServer.start();
after(() => fake[Symbol.asyncDispose]());

interface Answer {
  readonly code: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
}

async function ask(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const text = body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body);
  const type = body === undefined ? {} : { 'Content-Type': 'application/json' };
  const sent = request({
    socketPath: fake.socket,
    method,
    path,
    headers: { ...type, 'Content-Length': Buffer.byteLength(text), ...headers },
  });
  sent.end(text);
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  let answer = '';
  for await (const chunk of response.setEncoding('utf8')) answer += chunk;
  return { code: response.statusCode ?? 0, headers: response.headers, text: answer };
}

const create = async (command: readonly string[], more: Record<string, unknown> = {}): Promise<string> => {
  const { code, text } = await ask('POST', '/containers/create', { Image: 'debian', Cmd: command, ...more });
  assert.equal(code, 201, text);
  return (JSON.parse(text) as { Id: string }).Id;
};

const errors: readonly (readonly [
  method: string,
  path: string,
  body: unknown,
  code: number,
  message: string | RegExp,
])[] = [
  ['GET', '/v1.99/info', undefined, 400, 'client version 1.99 is too new. Maximum supported API version is 1.55'],
  ['GET', '/v1.23/info', undefined, 400, /^client version 1\.23 is too old\. Minimum supported API version is 1\.24/],
  ['GET', '/v2.0/info', undefined, 400, /too new/],
  ['GET', '/nothing', undefined, 404, 'page not found'],
  ['GET', '/v1.50', undefined, 404, 'page not found'],
  ['PUT', '/containers/x/start', undefined, 404, 'page not found'],
  ['GET', '/%zz', undefined, 400, /percent-encoded/],
  ['POST', '/build', undefined, 501, 'holm does not support "POST /build" yet'],
  ['POST', '/v1.50/session', undefined, 501, 'holm does not support "POST /session" yet'],
  ['GET', '/swarm', undefined, 503, /^This node is not a swarm manager/],
  ['GET', '/containers/nobox/json', undefined, 404, 'No such container: nobox'],
  ['POST', '/containers/create', '{"Image"', 400, /^invalid JSON: /],
  ['POST', '/containers/create', { Image: 7 }, 400, 'invalid JSON: Image must be a string, is a number'],
  [
    'POST',
    '/containers/create',
    { Image: 'debian', Env: [1] },
    400,
    'invalid JSON: Env must be a list of strings, is a number',
  ],
  [
    'POST',
    '/containers/create',
    { Image: 'debian', HostConfig: { Memory: 'x' } },
    400,
    'invalid JSON: HostConfig.Memory must be a whole number, is a string',
  ],
  ['POST', '/containers/create', { Image: 'nope' }, 404, 'No such image: nope:latest'],
  ['POST', '/containers/create', {}, 400, 'invalid reference format'],
  ['GET', '/containers/json?filters=%7B%22bad%22%3A%5B%22x%22%5D%7D', undefined, 400, "invalid filter 'bad'"],
  ['GET', '/containers/json?filters=nonsense', undefined, 400, /^invalid filters/],
  ['GET', '/containers/json?limit=x', undefined, 400, 'invalid value "x" for "limit"'],
  [
    'POST',
    '/containers/create?platform=linux/arm64',
    { Image: 'debian' },
    404,
    /does not match the specified platform \(linux\/arm64\)/,
  ],
  ['GET', '/exec/nope/json', undefined, 404, 'No such exec instance: nope'],
  ['POST', '/exec/nope/start', { Detach: true }, 404, 'No such exec instance: nope'],
  ['POST', '/containers/nobox/attach?stream=1', undefined, 404, 'No such container: nobox'],
  ['GET', '/images/a/b/c/json', undefined, 404, 'No such image: a/b/c:latest'],
  ['GET', '/networks/nonet', undefined, 404, 'network nonet not found'],
  ['GET', '/events?since=never', undefined, 400, /failed to parse value "never"/],
];
for (const [method, path, body, code, message] of errors)
  test(`${method} ${path} ${JSON.stringify(body) ?? ''} gives ${code}`, async () => {
    const answer = await ask(method, path, body);
    const told = (JSON.parse(answer.text) as { message: string }).message;
    assert.equal(answer.code, code, told);
    if (typeof message === 'string') assert.equal(told, message);
    else assert.match(told, message);
  });

test('_ping answers GET and HEAD with its headers, with and without a version', async () => {
  for (const path of ['/_ping', '/v1.24/_ping', '/v1.55/_ping'])
    for (const method of ['GET', 'HEAD']) {
      const { code, headers, text } = await ask(method, path);
      assert.deepEqual([code, text], [200, method === 'GET' ? 'OK' : '']);
      assert.deepEqual(
        ['api-version', 'ostype', 'docker-experimental', 'builder-version', 'swarm'].map((name) => headers[name]),
        ['1.55', 'linux', 'false', '1', 'inactive'],
      );
      assert.match(String(headers.server), /^holm\//);
    }
});

test('a client that offers HTTP/2 with each request is answered in HTTP/1.1', async () => {
  const offer = { Connection: 'Upgrade, HTTP2-Settings', Upgrade: 'h2c', 'HTTP2-Settings': 'AAMAAABkAAQAAP__' };
  assert.equal((await ask('GET', '/_ping', undefined, offer)).text, 'OK');
  const answer = await ask('POST', '/containers/create', { Image: 'debian' }, offer);
  assert.equal(answer.code, 201);
});

test('field names in other letter case are understood, null is absent, unknown ones are ignored', async () => {
  const { code, text } = await ask('POST', '/containers/create', {
    image: 'debian',
    cmd: ['cat'],
    env: null,
    hostConfig: { memory: 64 << 20, noSuchField: 1 },
  });
  assert.equal(code, 201, text);
  const config = fake.engine.configs.at(-1);
  assert.deepEqual([config?.command, config?.resources.memoryBytes], [['cat'], 64 << 20]);
});

test('top-level addresses are told up to 1.51 and no more', async () => {
  const id = await create(['cat']);
  const shapeOf = async (version: string): Promise<boolean> =>
    'IPAddress' in
    (JSON.parse((await ask('GET', `/${version}/containers/${id}/json`)).text) as { NetworkSettings: object })
      .NetworkSettings;
  assert.deepEqual([await shapeOf('v1.24'), await shapeOf('v1.51'), await shapeOf('v1.52')], [true, true, false]);
});

/** A connection on which the answer's head is read off. */
async function hijack(
  path: string,
  options: { upgrade: boolean; body?: string; after?: string },
): Promise<{ head: string; socket: Socket; rest: Buffer }> {
  const socket = connect({ path: fake.socket, allowHalfOpen: true });
  const upgrade = options.upgrade ? 'Connection: Upgrade\r\nUpgrade: tcp\r\n' : '';
  const body = options.body ?? '';
  const type = body === '' ? '' : 'Content-Type: application/json\r\n';
  socket.write(
    `POST ${path} HTTP/1.1\r\nHost: docker\r\n${upgrade}${type}Content-Length: ${body.length}\r\n\r\n${body}${options.after ?? ''}`,
  );
  let bytes = Buffer.alloc(0);
  while (!bytes.includes('\r\n\r\n')) {
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    bytes = Buffer.concat([bytes, chunk]);
  }
  const end = bytes.indexOf('\r\n\r\n') + 4;
  return { head: bytes.toString('latin1', 0, end), socket, rest: bytes.subarray(end) };
}

async function readAll(socket: Socket, first: Buffer): Promise<Buffer> {
  const chunks = [first];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

const framed = (kind: number, text: string): Buffer => {
  const head = Buffer.from([kind, 0, 0, 0, 0, 0, 0, text.length]);
  return Buffer.concat([head, Buffer.from(text)]);
};

for (const upgrade of [true, false])
  test(`attach ${upgrade ? 'with' : 'without'} an upgrade: frames, half-close`, async () => {
    const id = await create(['cat'], { OpenStdin: true });
    await ask('POST', `/containers/${id}/start`);
    const { head, socket, rest } = await hijack(`/v1.50/containers/${id}/attach?stream=1&stdin=1&stdout=1&stderr=1`, {
      upgrade,
    });
    assert.match(head, upgrade ? /^HTTP\/1\.1 101 UPGRADED\r\n/ : /^HTTP\/1\.1 200 OK\r\n/);
    assert.match(
      head,
      upgrade
        ? /Content-Type: application\/vnd\.docker\.multiplexed-stream\r\n/
        : /application\/vnd\.docker\.raw-stream\r\n/,
    );
    socket.end('GET / HTTP/1.1\r\n\r\n');
    const all = await readAll(socket, rest);
    assert.deepEqual(all, Buffer.concat([framed(1, 'GET / HTTP/1.1\r\n\r\n'), framed(1, '<end>')]));
    socket.destroy();
  });

test('input that comes together with the request is not lost', async () => {
  const id = await create(['cat'], { OpenStdin: true, Tty: true });
  await ask('POST', `/containers/${id}/start`);
  const { socket, rest } = await hijack(`/v1.50/containers/${id}/attach?stream=1&stdin=1&stdout=1`, {
    upgrade: true,
    after: 'early',
  });
  socket.end();
  assert.equal((await readAll(socket, rest)).toString(), 'early<end>');
});

for (const upgrade of [true, false])
  test(`exec start ${upgrade ? 'with' : 'without'} an upgrade: its JSON is read, what follows is input`, async () => {
    const id = await create(['sleep']);
    await ask('POST', `/containers/${id}/start`);
    const made = await ask('POST', `/containers/${id}/exec`, { Cmd: ['cat'], AttachStdin: true, AttachStdout: true });
    const exec = (JSON.parse(made.text) as { Id: string }).Id;
    const { socket, rest, head } = await hijack(`/v1.41/exec/${exec}/start`, {
      upgrade,
      body: '{"Detach":false,"Tty":false}',
      after: upgrade ? 'in' : '',
    });
    assert.match(head, /application\/vnd\.docker\.raw-stream/);
    socket.end(upgrade ? 'put' : 'input');
    const all = (await readAll(socket, rest)).toString();
    assert.equal(all.replaceAll(/[\0\x01].{6}./gs, ''), 'input<end>');
    const inspected = JSON.parse((await ask('GET', `/exec/${exec}/json`)).text) as {
      Running: boolean;
      ExitCode: number;
    };
    assert.deepEqual([inspected.Running, inspected.ExitCode], [false, 0]);
    await ask('POST', `/containers/${id}/kill`);
  });

test('a hijack that is refused is answered with its code', async () => {
  const { head, rest, socket } = await hijack('/v1.50/containers/nobox/attach?stream=1', { upgrade: true });
  assert.match(head, /^HTTP\/1\.1 404 Not Found\r\n/);
  assert.match((await readAll(socket, rest)).toString(), /No such container: nobox/);
  socket.destroy();
});

test('a hijack of an unknown version or route is answered too', async () => {
  for (const [path, code] of [
    ['/v1.99/containers/x/attach', 400],
    ['/containers/a/b/attach', 404],
  ] as const) {
    const { head, socket } = await hijack(path, { upgrade: true });
    assert.match(head, new RegExp(`^HTTP/1.1 ${code} `));
    socket.destroy();
  }
});

test('attach with what was logged before', async () => {
  const id = await create(['say', 'out', 'err']);
  await ask('POST', `/containers/${id}/start`);
  const { rest, socket } = await hijack(`/containers/${id}/attach?logs=1&stdout=1&stderr=1`, { upgrade: true });
  assert.deepEqual(await readAll(socket, rest), Buffer.concat([framed(1, 'out\n'), framed(2, 'err\n')]));
  socket.destroy();
});

test('wait sends its headers at once and ends when its client goes', async () => {
  const id = await create(['sleep']);
  await ask('POST', `/containers/${id}/start`);
  const sent = request({ socketPath: fake.socket, method: 'POST', path: `/containers/${id}/wait?condition=next-exit` });
  sent.end();
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  assert.equal(response.statusCode, 200);
  sent.destroy();
  await ask('POST', `/containers/${id}/kill?signal=9`);
  const again = await ask('POST', `/containers/${id}/wait`);
  assert.deepEqual(JSON.parse(again.text), { StatusCode: 137 });
});

test('start and stop of what already is so give 304', async () => {
  const id = await create(['sleep']);
  assert.equal((await ask('POST', `/containers/${id}/stop`)).code, 304);
  assert.equal((await ask('POST', `/containers/${id}/start`)).code, 204);
  assert.equal((await ask('POST', `/containers/${id}/start`)).code, 304);
  assert.equal((await ask('POST', `/containers/${id}/stop?t=1`)).code, 204);
});

test('filters in both forms', async () => {
  const id = await create(['sleep'], { Labels: { only: 'here' } });
  for (const filters of ['{"label":["only=here"]}', '{"label":{"only=here":true,"not":false}}']) {
    const { text } = await ask('GET', `/containers/json?all=1&filters=${encodeURIComponent(filters)}`);
    assert.deepEqual(
      (JSON.parse(text) as { Id: string }[]).map((row) => row.Id),
      [id],
    );
  }
});

test('explain answers with steps and makes nothing', async () => {
  const count = fake.engine.configs.length;
  const { code, text } = await ask('POST', '/holm/explain', { Image: 'debian', Cmd: ['x'] });
  assert.equal(code, 200);
  assert.match(text, /sethostname/);
  assert.equal(fake.engine.configs.length, count);
});

test('the socket: mode, stale ones replaced, live ones and files respected', async () => {
  assert.equal(statSync(fake.socket).mode & 0o777, 0o660);
  const options = { message: /another daemon answers there/ };
  await assert.rejects(serve(fake.engine.backend, { socketPath: fake.socket }), options);
  const file = join(fake.directory, 'file');
  writeFileSync(file, '');
  await assert.rejects(serve(fake.engine.backend, { socketPath: file }), {
    message: /a file that is no socket is there/,
  });
  const stale = join(fake.directory, 'stale');
  const left = createServer().listen(join(fake.directory, 'left'));
  await once(left, 'listening');
  // Closing takes the one name away; the other stays, as after SIGKILL.
  linkSync(join(fake.directory, 'left'), stale);
  left.close();
  const server = await serve(fake.engine.backend, { socketPath: stale });
  await server.close();
  await assert.rejects(serve(fake.engine.backend, { socketPath: stale, socketGroup: 'no-such-group' }), {
    message: /there is no such group/,
  });
});
