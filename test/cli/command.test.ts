// `bin/holm` itself against a small daemon: what it asks, what it prints, and the codes it leaves with.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const directory = mkdtempSync(join(tmpdir(), 'holm-command-'));
const socket = join(directory, 'holm.sock');
const program = fileURLToPath(new URL('../../bin/holm', import.meta.url));
const asked: string[] = [];
let server: Server;
let startAnswer: { status: number; message: string } = { status: 204, message: '' };
let attachedInput = '';

function frame(stream: number, text: string): Buffer {
  const header = Buffer.alloc(8);
  header[0] = stream;
  header.writeUInt32BE(text.length, 4);
  return Buffer.concat([header, Buffer.from(text)]);
}

const listed = [
  {
    Id: '0123456789abcdef'.repeat(4),
    Names: ['/web'],
    Image: 'debian',
    Command: 'sleep 1000',
    Created: 1,
    Status: 'Up 3 minutes',
    Ports: [],
  },
];

const answers: Record<string, RequestListener> = {
  'POST /containers/create': (_request, response) => response.writeHead(201).end('{"Id":"abc","Warnings":["beware"]}'),
  'POST /containers/abc/wait': (_request, response) => {
    response.writeHead(200).flushHeaders();
    setTimeout(() => response.end('{"StatusCode":7}'), 50);
  },
  'POST /containers/abc/start': (_request, response) => {
    const { status, message } = startAnswer;
    response.writeHead(status).end(status < 300 ? undefined : JSON.stringify({ message }));
  },
  'GET /containers/json': (_request, response) => response.end(JSON.stringify(listed)),
  'POST /containers/web/stop': (_request, response) => response.writeHead(204).end(),
  'POST /containers/web/exec': (_request, response) => response.writeHead(201).end('{"Id":"ex"}'),
  'GET /exec/ex/json': (_request, response) => response.end('{"Running":false,"ExitCode":3}'),
  'POST /holm/images/from-debian': (_request, response) =>
    response.end('{"id":"bookworm","status":"Retrieving"}\n{"image":"sha256:00"}\n'),
};

before(async () => {
  server = createServer((request, response) => {
    const path = request.url!.split('?')[0]!;
    asked.push(`${request.method} ${request.url}`);
    request.resume().on('end', () => {
      const answer = answers[`${request.method} ${path}`];
      if (answer === undefined) response.writeHead(404).end(`{"message":"No such container: ${path.split('/')[2]}"}`);
      else answer(request, response);
    });
  });
  server.on('upgrade', (request, stream: Socket) => {
    asked.push(`${request.method} ${request.url}`);
    stream.write('HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n');
    attachedInput = '';
    stream.on('data', (chunk) => {
      attachedInput += chunk.toString();
    });
    stream.on('error', () => undefined);
    setTimeout(() => stream.end(Buffer.concat([frame(1, 'out\n'), frame(2, 'err\n')])), 150);
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
});
after(() => {
  server.closeAllConnections();
  server.close();
  rmSync(directory, { recursive: true });
});

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function holm(args: readonly string[], input = ''): Promise<Ended> {
  asked.length = 0;
  const env = { PATH: process.env.PATH, HOME: directory, DOCKER_HOST: `unix://${socket}` };
  const child = spawn(program, [...args], { env, stdio: 'pipe' });
  const texts = { out: '', err: '' };
  child.stdout.on('data', (chunk) => {
    texts.out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    texts.err += chunk;
  });
  child.stdin.on('error', () => undefined).end(input);
  return new Promise((resolve, reject) => child.on('error', reject).on('close', (code) => resolve({ code, ...texts })));
}

test("run asks in docker's order, parts the streams, gives the exit code", async () => {
  const { code, out, err } = await holm(['run', '--rm', 'debian', 'true']);
  assert.deepEqual([code, out, err], [7, 'out\n', 'WARNING: beware\nerr\n']);
  assert.deepEqual(asked, [
    'POST /containers/create',
    'POST /containers/abc/attach?stream=1&stdout=1&stderr=1',
    'POST /containers/abc/wait?condition=removed',
    'POST /containers/abc/start',
  ]);
});

test('run -i sends the input', async () => {
  assert.equal((await holm(['run', '-i', 'debian', 'cat'], 'typed\n')).code, 7);
  assert.equal(attachedInput, 'typed\n');
});

test("exit codes are docker's", async () => {
  const cases: [string[], string, number, RegExp][] = [
    [
      ['run', 'debian', 'nosuch'],
      'exec: "nosuch": executable file not found in $PATH',
      127,
      /executable file not found/,
    ],
    [['run', 'debian', '/etc'], 'exec: "/etc": permission denied', 126, /^holm: Error response from daemon/m],
    [['run', 'debian', 'x'], 'no space left on device', 125, /Run 'holm run --help' for more information/],
    [['run', '--nosuch', 'debian'], '', 125, /^unknown flag: --nosuch/],
    [['run'], '', 1, /'holm run' requires at least 1 argument/],
    [['nosuch'], '', 1, /unknown command: holm nosuch/],
    [['rm', 'none'], '', 1, /^Error response from daemon: No such container: none$/m],
  ];
  for (const [args, message, code, err] of cases) {
    startAnswer = { status: 400, message };
    const ended = await holm(args);
    assert.equal(ended.code, code, args.join(' '));
    assert.match(ended.err, err);
  }
  startAnswer = { status: 204, message: '' };
});

test('what commands print', async () => {
  const cases: [string[], number, string][] = [
    [['run', '-d', 'debian'], 0, 'abc\n'],
    [['stop', 'web', 'none'], 1, 'web\n'],
    [['exec', 'web', 'true'], 3, 'out\n'],
    [['ps', '-q'], 0, '0123456789ab\n'],
    [['ps', '--format', '{{.Names}}: {{.Status}}'], 0, 'web: Up 3 minutes\n'],
    [['container', 'ls', '--no-trunc', '-q'], 0, `${listed[0]!.Id}\n`],
    [['image', 'from-debian', 'bookworm', '--include', 'curl,jq'], 0, 'sha256:00\nTagged: debian:bookworm\n'],
    [['image', 'from-debian', '-q', 'bookworm', '-t', 'mine'], 0, 'sha256:00\n'],
  ];
  for (const [args, code, out] of cases) {
    const ended = await holm(args);
    assert.deepEqual([ended.code, ended.out], [code, out], args.join(' '));
  }
  assert.deepEqual(asked, ['POST /holm/images/from-debian?suite=bookworm&tag=mine']);
  const machine = await holm(['image', 'from-debian', 'trixie', '--arch', 'riscv64', '--kernel', '--init', 'none']);
  assert.equal(machine.out, 'sha256:00\nTagged: debian:trixie-riscv64\n');
  const query = 'suite=trixie&tag=debian%3Atrixie-riscv64&arch=riscv64&init=none&kernel=1';
  assert.deepEqual(asked, [`POST /holm/images/from-debian?${query}`]);
});

test('help stands where docker has it', async () => {
  const cases: [string[], RegExp][] = [
    [[], /^Usage: {2}holm \[OPTIONS\] COMMAND/],
    [['--help'], /Management Commands:/],
    [['help', 'volume', 'ls'], /^Usage: {2}holm volume ls \[OPTIONS\]/],
    [['container'], /^Usage: {2}holm container COMMAND/],
    [['run', '--help'], /--cpuset-cpus string/],
    [['--version'], /^holm version \d+\.\d+\.\d+\n$/],
  ];
  for (const [args, out] of cases) {
    const ended = await holm(args);
    assert.equal(ended.code, 0, args.join(' '));
    assert.match(ended.out, out);
  }
});
