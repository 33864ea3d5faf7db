// Help texts, all printed from the table of commands.
import { type Command, type Flag, usageOf } from './command.ts';
import { wrap } from './commands/explain.ts';
import { commands, groups } from './table.ts';

const typeNames: Readonly<Record<string, string>> = {
  bool: '',
  string: ' string',
  int: ' int',
  bytes: ' bytes',
  duration: ' duration',
  decimal: ' decimal',
  list: ' list',
};

/** What `holm COMMAND --help` prints. */
export function formatCommandHelp(command: Command, columns: number = process.stdout.columns || 80): string {
  const aliases = command.aliases.map((alias) => `holm ${alias}`);
  const parts = [usageOf(command), command.sentence];
  if (aliases.length > 0) parts.push(`Aliases:\n  ${[...aliases, `holm ${command.name}`].join(', ')}`);
  if (command.flags.length > 0) parts.push(`Options:\n${formatFlags(command.flags, columns)}`);
  return `${parts.join('\n\n')}\n`;
}

function formatFlags(flags: readonly Flag[], columns: number): string {
  const heads = flags.map(
    (flag) => `  ${flag.short === '' ? '    ' : `-${flag.short}, `}--${flag.name}${typeNames[flag.type]}`,
  );
  const width = Math.max(...heads.map((head) => head.length)) + 3;
  return flags
    .map((flag, at) => {
      const lines = wrap(sentenceOf(flag), Math.max(30, Math.min(100, columns) - width));
      return `${heads[at]!.padEnd(width)}${lines.join(`\n${' '.repeat(width)}`)}`;
    })
    .join('\n');
}

/** The sentence, with the default if there is one. */
export function sentenceOf(flag: Flag): string {
  if (flag.default === undefined) return flag.sentence;
  const shown = flag.type === 'string' ? `"${flag.default}"` : flag.default;
  return `${flag.sentence} (default ${shown})`;
}

/** What `holm container` prints: the commands under a first word. */
export function formatGroupHelp(group: string): string {
  const rows = commands.flatMap((command) => {
    const name = [command.name, ...command.aliases].find((one) => one.startsWith(`${group} `));
    return name === undefined ? [] : [[name.slice(group.length + 1), command.sentence] as const];
  });
  rows.sort(([a], [b]) => (a < b ? -1 : 1));
  return `Usage:  holm ${group} COMMAND\n\n${groups[group]}\n\nCommands:\n${formatList(rows)}\n\nRun 'holm ${group} COMMAND --help' for more information on a command.\n`;
}

/** What `holm` alone prints. */
export function formatOverview(): string {
  const single = commands.filter((command) => !command.name.includes(' '));
  const rows = single.map((command) => [command.name, command.sentence] as const);
  const options = [
    ['-H, --host string', 'Socket of the daemon (default: $DOCKER_HOST, else unix:///run/holm/holm.sock)'],
    ['-v, --version', 'Print version information and quit'],
  ] as const;
  return [
    'Usage:  holm [OPTIONS] COMMAND',
    'One engine for containers and virtual machines',
    `Commands:\n${formatList([...rows].sort(([a], [b]) => (a < b ? -1 : 1)))}`,
    `Management Commands:\n${formatList(Object.entries(groups))}`,
    `Global Options:\n${formatList(options)}`,
    "Run 'holm COMMAND --help' for more information on a command.\n",
  ].join('\n\n');
}

function formatList(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length)) + 2;
  return rows.map(([name, sentence]) => `  ${name.padEnd(width)}${sentence}`).join('\n');
}

/** docs/holm.md. */
export function formatManual(): string {
  const sections = [...commands]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((command) => {
      const flags = command.flags.map((flag) => {
        const name = `\`${flag.short === '' ? '' : `-${flag.short}, `}--${flag.name}\``;
        return `| ${name} | ${typeNames[flag.type]!.trim() || 'bool'} | ${sentenceOf(flag).replaceAll('|', '\\|')} |`;
      });
      const table = flags.length === 0 ? '' : `\n| flag | value | |\n|---|---|---|\n${flags.join('\n')}\n`;
      const also =
        command.aliases.length === 0
          ? ''
          : `\n\nAlso: ${command.aliases.map((alias) => `\`holm ${alias}\``).join(', ')}`;
      return `## holm ${command.name}\n${command.sentence}.\n\n    ${usageOf(command).replace('Usage:  ', '')}${also}\n${table}`;
    });
  return `# The command \`holm\`\n\nPrinted from the table of commands (\`src/cli/table.ts\`) by \`holm help --markdown\`; do not edit.\n\n${sections.join('\n')}`;
}
