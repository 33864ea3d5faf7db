// Seccomp profiles in docker's JSON form (seccomp-json.ts) for one guest: resolved for its capabilities, CPU type and kernel,
// and compiled (seccomp-bpf.ts). As docker and runc do: unknown system calls and CPU types are passed over, rules that say the
// same as the default are dropped, several checks of one argument in a rule mean "any of them", calls newer than the profile get ENOSYS.
import { release } from 'node:os';
import { HolmError } from '../base/error.ts';
import { errno } from '../kernel/constants.ts';
import { type Program, step } from '../kernel/steps.ts';
import { namesOf } from './capabilities.ts';
import { type ArgumentCheck, type Comparison, compileFilter, type Rule, type Verdict } from './seccomp-bpf.ts';
import { type ArgumentJson, invalidProfile, type ProfileJson, type SyscallJson } from './seccomp-json.ts';
import { multiplexed } from './seccomp-multiplexed.ts';
import type { Abi } from './syscalls.ts';

/** What a profile's conditions are asked about. */
export interface SeccompTarget {
  /** The bounding set. */
  readonly capabilities: bigint;
  /** process.arch. */
  readonly cpu: string;
  /** uname -r. */
  readonly kernel: string;
}

/** What seccomp(2) takes: struct sock_filter[], and flags. */
export interface SeccompFilter {
  readonly filter: Uint8Array;
  readonly flags: number;
  /** Whether a process under it may hand over to a child that becomes the guest's (hand_over, docs/keeper.md). */
  readonly allowsHandOver: boolean;
}

/** linux/seccomp.h; KILL is the thread alone, as libseccomp has it. */
const actions: Readonly<Record<string, number>> = {
  SCMP_ACT_KILL: 0,
  SCMP_ACT_KILL_THREAD: 0,
  SCMP_ACT_KILL_PROCESS: 0x80000000,
  SCMP_ACT_TRAP: 0x00030000,
  SCMP_ACT_ERRNO: 0x00050000,
  SCMP_ACT_TRACE: 0x7ff00000,
  SCMP_ACT_LOG: 0x7ffc0000,
  SCMP_ACT_ALLOW: 0x7fff0000,
};
const killProcess = 0x80000000;
/** Actions that let a call through, or leave that to a tracer. */
const permissive: readonly string[] = ['SCMP_ACT_ALLOW', 'SCMP_ACT_LOG', 'SCMP_ACT_TRACE'];
const isPermissive = (verdict: Verdict): boolean =>
  permissive.some((action) => (verdict & 0x7fff0000) === actions[action] && verdict < killProcess);

const flagBits: Readonly<Record<string, number>> = {
  SECCOMP_FILTER_FLAG_TSYNC: 1,
  SECCOMP_FILTER_FLAG_LOG: 2,
  SECCOMP_FILTER_FLAG_SPEC_ALLOW: 4,
};

const cpus: Readonly<Record<string, { docker: string; arch: string; abi: Abi }>> = {
  x64: { docker: 'amd64', arch: 'SCMP_ARCH_X86_64', abi: 'x86_64' },
  arm64: { docker: 'arm64', arch: 'SCMP_ARCH_AARCH64', abi: 'arm64' },
  riscv64: { docker: 'riscv64', arch: 'SCMP_ARCH_RISCV64', abi: 'riscv64' },
};
/** What a CPU of a type runs besides its own. */
const subAbis: Readonly<Record<string, { abi: Abi; of: Abi }>> = {
  SCMP_ARCH_X86: { abi: 'i386', of: 'x86_64' },
  SCMP_ARCH_X32: { abi: 'x32', of: 'x86_64' },
  SCMP_ARCH_ARM: { abi: 'arm', of: 'arm64' },
};

/** What is known of this host. */
export function hostSeccompTarget(capabilities: bigint): SeccompTarget {
  return { capabilities, cpu: process.arch, kernel: release() };
}

const compiled = new WeakMap<ProfileJson, Map<string, SeccompFilter | undefined>>();

/** The filter of a profile for one guest, remembered; undefined if the profile says nothing at all (docker: no seccomp). */
export function compileSeccomp(profile: ProfileJson, target: SeccompTarget): SeccompFilter | undefined {
  const key = `${target.capabilities} ${target.cpu} ${target.kernel}`;
  let known = compiled.get(profile);
  if (known === undefined) {
    known = new Map();
    compiled.set(profile, known);
  }
  if (!known.has(key)) known.set(key, compile(profile, target));
  return known.get(key);
}

/** Installs a filter. Without no-new-privileges it must be done while the process still has CAP_SYS_ADMIN. */
export function seccompSteps(filter: SeccompFilter | undefined): Program {
  if (filter === undefined) return [];
  return [
    step('seccomp_filter', [filter.filter, filter.flags], 'install the seccomp filter', {
      why: `${filter.filter.length / 8} instructions decide which system calls the guest may make`,
    }),
  ];
}

function compile(profile: ProfileJson, target: SeccompTarget): SeccompFilter | undefined {
  const syscalls = profile.syscalls ?? [];
  if ((profile.defaultAction ?? '') === '' && syscalls.length === 0) return undefined;
  const cpu = cpus[target.cpu];
  if (cpu === undefined)
    throw new HolmError('unsupported', `Cannot use seccomp: CPU type "${target.cpu}" is not known`);
  const otherwise = verdict(profile.defaultAction ?? '', profile.defaultErrnoRet);
  const rules = syscalls
    .filter((syscall) => applies(syscall, target, cpu.docker))
    .flatMap(rulesOf)
    .filter((rule) => rule.verdict !== otherwise);
  const nosys = verdict('SCMP_ACT_ERRNO', errno.ENOSYS);
  const abis = abisOf(profile, cpu);
  return {
    filter: compileFilter({
      abis,
      rules: abis.includes('i386') ? [...rules, ...multiplexed(rules, isPermissive)] : rules,
      otherwise,
      ...(permissive.includes(profile.defaultAction ?? '') ? {} : { beyond: nosys }),
      foreign: killProcess,
    }),
    flags: flagsOf(profile),
    allowsHandOver: handOverCalls.every(([name, ...args]) => isPermissive(decide(rules, otherwise, name, args))),
  };
}

/** What is still done then, with the arguments that a profile may look at (native/start.c). */
const handOverCalls: readonly (readonly [name: string, ...args: bigint[]])[] = [
  ['close_range', 3n],
  ['clone', 0x8000n],
  ['exit_group'],
  ['prctl', 1n, 9n],
  ['setsid'],
  ['ioctl', 0n, 0x540en],
  ['recvfrom'],
  ['write'],
  ['execve'],
];

/** The verdict on one call; arguments that are not given count as 0. */
function decide(rules: readonly Rule[], otherwise: Verdict, name: string, args: readonly bigint[]): Verdict {
  const own = rules.filter((rule) => rule.name === name);
  const found = own.find(({ checks }) => checks.length === 0) ?? own.find(({ checks }) => checks.every(holds));
  return found?.verdict ?? otherwise;

  function holds({ index, comparison, value, valueTwo }: ArgumentCheck): boolean {
    const given = args[index] ?? 0n;
    switch (comparison) {
      case 'EQ':
        return given === value;
      case 'NE':
        return given !== value;
      case 'LT':
        return given < value;
      case 'LE':
        return given <= value;
      case 'GE':
        return given >= value;
      case 'GT':
        return given > value;
      case 'MASKED_EQ':
        return (given & value) === valueTwo;
    }
  }
}

function applies(syscall: SyscallJson, target: SeccompTarget, arch: string): boolean {
  const [includes, excludes] = [syscall.includes ?? {}, syscall.excludes ?? {}];
  const held = new Set(namesOf(target.capabilities));
  const has = (capability: string): boolean => held.has(capability);
  const isAtLeast = (version: string): boolean => compareVersions(target.kernel, version) >= 0;
  if (excludes.arches?.includes(arch)) return false;
  if (excludes.caps?.some(has)) return false;
  if (excludes.minKernel !== undefined && isAtLeast(excludes.minKernel)) return false;
  if ((includes.arches?.length ?? 0) > 0 && !includes.arches!.includes(arch)) return false;
  if (includes.caps?.every(has) === false) return false;
  return includes.minKernel === undefined || isAtLeast(includes.minKernel);
}

function rulesOf(syscall: SyscallJson): Rule[] {
  if (syscall.name !== undefined && syscall.name !== '' && (syscall.names?.length ?? 0) > 0) {
    throw new HolmError(
      'invalid',
      "both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'",
    );
  }
  const names = syscall.name === undefined || syscall.name === '' ? (syscall.names ?? []) : [syscall.name];
  const outcome = verdict(syscall.action, syscall.errnoRet);
  const checks = (syscall.args ?? []).map(parseCheck);
  // One argument checked twice: runc makes a rule of each check.
  const repeated = new Set(checks.map(({ index }) => index)).size < checks.length;
  const alternatives = repeated ? checks.map((check) => [check]) : [checks];
  return names.flatMap((name) => alternatives.map((one) => ({ name, checks: one, verdict: outcome })));
}

function parseCheck({ index, value, valueTwo, op }: ArgumentJson): ArgumentCheck {
  const comparison = /^SCMP_CMP_(NE|LT|LE|EQ|GE|GT|MASKED_EQ)$/.exec(op)?.[1] as Comparison | undefined;
  if (comparison === undefined) throw invalidProfile(`operator "${op}" is unknown`);
  if (!Number.isInteger(index) || index < 0 || index > 5) throw invalidProfile(`there is no argument ${index}`);
  return { index, comparison, value: unsigned(value), valueTwo: unsigned(valueTwo ?? 0) };
}

function unsigned(value: unknown): bigint {
  const isWhole = typeof value === 'bigint' || (typeof value === 'number' && Number.isInteger(value));
  const number = isWhole ? BigInt(value as number | bigint) : -1n;
  if (number < 0n || number >= 1n << 64n)
    throw invalidProfile(`"${String(value)}" is not an unsigned number of 64 bits`);
  return number;
}

function verdict(action: string, errnoRet: number | undefined): Verdict {
  const bits = actions[action];
  if (action === 'SCMP_ACT_NOTIFY') {
    throw new HolmError('unsupported', 'Cannot use the seccomp profile: action SCMP_ACT_NOTIFY has no listener here');
  }
  if (bits === undefined) throw invalidProfile(`action "${action}" is unknown`);
  if (action !== 'SCMP_ACT_ERRNO' && action !== 'SCMP_ACT_TRACE') return bits;
  const number = errnoRet ?? errno.EPERM;
  if (!Number.isInteger(number) || number < 0 || number > 0xffff)
    throw invalidProfile(`errnoRet ${number} is no errno`);
  return bits + number;
}

function abisOf(profile: ProfileJson, cpu: { arch: string; abi: Abi }): Abi[] {
  const mapped = profile.archMap?.find(({ architecture }) => architecture === cpu.arch)?.subArchitectures ?? [];
  const named = new Set([...mapped, ...(profile.architectures ?? [])]);
  const others = [...named].flatMap((name) => (subAbis[name]?.of === cpu.abi ? [subAbis[name].abi] : []));
  return [cpu.abi, ...others];
}

function flagsOf(profile: ProfileJson): number {
  // runc's default where a profile names none, not even an empty list.
  if (profile.flags === undefined || profile.flags === null) return flagBits.SECCOMP_FILTER_FLAG_SPEC_ALLOW!;
  return profile.flags.reduce((bits, flag) => {
    const bit = flagBits[flag];
    if (bit === undefined) throw invalidProfile(`flag "${flag}" is unknown`);
    return bits | bit;
  }, 0);
}

function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((text) => text.split('.').map((part) => Number.parseInt(part, 10) || 0));
  return left![0]! - right![0]! || (left![1] ?? 0) - (right![1] ?? 0);
}
