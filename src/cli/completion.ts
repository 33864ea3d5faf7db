// Completion scripts for bash, zsh and fish. They hold the whole table, so that a press of Tab starts no process; only names of
// containers, images, volumes and networks are asked of holmd.
import type { Command, Completion, Flag } from './command.ts';
import { commands, groups } from './table.ts';

/** Commands that print the names, by kind. */
const listers: Readonly<Record<string, string>> = {
  container: "holm ps -a --format '{{.Names}}'",
  running: "holm ps --format '{{.Names}}'",
  image: "holm images --format '{{.Repository}}:{{.Tag}}'",
  volume: 'holm volume ls -q',
  network: "holm network ls --format '{{.Name}}'",
};

export const shells: Readonly<Record<string, () => string>> = { bash: formatBash, zsh: formatZsh, fish: formatFish };

/** Each way to write a command, with the command. */
const spellings = (): [string, Command][] =>
  commands.flatMap((command) => [command.name, ...command.aliases].map((name): [string, Command] => [name, command]));

const firstWords = (): string[] =>
  [...new Set([...Object.keys(groups), ...spellings().map(([name]) => name.split(' ')[0]!)])].sort();

const secondWords = (group: string): string[] =>
  spellings()
    .filter(([name]) => name.startsWith(`${group} `))
    .map(([name]) => name.slice(group.length + 1))
    .sort();

const spelledFlags = (flag: Flag): string[] => [...(flag.short === '' ? [] : [`-${flag.short}`]), `--${flag.name}`];

/** In both shells "files" stands for the shell's own completion of files. */
function wordOf(complete: Completion | undefined): string {
  if (complete === undefined) return '';
  if (typeof complete === 'object') return `words ${complete.join(' ')}`;
  if (complete === 'file') return 'files';
  return complete === 'command' ? `words ${firstWords().join(' ')}` : complete;
}

/** Cases of a shell's `case` statement: spelling, flags, flags with values, and what completes an argument. */
function formatCases(indent: string): string {
  return spellings()
    .map(([name, command]) => {
      const flags = command.flags.flatMap(spelledFlags).join(' ');
      const valued = command.flags.filter((flag) => flag.type !== 'bool').flatMap(spelledFlags);
      return `${indent}'${name}') flags='${flags} --help' valued=' ${valued.join(' ')} ' what='${wordOf(command.complete)}' first=${command.flagsFirst ? 1 : 0} ;;`;
    })
    .join('\n');
}

/** Cases for the value after a flag: "command|--flag". */
function formatValueCases(indent: string): string {
  const cases = new Map<string, string[]>();
  for (const [name, command] of spellings())
    for (const flag of command.flags)
      if (flag.complete !== undefined)
        for (const spelled of spelledFlags(flag)) {
          const patterns = cases.get(wordOf(flag.complete)) ?? [];
          patterns.push(`'${name} ${spelled}'`);
          cases.set(wordOf(flag.complete), patterns);
        }
  return [...cases].map(([word, patterns]) => `${indent}${patterns.join('|')}) what='${word}' ;;`).join('\n');
}

/** Common to bash and zsh: finds the command in the words before the cursor and sets flags, valued, what and state. */
function formatFinder(): string {
  const groupCases = Object.keys(groups)
    .map((group) => `      ${group}) second='${secondWords(group).join(' ')}' ;;`)
    .join('\n');
  return `  local command='' second='' flags='' valued=' ' what='' first=0 positionals=0 previous='' word
  for word in "$@"; do
    if [ -n "$previous" ] && [ "$valued" != ' ' ] && case "$valued" in *" $previous "*) true ;; *) false ;; esac; then
      previous=''
      continue
    fi
    previous=''
    if [ -z "$command" ]; then
      case "$word" in -*) continue ;; esac
      command="$word"
      case "$word" in
${groupCases}
      esac
      [ -n "$second" ] && continue
    elif [ -n "$second" ]; then
      command="$command $word"
      second=''
    else
      case "$word" in
      -*) previous="$word" ;;
      *) positionals=$((positionals + 1)) ;;
      esac
      continue
    fi
    case "$command" in
${formatCases('    ')}
    esac
  done`;
}

function formatLister(indent: string): string {
  return Object.entries(listers)
    .map(([kind, command]) => `${indent}${kind}) offers="$(${command} 2>/dev/null)" ;;`)
    .join('\n');
}

/** After the finder: what may stand at the cursor, as `offers`, or files. Answers 1 for files. */
function formatChooser(): string {
  return `  local offers=''
  if [ -z "$command" ]; then
    offers='${firstWords().join(' ')}'
    return 0
  fi
  if [ -n "$second" ]; then
    offers="$second"
    return 0
  fi
  if [ -n "$previous" ] && case "$valued" in *" $previous "*) true ;; *) false ;; esac; then
    what=''
    case "$command $previous" in
${formatValueCases('    ')}
    esac
  else
    case "$current" in
    -*)
      [ "$first" = 1 ] && [ "$positionals" -gt 0 ] || offers="$flags"
      return 0
      ;;
    esac
    [ "$first" = 1 ] && [ "$positionals" -gt 0 ] && what=files
  fi
  case "$what" in
  'words '*) offers="\${what#words }" ;;
  files) return 1 ;;
${formatLister('  ')}
  esac`;
}

/** The finder and the chooser as one function of the words before the cursor and $current. */
function formatFunction(): string {
  return `_holm_choose() {
${formatFinder()}
${formatChooser().replace("  local offers=''", "  offers=''")}
}`;
}

function formatBash(): string {
  return `# bash completion of holm: source this file, or put it into /etc/bash_completion.d.
${formatFunction()}

_holm() {
  local offers='' current="\${COMP_WORDS[COMP_CWORD]}"
  if _holm_choose "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; then
    COMPREPLY=($(compgen -W "$offers" -- "$current"))
    declare -F __ltrim_colon_completions >/dev/null && __ltrim_colon_completions "$current"
  else
    COMPREPLY=($(compgen -f -- "$current"))
    compopt -o filenames 2>/dev/null
  fi
  return 0
}
complete -F _holm holm
`;
}

function formatZsh(): string {
  return `#compdef holm
# zsh completion of holm: put it as _holm into a directory of $fpath, or source it after compinit.
${formatFunction()}

_holm() {
  emulate -L zsh -o sh_word_split
  local words_before current="\${words[CURRENT]}"
  words_before=("\${(@)words[2,CURRENT-1]}")
  _holm_complete "$current" "\${words_before[@]}"
}

_holm_complete() {
  local current="$1" offers=''
  shift
  if _holm_choose "$@"; then
    local -a list
    list=(\${=offers})
    compadd -a list
  else
    _files
  fi
}

if [ "$funcstack[1]" = _holm ]; then
  _holm "$@"
else
  compdef _holm holm
fi
`;
}

/** fish keeps the result of a condition, so that each command's is computed once a press of Tab. */
const fishFunctions = `function __holm_is
    set -l words (commandline -opc | string match -v -- '-*')[2..-1]
    set -l name "$words[1]"
    if contains -- "$name" ${Object.keys(groups).join(' ')}
        set name (string join ' ' $words[1..2])
    end
    contains -- "$name" $argv
end`;

function formatFish(): string {
  const quote = (text: string) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
  const offer = (condition: string, more: string) => `complete -c holm -n "${condition}" ${more}`;
  const lines = firstWords().map((word) => {
    const sentence = groups[word] ?? commands.find((one) => one.name === word)?.sentence ?? '';
    return offer("__holm_is ''", `-a ${word} -d ${quote(sentence)}`);
  });
  for (const [name, command] of spellings()) {
    const [group, second] = name.split(' ');
    if (second !== undefined) lines.push(offer(`__holm_is ${group}`, `-a ${second} -d ${quote(command.sentence)}`));
  }
  for (const command of commands) {
    const condition = `__holm_is ${[command.name, ...command.aliases].map((name) => `'${name}'`).join(' ')}`;
    const argument = fishWords(command.complete);
    if (argument !== undefined) lines.push(offer(condition, argument));
    for (const flag of command.flags) {
      const short = flag.short === '' ? '' : ` -s ${flag.short}`;
      const value = flag.type === 'bool' ? '' : ` -r ${fishWords(flag.complete) ?? '-f'}`;
      lines.push(offer(condition, `-l ${flag.name}${short}${value} -d ${quote(flag.sentence)}`));
    }
  }
  const head = '# fish completion of holm: put it as holm.fish into ~/.config/fish/completions.';
  return `${head}\n${fishFunctions}\ncomplete -c holm -f\n${lines.join('\n')}\n`;
}

function fishWords(complete: Completion | undefined): string | undefined {
  if (complete === undefined) return undefined;
  if (typeof complete === 'object') return `-f -a '${complete.join(' ')}'`;
  if (complete === 'file') return '-F';
  return complete === 'command' ? `-f -a '${firstWords().join(' ')}'` : `-f -a "(${listers[complete]} 2>/dev/null)"`;
}
