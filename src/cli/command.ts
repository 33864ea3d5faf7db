// What a command is: a row of the table that help, completion, docs/holm.md and the parser all come from.
import type { Client } from './client.ts';
import type { FlagValues } from './parse.ts';

/** How a flag's value is written. A bool needs none; a list may be given many times. */
export type FlagType = 'bool' | 'string' | 'int' | 'bytes' | 'duration' | 'decimal' | 'list';

/** What the shell offers for a value or an argument. */
export type Completion =
  | 'container'
  | 'running'
  | 'image'
  | 'volume'
  | 'network'
  | 'file'
  | 'command'
  | readonly string[];

export interface Flag {
  /** The long name; the short one, a single letter, stands before it: "i, interactive". */
  readonly name: string;
  readonly short: string;
  readonly type: FlagType;
  readonly sentence: string;
  /** Shown by help; for bool "true" is also what holds. */
  readonly default?: string;
  /** Older spellings, not shown. */
  readonly aliases?: readonly string[];
  readonly complete?: Completion;
  /** Says what is wrong with a value, or undefined: checked while parsing, as docker does. */
  readonly check?: (value: string) => string | undefined;
}

export interface Command {
  /** As shown: "run", "volume create". */
  readonly name: string;
  /** Other ways to write it: "container run". */
  readonly aliases: readonly string[];
  /** As docker writes them: "CONTAINER [CONTAINER...]". Empty for none. */
  readonly arguments: string;
  readonly sentence: string;
  readonly flags: readonly Flag[];
  readonly complete?: Completion;
  /** Everything after the first argument belongs to the guest's program. */
  readonly flagsFirst?: boolean;
  readonly load: () => Promise<Handler>;
}

/** Carries a command out; gives the exit code. */
export type Handler = (invocation: Invocation) => Promise<number>;

export interface Invocation {
  readonly command: Command;
  readonly flags: FlagValues;
  readonly positionals: readonly string[];
  /** The address of holmd. */
  readonly host: string;
  /** Connects when first asked something. */
  readonly client: Client;
}

/** A flag from its row: "i, interactive" or "name". */
export function flag(
  names: string,
  type: FlagType,
  sentence: string,
  more: Pick<Flag, 'default' | 'aliases' | 'complete' | 'check'> = {},
): Flag {
  const at = names.indexOf(', ');
  return {
    name: at < 0 ? names : names.slice(at + 2),
    short: at < 0 ? '' : names.slice(0, at),
    type,
    sentence,
    ...more,
  };
}

/** How many arguments a command takes, read from how they are written: "CONTAINER [CONTAINER...]" takes one or more. */
export function argumentRange(command: Command): { least: number; most: number } {
  let least = 0;
  let most = 0;
  for (const word of command.arguments.match(/\[(?:[^[\]]|\[[^\]]*\])*\]|\S+/g) ?? []) {
    if (!word.startsWith('[')) least++;
    most += word.includes('...') || word.includes('OPTIONS') ? Number.POSITIVE_INFINITY : 1;
  }
  return { least, most };
}

/** "Usage:  holm run [OPTIONS] IMAGE [COMMAND] [ARG...]". */
export function usageOf(command: Command): string {
  const options = command.flags.length > 0 ? ' [OPTIONS]' : '';
  return `Usage:  holm ${command.name}${options}${command.arguments === '' ? '' : ` ${command.arguments}`}`;
}
