// Dockerfile instructions that change what an image says of its guests: for import and commit with --change, and for builds.
// One row an instruction.
import { posix } from 'node:path';
import { HolmError } from '../base/error.ts';
import type { ImageDefaults } from './image.ts';
import { expandWord, parsePairs, splitWords, type Variables } from './words.ts';

interface Draft {
  defaults: ImageDefaults;
  commandSet: boolean;
}
type Change = (draft: Draft, text: string, variables: Variables) => Partial<ImageDefaults>;

const changes: Readonly<Record<string, Change>> = {
  CMD: (draft, text) => {
    draft.commandSet = true;
    return { command: parseCommand(text, draft.defaults) };
  },
  ENTRYPOINT: (draft, text) => {
    if (!draft.commandSet) draft.defaults = without(draft.defaults, 'command');
    return { entrypoint: parseCommand(text, draft.defaults) };
  },
  ENV: ({ defaults }, text, variables) => ({
    environment: parsePairs('ENV', text, variables).reduce(
      (environment, { name, value }) => setVariable(environment, name, value),
      defaults.environment,
    ),
  }),
  EXPOSE: ({ defaults }, text, variables) => ({
    exposedPorts: union(
      defaults.exposedPorts,
      splitWords(text).flatMap((word) => parsePorts(expandWord(word, variables))),
    ),
  }),
  HEALTHCHECK: (_, text) => ({ healthcheck: parseHealthcheck(text) }),
  LABEL: ({ defaults }, text, variables) => ({
    labels: {
      ...defaults.labels,
      ...Object.fromEntries(parsePairs('LABEL', text, variables).map(({ name, value }) => [name, value])),
    },
  }),
  ONBUILD: ({ defaults }, text) => {
    const [trigger] = /^\S+/.exec(text) ?? [''];
    if (/^(?:ONBUILD|FROM|MAINTAINER)$/i.test(trigger))
      throw new HolmError('invalid', `${trigger.toUpperCase()} isn't allowed as an ONBUILD trigger`);
    return { onBuild: [...(defaults.onBuild ?? []), text] };
  },
  SHELL: (_, text) => {
    const shell = parseJsonWords(text);
    if (shell === undefined) throw new HolmError('invalid', 'SHELL requires the arguments to be in JSON form');
    return { shell };
  },
  STOPSIGNAL: (_, text, variables) => {
    const signal = expandWord(text, variables);
    if (!/^(?:SIG)?[A-Z][A-Z0-9+-]*$|^\d{1,2}$/.test(signal))
      throw new HolmError('invalid', `invalid signal: ${signal}`);
    return { stopSignal: signal };
  },
  USER: (_, text, variables) => ({ user: expandWord(text, variables) }),
  VOLUME: ({ defaults }, text, variables) => ({
    volumes: union(
      defaults.volumes,
      (parseJsonWords(text) ?? splitWords(text)).map((word) => expandWord(word, variables)),
    ),
  }),
  WORKDIR: ({ defaults }, text, variables) => ({
    workingDirectory: posix.resolve('/', defaults.workingDirectory, expandWord(text, variables)),
  }),
};

/** What the image says after these instructions. Throws `invalid` naming the one that cannot be read. */
export function applyChanges(defaults: ImageDefaults, lines: readonly string[]): ImageDefaults {
  const draft: Draft = { defaults, commandSet: false };
  for (const line of lines.flatMap((text) => text.replaceAll(/\\[ \t]*\n/g, '').split('\n'))) {
    const [, name, text] = /^\s*(\S+)\s*(.*?)\s*$/s.exec(line) ?? [];
    if (name === undefined || name.startsWith('#')) continue;
    const change = Object.hasOwn(changes, name.toUpperCase()) ? changes[name.toUpperCase()] : undefined;
    if (change === undefined) throw new HolmError('invalid', `${name.toUpperCase()} is not a valid change command`);
    if (text === undefined || text === '')
      throw new HolmError('invalid', `${name.toUpperCase()} requires at least one argument`);
    const variables = new Map(draft.defaults.environment.map((entry) => splitVariable(entry)));
    const changed = change(draft, text, variables);
    draft.defaults = { ...draft.defaults, ...changed };
  }
  return draft.defaults;
}

/** The environment with the variable set in its place, or at the end. */
export function setVariable(environment: readonly string[], name: string, value: string): readonly string[] {
  const entry = `${name}=${value}`;
  const at = environment.findIndex((one) => splitVariable(one)[0] === name);
  return at < 0 ? [...environment, entry] : environment.with(at, entry);
}

function splitVariable(entry: string): [string, string] {
  const equals = entry.indexOf('=');
  return equals < 0 ? [entry, ''] : [entry.slice(0, equals), entry.slice(equals + 1)];
}

/** The JSON form ["a", "b"], or a line for the shell. */
function parseCommand(text: string, defaults: ImageDefaults): readonly string[] {
  return parseJsonWords(text) ?? [...(defaults.shell ?? ['/bin/sh', '-c']), text];
}

function parseJsonWords(text: string): readonly string[] | undefined {
  if (!text.startsWith('[')) return undefined;
  try {
    const words: unknown = JSON.parse(text);
    return Array.isArray(words) && words.every((word) => typeof word === 'string') ? words : undefined;
  } catch {
    return undefined; // a command line that begins with "[", the shell's test
  }
}

function parsePorts(text: string): readonly string[] {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp|sctp))?$/i.exec(text);
  const first = Number(match?.[1]);
  const last = Number(match?.[2] ?? first);
  if (match === null || first < 1 || last > 65535 || last < first)
    throw new HolmError('invalid', `invalid containerPort: ${text}`);
  const protocol = (match[3] ?? 'tcp').toLowerCase();
  return Array.from({ length: last - first + 1 }, (_, at) => `${first + at}/${protocol}`);
}

const healthOptions: Readonly<Record<string, keyof NonNullable<ImageDefaults['healthcheck']>>> = {
  interval: 'intervalNanos',
  timeout: 'timeoutNanos',
  'start-period': 'startPeriodNanos',
  'start-interval': 'startIntervalNanos',
  retries: 'retries',
};

function parseHealthcheck(text: string): NonNullable<ImageDefaults['healthcheck']> {
  const options: Record<string, number> = {};
  let rest = text;
  for (let match = /^--([a-z-]+)=(\S+)\s*/.exec(rest); match !== null; match = /^--([a-z-]+)=(\S+)\s*/.exec(rest)) {
    const key = healthOptions[match[1]!];
    if (key === undefined) throw new HolmError('invalid', `unknown flag: --${match[1]}`);
    options[key] = key === 'retries' ? Number.parseInt(match[2]!, 10) : parseDuration(match[2]!);
    rest = rest.slice(match[0].length);
  }
  if (/^NONE$/i.test(rest.trim())) return { test: ['NONE'] };
  const command = /^CMD\s+(.+)$/is.exec(rest)?.[1];
  if (command === undefined) throw new HolmError('invalid', `Unknown type "${rest}" in HEALTHCHECK (try CMD)`);
  const words = parseJsonWords(command);
  return { test: words === undefined ? ['CMD-SHELL', command] : ['CMD', ...words], ...options };
}

const nanosOf: Readonly<Record<string, number>> = { ns: 1, us: 1e3, µs: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 };

/** Go's durations, such as "1m30s" or "500ms", in nanoseconds. */
function parseDuration(text: string): number {
  if (!/^(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+$/.test(text))
    throw new HolmError('invalid', `time: invalid duration "${text}"`);
  const parts = text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g);
  return parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * nanosOf[unit!]!, 0);
}

function union(one: readonly string[], other: readonly string[]): readonly string[] {
  return [...new Set([...one, ...other])];
}

function without(defaults: ImageDefaults, key: 'command'): ImageDefaults {
  const { [key]: _, ...rest } = defaults;
  return rest;
}
