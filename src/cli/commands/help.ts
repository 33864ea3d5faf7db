// `holm help` and `holm completion`.
import { HolmError } from '../../base/error.ts';
import type { Invocation } from '../command.ts';
import { shells } from '../completion.ts';
import { formatCommandHelp, formatGroupHelp, formatManual, formatOverview } from '../help.ts';
import { findCommand, groups } from '../table.ts';

export async function help({ flags, positionals }: Invocation): Promise<number> {
  process.stdout.write(flags.bool('markdown') ? formatManual() : helpOn(positionals));
  return 0;
}

function helpOn(words: readonly string[]): string {
  const [first] = words;
  if (first === undefined) return formatOverview();
  if (groups[first] !== undefined && words.length === 1) return formatGroupHelp(first);
  const found = findCommand(words);
  if (found === undefined) throw new HolmError('notFound', `unknown help topic: ${words.join(' ')}`);
  return formatCommandHelp(found.command);
}

export async function completion({ positionals }: Invocation): Promise<number> {
  const format = shells[positionals[0]!];
  if (format === undefined)
    throw new HolmError(
      'invalid',
      `Cannot complete for shell "${positionals[0]}": must be one of ${Object.keys(shells).join(', ')}`,
    );
  process.stdout.write(format());
  return 0;
}
