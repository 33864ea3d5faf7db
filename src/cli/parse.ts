// Reads a command line as docker's clients do: -it, -e A=1, -eA=1, -e=A=1, --name web, --name=web, --rm=false, "--" ends the flags.
// A command with `flagsFirst` takes no flags after its first argument.
import { HolmError } from '../base/error.ts';
import { parseBytes } from '../base/units.ts';
import { argumentRange, type Command, type Flag } from './command.ts';
import { parseDuration } from './format/duration.ts';

/** The flags of one command line. Asking for a flag that the command does not have is a programming error. */
export class FlagValues {
  readonly #flags: ReadonlyMap<string, Flag>;
  readonly #given = new Map<string, string[]>();

  constructor(flags: readonly Flag[]) {
    this.#flags = new Map(flags.map((flag) => [flag.name, flag]));
  }

  set(flag: Flag, value: string): void {
    const before = this.#given.get(flag.name);
    if (flag.type === 'list' && before !== undefined) before.push(value);
    else this.#given.set(flag.name, [value]);
  }

  has(name: string): boolean {
    this.#flag(name);
    return this.#given.has(name);
  }

  /** The text given, else the default, else ''. */
  text(name: string): string {
    return this.#given.get(name)?.[0] ?? this.#flag(name).default ?? '';
  }

  bool(name: string): boolean {
    return parseBool(this.text(name)) ?? false;
  }

  /** A whole number, or what is given for an absent flag. */
  int(name: string, absent = 0): number {
    return this.has(name) ? Number(this.text(name)) : absent;
  }

  bytes(name: string): number {
    return this.has(name) ? parseSignedBytes(this.text(name)) : 0;
  }

  nanos(name: string): number {
    return this.has(name) ? parseDuration(this.text(name))! : 0;
  }

  list(name: string): readonly string[] {
    this.#flag(name);
    return this.#given.get(name) ?? [];
  }

  #flag(name: string): Flag {
    const flag = this.#flags.get(name);
    if (flag === undefined) throw new HolmError('internal', `Cannot read flag "${name}": the command does not have it`);
    return flag;
  }
}

export interface Parsed {
  readonly flags: FlagValues;
  readonly positionals: readonly string[];
  readonly wantsHelp: boolean;
}

/** Reads the arguments after the command's name; throws `invalid` in docker's words. */
export function parseArguments(command: Command, args: readonly string[]): Parsed {
  const flags = new FlagValues(command.flags);
  const positionals: string[] = [];
  let wantsHelp = false;
  for (let at = 0; at < args.length; at++) {
    const arg = args[at]!;
    if (arg === '--') {
      positionals.push(...args.slice(at + 1));
      break;
    }
    if (arg.length < 2 || !arg.startsWith('-')) {
      positionals.push(arg);
      if (!command.flagsFirst) continue;
      positionals.push(...args.slice(at + 1));
      break;
    }
    if (arg === '--help' || (arg === '-h' && !command.flags.some((flag) => flag.short === 'h'))) wantsHelp = true;
    else
      at += arg.startsWith('--')
        ? readLong(command, flags, arg, args[at + 1])
        : readShort(command, flags, arg, args[at + 1]);
  }
  return { flags, positionals, wantsHelp };
}

/** Throws `invalid` when there are too few or too many arguments, in docker's words. */
export function checkArguments(command: Command, count: number): void {
  const { least, most } = argumentRange(command);
  if (count >= least && count <= most) return;
  const name = `'holm ${command.name}'`;
  const plural = (n: number) => `${n} argument${n === 1 ? '' : 's'}`;
  if (most === 0) throw new HolmError('invalid', `${name} accepts no arguments`);
  if (least === most) throw new HolmError('invalid', `${name} requires ${plural(least)}`);
  if (count < least) throw new HolmError('invalid', `${name} requires at least ${plural(least)}`);
  throw new HolmError('invalid', `${name} requires at most ${plural(most)}`);
}

/** Gives how many further arguments were used up: 0 or 1. */
function readLong(command: Command, flags: FlagValues, arg: string, next: string | undefined): number {
  const equals = arg.indexOf('=');
  const name = arg.slice(2, equals < 0 ? undefined : equals);
  const flag = command.flags.find((one) => one.name === name || one.aliases?.includes(name));
  if (flag === undefined) throw new HolmError('invalid', `unknown flag: --${name}`);
  if (equals >= 0) return store(flags, flag, arg.slice(equals + 1), 0);
  if (flag.type === 'bool') return store(flags, flag, 'true', 0);
  if (next === undefined) throw new HolmError('invalid', `flag needs an argument: --${name}`);
  return store(flags, flag, next, 1);
}

function readShort(command: Command, flags: FlagValues, arg: string, next: string | undefined): number {
  for (let at = 1; at < arg.length; at++) {
    const letter = arg[at]!;
    const flag = command.flags.find((one) => one.short === letter);
    if (flag === undefined) throw new HolmError('invalid', `unknown shorthand flag: '${letter}' in ${arg}`);
    const rest = arg.slice(at + 1);
    if (rest.startsWith('=')) return store(flags, flag, rest.slice(1), 0);
    if (flag.type === 'bool') {
      store(flags, flag, 'true', 0);
      continue;
    }
    if (rest !== '') return store(flags, flag, rest, 0);
    if (next === undefined) throw new HolmError('invalid', `flag needs an argument: '${letter}' in ${arg}`);
    return store(flags, flag, next, 1);
  }
  return 0;
}

function store(flags: FlagValues, flag: Flag, value: string, used: number): number {
  const wrong = checkType(flag, value) ?? flag.check?.(value);
  if (wrong !== undefined) {
    const shown = flag.short === '' ? `--${flag.name}` : `-${flag.short}, --${flag.name}`;
    throw new HolmError('invalid', `invalid argument "${value}" for "${shown}" flag: ${wrong}`);
  }
  flags.set(flag, value);
  return used;
}

function checkType(flag: Flag, value: string): string | undefined {
  if (flag.type === 'bool') return parseBool(value) === undefined ? 'not true or false' : undefined;
  if (flag.type === 'int') return /^[+-]?\d+$/.test(value) ? undefined : 'not a whole number';
  if (flag.type === 'bytes') return Number.isNaN(parseSignedBytes(value)) ? `invalid size: '${value}'` : undefined;
  if (flag.type === 'duration') return parseDuration(value) === undefined ? `invalid duration "${value}"` : undefined;
  if (flag.type === 'decimal') {
    if (!/^\d*\.?\d+$|^\d+\.$/.test(value)) return 'not a decimal number';
    return /\.\d{10,}/.test(value) ? 'value is too precise' : undefined;
  }
  return undefined;
}

function parseBool(text: string): boolean | undefined {
  if (['1', 't', 'T', 'true', 'TRUE', 'True'].includes(text)) return true;
  return ['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(text) ? false : undefined;
}

/** Bytes with a unit, or -1 for no limit; NaN when the text is neither. */
function parseSignedBytes(text: string): number {
  if (text === '-1') return -1;
  try {
    return parseBytes(text);
  } catch {
    return Number.NaN;
  }
}
