// From rules over system calls to a classic BPF program (seccomp(2), linux/filter.h). For each CPU type all numbers are
// cut into ranges with one verdict each and found by binary search, so that a call costs about ten instructions, and one
// that is always allowed is remembered by the kernel. Every block ends in a return, so blocks only ever jump forward.
import { HolmError } from '../base/error.ts';
import { type Abi, syscallNumbers, x32Bit } from './syscalls.ts';

export type Comparison = 'NE' | 'LT' | 'LE' | 'EQ' | 'GE' | 'GT' | 'MASKED_EQ';

/** A check of one argument. MASKED_EQ: (argument & value) == valueTwo. */
export interface ArgumentCheck {
  readonly index: number;
  readonly comparison: Comparison;
  readonly value: bigint;
  readonly valueTwo: bigint;
}

/** What becomes of a call: a value of SECCOMP_RET_…, with its data. */
export type Verdict = number;

/** All checks must hold. Of the rules for a call without checks the first counts; if there is none, the first that holds. */
export interface Rule {
  readonly name: string;
  readonly checks: readonly ArgumentCheck[];
  readonly verdict: Verdict;
}

export interface Filter {
  readonly abis: readonly Abi[];
  readonly rules: readonly Rule[];
  /** For calls that no rule fits. */
  readonly otherwise: Verdict;
  /** For numbers beyond all that the rules name; absent: as `otherwise`. */
  readonly beyond?: Verdict;
  /** For calls of a CPU type that is not in `abis`. */
  readonly foreign: Verdict;
}

/** linux/audit.h */
const auditArch: Record<Exclude<Abi, 'x32'>, number> = {
  x86_64: 0xc000003e,
  i386: 0x40000003,
  arm64: 0xc00000b7,
  arm: 0x40000028,
  riscv64: 0xc00000f3,
};

interface Instruction {
  readonly code: number;
  readonly k: number;
  /** How many instructions to pass over; 'fail' is the end of the rule. */
  readonly jt?: number | 'fail';
  readonly jf?: number | 'fail';
}
type Block = readonly Instruction[];

// linux/bpf_common.h: class, size, mode and operation together.
const loadWord = 0x20;
const jumpAlways = 0x05;
const jumpEqual = 0x15;
const jumpGreater = 0x25;
const jumpGreaterEqual = 0x35;
const and = 0x54;
const returns = 0x06;

// struct seccomp_data: nr, arch, instruction_pointer, args[6].
const numberOffset = 0;
const archOffset = 4;
const lowHalf = (index: number): number => 16 + index * 8;
const highHalf = (index: number): number => 20 + index * 8;

/** The filter as struct sock_filter[], for little-endian CPU types. */
export function compileFilter(filter: Filter): Uint8Array {
  const program: Instruction[] = [{ code: loadWord, k: archOffset }];
  for (const abi of filter.abis) {
    if (abi === 'x32') continue;
    const block = [{ code: loadWord, k: numberOffset }, ...search(rangesOf(filter, abi))];
    program.push({ code: jumpEqual, k: auditArch[abi], jt: 1, jf: 0 }, { code: jumpAlways, k: block.length }, ...block);
  }
  program.push({ code: returns, k: filter.foreign });
  // BPF_MAXINSNS
  if (program.length > 4096) {
    throw new HolmError(
      'invalid',
      `Cannot use the seccomp profile: it takes ${program.length} instructions, most is 4096`,
    );
  }
  return encode(program);
}

/** From this number up to the next range's. */
interface Range {
  readonly from: number;
  readonly block: Block;
}

function rangesOf(filter: Filter, abi: Abi): Range[] {
  const ranges: Range[] = [];
  const add = (from: number, block: Block): void => {
    const last = ranges.at(-1);
    if (last === undefined || !sameBlock(last.block, block)) ranges.push({ from, block });
  };
  const addAbi = (which: Abi, first: number): void => {
    const byNumber = rulesByNumber(filter.rules, which);
    // The private calls of arm, far above all others, do not move the point from which calls are unknown.
    const last = Math.max(first - 1, ...[...byNumber.keys()].filter((number) => number - first < 0x1000));
    let next = first;
    const fill = (until: number): void => {
      if (next <= last && next < until) add(next, give(filter.otherwise));
      if (until > last + 1) add(Math.max(next, last + 1), give(filter.beyond ?? filter.otherwise));
    };
    for (const number of [...byNumber.keys()].sort((a, b) => a - b)) {
      if (number > next) fill(number);
      add(number, ruleBlock(byNumber.get(number)!, filter.otherwise));
      next = number + 1;
    }
    fill(Number.POSITIVE_INFINITY);
  };
  addAbi(abi, 0);
  if (abi === 'x86_64') {
    if (filter.abis.includes('x32')) addAbi('x32', x32Bit);
    else add(x32Bit, give(filter.foreign));
  }
  return ranges;
}

function rulesByNumber(rules: readonly Rule[], abi: Abi): Map<number, Rule[]> {
  const numbers = syscallNumbers(abi);
  const byNumber = new Map<number, Rule[]>();
  for (const rule of rules) {
    const number = numbers.get(rule.name);
    // A name that this CPU type does not have is passed over, as libseccomp does.
    if (number === undefined) continue;
    const list = byNumber.get(number);
    if (list === undefined) byNumber.set(number, [rule]);
    else list.push(rule);
  }
  return byNumber;
}

/** Binary search: the middle range's start is compared, the lower half follows at once, the upper half behind it. */
function search(ranges: readonly Range[]): Block {
  const whole = searchWithin(ranges);
  if (whole !== undefined) return whole;
  const middle = ranges.length >> 1;
  const lower = search(ranges.slice(0, middle));
  const upper = search(ranges.slice(middle));
  const k = ranges[middle]!.from;
  if (lower.length <= 255) return [{ code: jumpGreaterEqual, k, jt: lower.length, jf: 0 }, ...lower, ...upper];
  return [{ code: jumpGreaterEqual, k, jt: 0, jf: 1 }, { code: jumpAlways, k: lower.length }, ...lower, ...upper];
}

/** Where a comparison leads: to an instruction of the block, or to a verdict that stands at the block's end for all. */
type Goal = { readonly at: number } | { readonly verdict: Verdict };
const longestJump = 255;

/**
 * The same search with each verdict only once, as half the instructions take the kernel half the time to compile at every
 * start; undefined where some jump would be too long.
 */
function searchWithin(ranges: readonly Range[]): Block | undefined {
  const code: (Instruction & { goals?: readonly [yes: Goal, no: Goal] })[] = [];
  const emit = (from: number, to: number): Goal => {
    const at = code.length;
    if (to - from === 1) {
      const { block } = ranges[from]!;
      if (block.length === 1) return { verdict: block[0]!.k };
      code.push(...block);
      return { at };
    }
    const middle = (from + to) >> 1;
    code.push({ code: jumpAlways, k: 0 });
    const lower = emit(from, middle);
    const upper = emit(middle, to);
    code[at] = { code: jumpGreaterEqual, k: ranges[middle]!.from, goals: [upper, lower] };
    return { at };
  };
  const first = emit(0, ranges.length);
  if ('verdict' in first) return give(first.verdict);
  const verdicts = new Map<Verdict, number>();
  for (const { goals = [] } of [...code])
    for (const goal of goals)
      if ('verdict' in goal && !verdicts.has(goal.verdict))
        verdicts.set(goal.verdict, code.push(...give(goal.verdict)) - 1);
  const placed = code.map(({ goals, ...instruction }, at): Instruction => {
    if (goals === undefined) return instruction;
    const [jt, jf] = goals.map((goal) => ('at' in goal ? goal.at : verdicts.get(goal.verdict)!) - at - 1);
    return { ...instruction, jt: jt!, jf: jf! };
  });
  return placed.some(({ jt, jf }) => Number(jt ?? 0) > longestJump || Number(jf ?? 0) > longestJump)
    ? undefined
    : placed;
}

function ruleBlock(rules: readonly Rule[], otherwise: Verdict): Block {
  const unconditional = rules.find(({ checks }) => checks.length === 0);
  if (unconditional !== undefined) return give(unconditional.verdict);
  const block: Instruction[] = [];
  for (let at = 0; at < rules.length; ) {
    const group = equalGroup(rules, at);
    block.push(...(group.length > 1 ? anyOf(group) : allOf(rules[at]!)));
    at += Math.max(1, group.length);
  }
  return [...block, ...give(otherwise)];
}

/** The rules from `at` on that compare the same argument with one small number each and agree in the verdict. */
function equalGroup(rules: readonly Rule[], at: number): Rule[] {
  const [first] = rules[at]!.checks;
  const group: Rule[] = [];
  for (const rule of rules.slice(at, at + 200)) {
    const [check] = rule.checks;
    const fits =
      rule.checks.length === 1 &&
      check!.comparison === 'EQ' &&
      check!.index === first!.index &&
      check!.value >> 32n === first!.value >> 32n &&
      rule.verdict === rules[at]!.verdict;
    if (!fits) break;
    group.push(rule);
  }
  return group;
}

function anyOf(group: readonly Rule[]): Block {
  const { index, value } = group[0]!.checks[0]!;
  const compared = group.map(({ checks }, at): Instruction => {
    const left = group.length - at - 1;
    return { code: jumpEqual, k: low(checks[0]!.value), jt: left, jf: left === 0 ? 'fail' : 0 };
  });
  return resolve([...equalHigh(index, value), { code: loadWord, k: lowHalf(index) }, ...compared], group[0]!.verdict);
}

function allOf(rule: Rule): Block {
  return resolve(rule.checks.flatMap(checkBlock), rule.verdict);
}

/** Goes on behind the block if the check holds, to 'fail' if not. Both halves of the argument count. */
function checkBlock({ index, comparison, value, valueTwo }: ArgumentCheck): Instruction[] {
  const loadHigh = { code: loadWord, k: highHalf(index) };
  const loadLow = { code: loadWord, k: lowHalf(index) };
  const [h, l] = [high(value), low(value)];
  switch (comparison) {
    case 'EQ':
      return [...equalHigh(index, value), loadLow, { code: jumpEqual, k: l, jt: 0, jf: 'fail' }];
    case 'NE':
      return [loadHigh, { code: jumpEqual, k: h, jt: 0, jf: 2 }, loadLow, { code: jumpEqual, k: l, jt: 'fail', jf: 0 }];
    case 'GE':
    case 'GT':
      return [
        loadHigh,
        { code: jumpGreater, k: h, jt: 3, jf: 0 },
        { code: jumpEqual, k: h, jt: 0, jf: 'fail' },
        loadLow,
        { code: comparison === 'GE' ? jumpGreaterEqual : jumpGreater, k: l, jt: 0, jf: 'fail' },
      ];
    case 'LT':
    case 'LE':
      return [
        loadHigh,
        { code: jumpGreater, k: h, jt: 'fail', jf: 0 },
        { code: jumpEqual, k: h, jt: 0, jf: 2 },
        loadLow,
        { code: comparison === 'LT' ? jumpGreaterEqual : jumpGreater, k: l, jt: 'fail', jf: 0 },
      ];
    case 'MASKED_EQ':
      return [
        ...(h === 0 && high(valueTwo) === 0
          ? []
          : [loadHigh, { code: and, k: h }, { code: jumpEqual, k: high(valueTwo), jt: 0, jf: 'fail' } as const]),
        loadLow,
        { code: and, k: l },
        { code: jumpEqual, k: low(valueTwo), jt: 0, jf: 'fail' },
      ];
  }
}

function equalHigh(index: number, value: bigint): Instruction[] {
  return [
    { code: loadWord, k: highHalf(index) },
    { code: jumpEqual, k: high(value), jt: 0, jf: 'fail' },
  ];
}

/** Ends a rule with its verdict, and points 'fail' behind that. */
function resolve(block: readonly Instruction[], verdict: Verdict): Block {
  const point = (to: number | 'fail' | undefined, at: number): number =>
    to === 'fail' ? block.length - at : (to ?? 0);
  return [
    ...block.map(({ code, k, jt, jf }, at) => ({ code, k, jt: point(jt, at), jf: point(jf, at) })),
    ...give(verdict),
  ];
}

function give(verdict: Verdict): Block {
  return [{ code: returns, k: verdict }];
}

function sameBlock(a: Block, b: Block): boolean {
  if (a.length !== b.length) return false;
  return a.every(({ code, k, jt, jf }, at) => {
    const other = b[at]!;
    return code === other.code && k === other.k && jt === other.jt && jf === other.jf;
  });
}

function high(value: bigint): number {
  return Number((value >> 32n) & 0xffffffffn);
}

function low(value: bigint): number {
  return Number(value & 0xffffffffn);
}

/** struct sock_filter: u16 code, u8 jt, u8 jf, u32 k. */
function encode(program: Block): Uint8Array {
  const bytes = Buffer.alloc(program.length * 8);
  program.forEach(({ code, k, jt, jf }, at) => {
    bytes.writeUInt16LE(code, at * 8);
    bytes.writeUInt8((jt as number | undefined) ?? 0, at * 8 + 2);
    bytes.writeUInt8((jf as number | undefined) ?? 0, at * 8 + 3);
    bytes.writeUInt32LE(k, at * 8 + 4);
  });
  return bytes;
}
