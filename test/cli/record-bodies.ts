// Records what the docker client on PATH sends for each line of run-lines.ts into run-bodies.jsonl: `node test/cli/record-bodies.ts`.
// Run it when a line is added, or for a newer client. Of each body only what differs from the first line's is kept; of a line
// that the client itself refuses, its message.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { environment, runLines, writeFiles } from './run-lines.ts';

type Fields = Record<string, unknown>;

const directory = mkdtempSync(join(tmpdir(), 'holm-record-'));
const socket = join(directory, 'docker.sock');
let seen: { query: string; body: Fields } | undefined;

const server = createServer((request, response) => {
  let text = '';
  request.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  request.on('end', () => {
    response
      .setHeader('Api-Version', '1.50')
      .setHeader('Ostype', 'linux')
      .setHeader('Content-Type', 'application/json');
    if (request.url?.includes('/containers/create'))
      seen = { query: new URL(request.url, 'http://holm').search, body: JSON.parse(text) as Fields };
    if (request.url?.endsWith('/_ping')) response.end('OK');
    else response.writeHead(500).end('{"message":"recorded"}');
  });
});

async function runDocker(line: readonly string[]): Promise<string> {
  const child = spawn('docker', ['run', ...line], {
    cwd: directory,
    env: { PATH: process.env.PATH, HOME: directory, DOCKER_HOST: `unix://${socket}`, ...environment },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  await new Promise((resolve, reject) => child.on('close', resolve).on('error', reject));
  return errors;
}

function differences(first: Fields, body: Fields): Fields {
  const changed = (a: Fields, b: Fields) =>
    Object.fromEntries(Object.entries(b).filter(([key, value]) => JSON.stringify(value) !== JSON.stringify(a[key])));
  const hostConfig = changed(first.HostConfig as Fields, body.HostConfig as Fields);
  return { ...changed(first, body), ...(Object.keys(hostConfig).length === 0 ? {} : { HostConfig: hostConfig }) };
}

try {
  writeFiles(directory);
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  const recorded: object[] = [];
  let first: Fields | undefined;
  for (const line of runLines) {
    seen = undefined;
    const errors = await runDocker(line);
    const { query, body } = (seen ?? { query: '', body: undefined }) as { query: string; body: Fields | undefined };
    first ??= body;
    if (body === undefined || first === undefined) recorded.push({ line, refused: errors.split('\n')[0] ?? '' });
    else recorded.push({ line, query, body: first === body ? body : differences(first, body) });
  }
  const text = recorded.map((row) => `${JSON.stringify(row)}\n`).join('');
  writeFileSync(new URL('run-bodies.jsonl', import.meta.url), text);
} finally {
  server.close();
  rmSync(directory, { recursive: true, force: true });
}
