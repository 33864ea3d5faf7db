// `holm`: finds the command in the table, reads its flags, loads its handler and leaves with its exit code. Everything that is
// not needed for that is imported when it is needed: a start costs little more than Node's own.
import { HolmError, hasCode, messageOf } from '../base/error.ts';
import { Client } from './client.ts';
import { type Command, type Invocation, usageOf } from './command.ts';
import { checkArguments, type Parsed, parseArguments } from './parse.ts';
import { findCommand, groups } from './table.ts';

const defaultHost = 'unix:///run/holm/holm.sock';

interface GlobalFlags {
  readonly host: string;
  readonly rest: readonly string[];
  readonly wants: 'help' | 'version' | undefined;
}

async function main(args: readonly string[]): Promise<number> {
  const { host, rest, wants } = readGlobalFlags(args);
  if (wants === 'version') return showVersion();
  const found = findCommand(rest);
  if (wants === 'help' || found === undefined) return showOverview(rest);
  return runCommand(found.command, found.rest, host);
}

async function runCommand(command: Command, args: readonly string[], host: string): Promise<number> {
  const parsed = parseOrComplain(command, args);
  if (typeof parsed === 'number') return parsed;
  if (parsed.wantsHelp) {
    const { formatCommandHelp } = await import('./help.ts');
    process.stdout.write(formatCommandHelp(command));
    return 0;
  }
  const invocation: Invocation = {
    command,
    flags: parsed.flags,
    positionals: parsed.positionals,
    host,
    get client() {
      return new Client(host);
    },
  };
  const handle = await command.load();
  try {
    return await handle(invocation);
  } catch (error) {
    return complain(command, error);
  }
}

/** The flags before the command's name. */
function readGlobalFlags(args: readonly string[]): GlobalFlags {
  let host = process.env.DOCKER_HOST || defaultHost;
  let at = 0;
  for (; at < args.length && args[at]!.startsWith('-'); at++) {
    const arg = args[at]!;
    if (arg === '--help' || arg === '-h') return { host, rest: args.slice(at + 1), wants: 'help' };
    if (arg === '--version' || arg === '-v') return { host, rest: [], wants: 'version' };
    const joined = /^(?:--host=|-H=?)(.+)$/.exec(arg)?.[1];
    if (joined !== undefined) host = joined;
    else if ((arg === '-H' || arg === '--host') && args[at + 1] !== undefined) host = args[++at]!;
    else throw new HolmError('invalid', `unknown flag: ${arg}\nRun 'holm --help' for more information`);
  }
  return { host, rest: args.slice(at), wants: undefined };
}

function parseOrComplain(command: Command, args: readonly string[]): Parsed | number {
  const help = `\n\n${usageOf(command)}\n\nRun 'holm ${command.name} --help' for more information\n`;
  let parsed: Parsed;
  try {
    parsed = parseArguments(command, args);
  } catch (error) {
    process.stderr.write(`${messageOf(error)}${help}`);
    return 125;
  }
  try {
    if (!parsed.wantsHelp) checkArguments(command, parsed.positionals.length);
    return parsed;
  } catch (error) {
    process.stderr.write(`holm: ${messageOf(error)}${help}`);
    return 1;
  }
}

/** `run` tells its own failure from the guest's: 125, or 126 and 127 for a program that cannot be run. */
function complain(command: Command, error: unknown): number {
  if (!['run', 'create'].includes(command.name)) {
    process.stderr.write(`${error instanceof HolmError ? messageOf(error) : describe(error)}\n`);
    return 1;
  }
  const text = messageOf(error);
  process.stderr.write(`holm: ${text}\n\nRun 'holm ${command.name} --help' for more information\n`);
  if (command.name === 'create') return 1;
  if (/executable file not found|no such file or directory/i.test(text)) return 127;
  return /permission denied|is a directory/i.test(text) ? 126 : 125;
}

/** An error that nobody foresaw: with its stack when HOLM_DEBUG is set. */
function describe(error: unknown): string {
  return process.env.HOLM_DEBUG !== undefined && error instanceof Error
    ? (error.stack ?? error.message)
    : messageOf(error);
}

async function showOverview(words: readonly string[]): Promise<number> {
  const { formatGroupHelp, formatOverview } = await import('./help.ts');
  const group = words[0] ?? '';
  const wrong = words.find(
    (word) => !word.startsWith('-') && word !== 'help' && (word !== group || groups[word] === undefined),
  );
  if (wrong !== undefined) {
    const found = findCommand(words);
    if (found !== undefined) return runCommand(found.command, ['--help'], defaultHost);
    process.stderr.write(`holm: unknown command: holm ${words.join(' ')}\n\nRun 'holm --help' for more information\n`);
    return 1;
  }
  process.stdout.write(groups[group] === undefined ? formatOverview() : formatGroupHelp(group));
  return 0;
}

async function showVersion(): Promise<number> {
  const { ownVersion } = await import('./version.ts');
  process.stdout.write(`holm version ${ownVersion()}\n`);
  return 0;
}

process.stdout.on('error', (error) => {
  // The reader of our output has gone, as with `holm logs web | head`.
  process.exit(hasCode(error, 'EPIPE') ? 0 : 1);
});
main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`holm: ${messageOf(error)}\n`);
    process.exit(125);
  },
);
