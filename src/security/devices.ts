// Which devices a guest may open or make, as rules, and the rules as the kernel takes them: an eBPF program for cgroup v2
// (bpf(2), BPF_PROG_TYPE_CGROUP_DEVICE), writes to devices.deny and devices.allow for v1. Of the rules that fit a device the
// last one decides, for each of read, write and make on its own; what no rule allows is forbidden.
import { HolmError } from '../base/error.ts';

export interface DeviceRule {
  readonly allow: boolean;
  readonly type: 'all' | 'char' | 'block';
  /** Absent: any. */
  readonly major?: number;
  readonly minor?: number;
  /** Some of "rwm": read, write, mknod. */
  readonly access: string;
}

/** What the cgroup controller is given. */
export interface DeviceAccess {
  readonly program: Uint8Array;
  readonly writes: readonly { readonly file: string; readonly value: string }[];
}

/** What runc and docker allow every container: making any node, and the usual character devices. */
export const defaultDeviceRules: readonly DeviceRule[] = [
  'c *:* m',
  'b *:* m',
  'c 1:3 rwm', // null
  'c 1:5 rwm', // zero
  'c 1:7 rwm', // full
  'c 1:8 rwm', // random
  'c 1:9 rwm', // urandom
  'c 5:0 rwm', // tty
  'c 5:1 rwm', // console
  'c 5:2 rwm', // ptmx
  'c 136:* rwm', // pts
  'c 10:200 rwm', // net/tun
].map(parseDeviceRule);

/** For privileged guests. */
export const everyDevice: readonly DeviceRule[] = [{ allow: true, type: 'all', access: 'rwm' }];

/** Reads a rule as --device-cgroup-rule takes it: "c 1:3 rwm", "b 8:* r", "a *:* rwm". */
export function parseDeviceRule(text: string): DeviceRule {
  const match = /^([acb]) ([0-9]+|\*):([0-9]+|\*) ([rwm]{1,3})$/.exec(text.trim());
  if (match === null) throw new HolmError('invalid', `invalid device cgroup rule format: '${text}'`);
  const [, letter, major, minor, access] = match as unknown as [string, string, string, string, string];
  const type = letter === 'a' ? 'all' : letter === 'c' ? 'char' : 'block';
  // As in the v1 files, "a" is every device, whatever the numbers say.
  if (type === 'all') return { allow: true, type, access: 'rwm' };
  return {
    allow: true,
    type,
    ...(major === '*' ? {} : { major: Number(major) }),
    ...(minor === '*' ? {} : { minor: Number(minor) }),
    access,
  };
}

/** The rule that lets a guest use one device that it was given by --device. */
export function deviceRule(type: 'char' | 'block', major: number, minor: number, access: string): DeviceRule {
  if (!/^[rwm]{1,3}$/.test(access)) throw new HolmError('invalid', `invalid device mode: ${access}`);
  return { allow: true, type, major, minor, access };
}

export function deviceAccess(rules: readonly DeviceRule[]): DeviceAccess {
  return { program: compileDeviceRules(rules), writes: deviceWrites(rules) };
}

function deviceWrites(rules: readonly DeviceRule[]): { file: string; value: string }[] {
  const letters = { all: 'a', char: 'c', block: 'b' } as const;
  return [
    { file: 'devices.deny', value: 'a' },
    ...rules.map(({ allow, type, major, minor, access }) => ({
      file: allow ? 'devices.allow' : 'devices.deny',
      value: type === 'all' ? 'a' : `${letters[type]} ${major ?? '*'}:${minor ?? '*'} ${access}`,
    })),
  ];
}

// linux/bpf.h: struct bpf_cgroup_dev_ctx { u32 access_type; u32 major; u32 minor; }, access_type = access << 16 | type.
const accessBits: Readonly<Record<string, number>> = { m: 1, r: 2, w: 4 };
const typeNumbers = { block: 1, char: 2 } as const;

// Registers. `left` holds the accesses asked for that no rule has allowed yet.
const [result, context, type, left, major, minor, scratch] = [0, 1, 2, 3, 4, 5, 6];

// Operation codes: class, source and operation together.
const loadWord = 0x61;
const move = 0xb7;
const moveRegister = 0xbf;
const and32 = 0x54;
const shiftRight32 = 0x74;
const jumpNotEqual = 0x55;
const jumpEqual = 0x15;
const exit = 0x95;

/** The rules as struct bpf_insn[], from the last to the first. */
export function compileDeviceRules(rules: readonly DeviceRule[]): Uint8Array {
  const program = [
    instruction(loadWord, type, context, 0, 0),
    instruction(moveRegister, left, type, 0, 0),
    instruction(and32, type, 0, 0, 0xffff),
    instruction(shiftRight32, left, 0, 0, 16),
    instruction(loadWord, major, context, 4, 0),
    instruction(loadWord, minor, context, 8, 0),
    ...rules.toReversed().flatMap(ruleInstructions),
    instruction(move, result, 0, 0, 0),
    instruction(exit, 0, 0, 0, 0),
  ];
  return Buffer.concat(program);
}

function ruleInstructions(rule: DeviceRule): Buffer[] {
  const access = [...rule.access].reduce((bits, letter) => bits | (accessBits[letter] ?? 0), 0);
  const decide = rule.allow
    ? [
        // 32-bit operations take the mask as it is.
        instruction(and32, left, 0, 0, 7 & ~access),
        instruction(jumpNotEqual, left, 0, 2, 0),
        instruction(move, result, 0, 0, 1),
        instruction(exit, 0, 0, 0, 0),
      ]
    : [
        instruction(moveRegister, scratch, left, 0, 0),
        instruction(and32, scratch, 0, 0, access),
        instruction(jumpEqual, scratch, 0, 2, 0),
        instruction(move, result, 0, 0, 0),
        instruction(exit, 0, 0, 0, 0),
      ];
  const checks: [register: number, value: number][] = [];
  if (rule.type !== 'all') checks.push([type, typeNumbers[rule.type]]);
  if (rule.major !== undefined) checks.push([major, rule.major]);
  if (rule.minor !== undefined) checks.push([minor, rule.minor]);
  const tests = checks.map(([register, value], at) =>
    instruction(jumpNotEqual, register, 0, checks.length - at - 1 + decide.length, value),
  );
  return [...tests, ...decide];
}

/** struct bpf_insn: u8 code, u8 registers (destination low, source high), s16 offset, s32 immediate. */
function instruction(code: number, destination: number, source: number, offset: number, immediate: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt8(code, 0);
  bytes.writeUInt8(destination | (source << 4), 1);
  bytes.writeInt16LE(offset, 2);
  bytes.writeInt32LE(immediate, 4);
  return bytes;
}
