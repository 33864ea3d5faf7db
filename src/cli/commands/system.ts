// `holm info` and `holm version`.
import { messageOf } from '../../base/error.ts';
import type { Invocation } from '../command.ts';
import { compileTemplate } from '../format/template.ts';
import { ownVersion } from '../version.ts';

type Info = Readonly<Record<string, unknown>>;

/** Lines of `holm info`: heading and field, or how to compute it. */
const infoLines: readonly (readonly [string, (info: Info) => unknown])[] = [
  ['Containers', (info) => info.Containers],
  [' Running', (info) => info.ContainersRunning],
  [' Paused', (info) => info.ContainersPaused],
  [' Stopped', (info) => info.ContainersStopped],
  ['Images', (info) => info.Images],
  ['Server Version', (info) => info.ServerVersion],
  ['Storage Driver', (info) => info.Driver],
  ['Logging Driver', (info) => info.LoggingDriver],
  ['Cgroup Driver', (info) => info.CgroupDriver],
  ['Cgroup Version', (info) => info.CgroupVersion],
  ['Runtimes', (info) => Object.keys((info.Runtimes as object | null) ?? {}).join(' ')],
  ['Default Runtime', (info) => info.DefaultRuntime],
  ['Security Options', (info) => ((info.SecurityOptions as string[] | null) ?? []).map(securityOption).join('')],
  ['Kernel Version', (info) => info.KernelVersion],
  ['Operating System', (info) => info.OperatingSystem],
  ['OSType', (info) => info.OSType],
  ['Architecture', (info) => info.Architecture],
  ['CPUs', (info) => info.NCPU],
  ['Total Memory', (info) => formatMemory(Number(info.MemTotal ?? 0))],
  ['Name', (info) => info.Name],
  ['ID', (info) => info.ID],
  ['Docker Root Dir', (info) => info.DockerRootDir],
  ['Debug Mode', (info) => info.Debug],
  ['Labels', (info) => ((info.Labels as string[] | null) ?? []).map((label) => `\n  ${label}`).join('')],
];

export async function info({ flags, client }: Invocation): Promise<number> {
  const format = flags.text('format');
  const answer = await client.json<Info>('GET', '/info');
  if (format === 'json') process.stdout.write(`${JSON.stringify(answer)}\n`);
  else if (format !== '') process.stdout.write(`${compileTemplate(format)(answer)}\n`);
  else {
    const lines = infoLines.flatMap(([heading, read]) => {
      const value = read(answer);
      return value === undefined || value === null || value === '' ? [] : [` ${heading}: ${value}\n`];
    });
    const warnings = ((answer.Warnings as string[] | null) ?? []).map((warning) => `${warning}\n`);
    process.stdout.write(`Client:\n Version: ${ownVersion()}\n\nServer:\n${lines.join('')}`);
    process.stderr.write(warnings.join(''));
  }
  return 0;
}

/** The client's version is known even when holmd does not answer; then the exit code is 1. */
export async function version({ flags, client }: Invocation): Promise<number> {
  const format = flags.text('format');
  const own = { Version: ownVersion(), NodeVersion: process.version, Os: process.platform, Arch: process.arch };
  let server: Info | null = null;
  let failure = '';
  try {
    server = await client.json<Info>('GET', '/version');
  } catch (error) {
    failure = messageOf(error);
  }
  if (format === 'json') process.stdout.write(`${JSON.stringify({ Client: own, Server: server })}\n`);
  else if (format !== '') process.stdout.write(`${compileTemplate(format)({ Client: own, Server: server })}\n`);
  else {
    process.stdout.write(`Client: holm\n${lines({ ...own, 'OS/Arch': `${own.Os}/${own.Arch}` })}`);
    if (server !== null)
      process.stdout.write(`\nServer: holmd\n${lines({ ...server, 'OS/Arch': `${server.Os}/${server.Arch}` })}`);
  }
  if (failure !== '') process.stderr.write(`${failure}\n`);
  return failure === '' ? 0 : 1;
}

const versionNames: Readonly<Record<string, string>> = {
  Version: 'Version',
  ApiVersion: 'API version',
  MinAPIVersion: 'Minimum API version',
  NodeVersion: 'Node version',
  KernelVersion: 'Kernel version',
  'OS/Arch': 'OS/Arch',
  BuildTime: 'Built',
};

function lines(values: Info): string {
  return Object.entries(versionNames)
    .filter(([field]) => values[field] !== undefined && values[field] !== '')
    .map(([field, name]) => ` ${`${name}:`.padEnd(22)}${values[field]}\n`)
    .join('');
}

/** "name=seccomp,profile=builtin" on lines of its own. */
function securityOption(text: string): string {
  const fields = Object.fromEntries(text.split(',').map((field) => field.split('=') as [string, string]));
  const { name = text, ...rest } = fields;
  return `\n  ${name}${Object.entries(rest)
    .map(([key, value]) => `\n   ${key}: ${value}`)
    .join('')}`;
}

function formatMemory(bytes: number): string {
  return `${Number((bytes / 1024 ** 3).toPrecision(4))}GiB`;
}
