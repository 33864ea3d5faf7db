import assert from 'node:assert/strict';
import { test } from 'node:test';
import { argumentRange, type Command, flag } from './command.ts';
import { checkArguments, parseArguments } from './parse.ts';
import { commands } from './table.ts';

const base = { aliases: [], sentence: '', load: () => Promise.reject(new Error('not loaded')) };
const command: Command = {
  ...base,
  name: 'test',
  arguments: 'IMAGE [COMMAND] [ARG...]',
  flags: [
    flag('i, interactive', 'bool', ''),
    flag('t, tty', 'bool', ''),
    flag('e, env', 'list', ''),
    flag('name', 'string', ''),
    flag('m, memory', 'bytes', ''),
    flag('n, last', 'int', '', { default: '-1' }),
    flag('every', 'duration', ''),
    flag('cpus', 'decimal', ''),
    flag('network', 'list', '', { aliases: ['net'] }),
    flag('sig-proxy', 'bool', '', { default: 'true' }),
    flag('even', 'string', '', { check: (value) => (value.length % 2 === 0 ? undefined : 'odd') }),
  ],
};
const flagsFirst: Command = { ...command, flagsFirst: true };

test('flags are read as docker reads them', () => {
  const cases: [string[], object][] = [
    [['-it'], { interactive: true, tty: true }],
    [['-i', '--tty=false'], { interactive: true, tty: false }],
    [
      ['-ie', 'A=1', '-eB=2', '-e=C=3', '--env', 'D', '--env=E=5'],
      { interactive: true, env: ['A=1', 'B=2', 'C=3', 'D', 'E=5'] },
    ],
    [['-tm512m'], { tty: true, memory: 512 * 1024 ** 2 }],
    [['--memory=-1'], { memory: -1 }],
    [['--memory', '-1'], { memory: -1 }],
    [['-n', '-3'], { last: -3 }],
    [[], { last: -1, 'sig-proxy': true, name: '', env: [] }],
    [['--sig-proxy=0'], { 'sig-proxy': false }],
    [['--net', 'host', '--network=none'], { network: ['host', 'none'] }],
    [['--name', '-odd-'], { name: '-odd-' }],
    [['--name=', '--every', '1m30s'], { name: '', every: 90e9 }],
    [['--name', 'a', '--name', 'b'], { name: 'b' }],
  ];
  for (const [args, expected] of cases) {
    const { flags } = parseArguments(command, args);
    for (const [name, value] of Object.entries(expected)) {
      const type = command.flags.find((one) => one.name === name)!.type;
      const read = {
        bool: () => flags.bool(name),
        list: () => flags.list(name),
        int: () => flags.int(name, -1),
        bytes: () => flags.bytes(name),
        duration: () => flags.nanos(name),
      };
      const got = type in read ? read[type as keyof typeof read]() : flags.text(name);
      assert.deepEqual(got, value, `${args.join(' ')}: ${name}`);
    }
  }
});

test('flags end where docker ends them', () => {
  const cases: [Command, string[], string[], boolean][] = [
    [command, ['a', '-i', 'b'], ['a', 'b'], true],
    [flagsFirst, ['a', '-i', 'b'], ['a', '-i', 'b'], false],
    [flagsFirst, ['-i', 'a', '--', '-t'], ['a', '--', '-t'], true],
    [command, ['a', '--', '-i'], ['a', '-i'], false],
    [flagsFirst, ['--', '-i', 'x'], ['-i', 'x'], false],
    [command, ['-', '-i'], ['-'], true],
  ];
  for (const [of, args, positionals, interactive] of cases) {
    const parsed = parseArguments(of, args);
    assert.deepEqual(parsed.positionals, positionals, args.join(' '));
    assert.equal(parsed.flags.bool('interactive'), interactive, args.join(' '));
  }
});

test("wrong flags are told in docker's words", () => {
  const cases: [string[], string][] = [
    [['--foo'], 'unknown flag: --foo'],
    [['-iz'], "unknown shorthand flag: 'z' in -iz"],
    [['--name'], 'flag needs an argument: --name'],
    [['-ie'], "flag needs an argument: 'e' in -ie"],
    [['--tty=maybe'], 'invalid argument "maybe" for "-t, --tty" flag: not true or false'],
    [['-m', 'x'], `invalid argument "x" for "-m, --memory" flag: invalid size: 'x'`],
    [['-n', '1.5'], 'invalid argument "1.5" for "-n, --last" flag: not a whole number'],
    [['--every', '5'], 'invalid argument "5" for "--every" flag: invalid duration "5"'],
    [['--cpus', '1.2345678901'], 'invalid argument "1.2345678901" for "--cpus" flag: value is too precise'],
    [['--even', 'abc'], 'invalid argument "abc" for "--even" flag: odd'],
  ];
  for (const [args, message] of cases) assert.throws(() => parseArguments(command, args), { message, kind: 'invalid' });
});

test('arguments are counted from how they are written', () => {
  const many = Number.POSITIVE_INFINITY;
  const cases: [string, number, number][] = [
    ['', 0, 0],
    ['CONTAINER', 1, 1],
    ['CONTAINER [CONTAINER...]', 1, many],
    ['IMAGE [COMMAND] [ARG...]', 1, many],
    ['CONTAINER [PRIVATE_PORT[/PROTO]]', 1, 2],
    ['[REPOSITORY[:TAG]]', 0, 1],
    ['SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]', 2, 2],
    ['CONTAINER [ps OPTIONS]', 1, many],
    ['file|URL|- [REPOSITORY[:TAG]]', 1, 2],
  ];
  for (const [text, least, most] of cases)
    assert.deepEqual(argumentRange({ ...command, arguments: text }), { least, most }, text);
  assert.throws(() => checkArguments(command, 0), { message: "'holm test' requires at least 1 argument" });
  assert.throws(() => checkArguments({ ...command, arguments: '' }, 1), {
    message: "'holm test' accepts no arguments",
  });
  assert.throws(() => checkArguments({ ...command, arguments: 'A B' }, 1), {
    message: "'holm test' requires 2 arguments",
  });
});

test('no command of the table has two flags or names alike', async () => {
  const names = commands.flatMap((one) => [one.name, ...one.aliases]);
  assert.deepEqual(
    names.filter((name, at) => names.indexOf(name) !== at),
    [],
  );
  for (const { name, flags, load } of commands) {
    const spelled = flags.flatMap((one) => [one.name, one.short, ...(one.aliases ?? [])]).filter((word) => word !== '');
    assert.deepEqual(
      spelled.filter((word, at) => spelled.indexOf(word) !== at),
      [],
      name,
    );
    assert.equal(typeof (await load()), 'function', name);
  }
});
