import assert from 'node:assert/strict';
import { test } from 'node:test';
import { capabilitySet, defaultCapabilities } from './capabilities.ts';
import { compileSeccomp, type SeccompTarget, seccompSteps } from './seccomp.ts';
import { type ProfileJson, parseSeccompProfile } from './seccomp-json.ts';
import { defaultProfile } from './seccomp-profile.ts';
import { type Abi, syscallNumbers, x32Bit } from './syscalls.ts';

const allowed = 0x7fff0000;
const killed = 0x80000000;
const error = (number: number): number => 0x00050000 + number;
const [EPERM, ENOSYS] = [1, 38];

const arch: Record<Abi, number> = {
  x86_64: 0xc000003e,
  x32: 0xc000003e,
  i386: 0x40000003,
  arm64: 0xc00000b7,
  arm: 0x40000028,
  riscv64: 0xc00000f3,
};
const x64: SeccompTarget = { capabilities: defaultCapabilities, cpu: 'x64', kernel: '6.1.0-13-amd64' };
const everything = (1n << 41n) - 1n;

/** Carries a classic BPF program out over a struct seccomp_data, as the kernel does; gives the verdict and its cost. */
function run(filter: Uint8Array, audit: number, number: number, args: readonly bigint[] = []): [number, number] {
  const data = Buffer.alloc(64);
  data.writeUInt32LE(number >>> 0, 0);
  data.writeUInt32LE(audit, 4);
  for (const [at, value] of args.entries()) data.writeBigUInt64LE(value, 16 + at * 8);
  const program = Buffer.from(filter);
  let accumulator = 0;
  for (let at = 0, cost = 1; ; at++, cost++) {
    const [code, jt, jf] = [program.readUInt16LE(at * 8), program.readUInt8(at * 8 + 2), program.readUInt8(at * 8 + 3)];
    const k = program.readUInt32LE(at * 8 + 4);
    if (code === 0x20) accumulator = data.readUInt32LE(k);
    else if (code === 0x05) at += k;
    else if (code === 0x15) at += accumulator === k ? jt : jf;
    else if (code === 0x25) at += accumulator > k ? jt : jf;
    else if (code === 0x35) at += accumulator >= k ? jt : jf;
    else if (code === 0x54) accumulator = (accumulator & k) >>> 0;
    else if (code === 0x06) return [k, cost];
    else assert.fail(`unknown instruction ${code}`);
  }
}

function verdict(filter: Uint8Array, abi: Abi, name: string, ...args: bigint[]): number {
  const number = syscallNumbers(abi).get(name);
  assert.ok(number !== undefined, `${name} of ${abi}`);
  return run(filter, arch[abi], number, args)[0];
}

function filterOf(profile: ProfileJson, target: Partial<SeccompTarget> = {}): Uint8Array {
  return compileSeccomp(profile, { ...x64, ...target })!.filter;
}

/** What the profile says of a call without regard to speed: rule by rule, in the words of the JSON. */
function evaluate(profile: ProfileJson, target: SeccompTarget, abi: Abi, name: string, args: bigint[]): number {
  const words = { x64: 'amd64', arm64: 'arm64', riscv64: 'riscv64' } as Record<string, string>;
  const has = (capability: string): boolean => (target.capabilities & capabilitySet([capability])) !== 0n;
  const rows = profile.syscalls!.filter(({ names, includes, excludes }) => {
    if (!names!.includes(name)) return false;
    if (includes?.arches !== undefined && !includes.arches.includes(words[target.cpu]!)) return false;
    if (includes?.caps !== undefined && !includes.caps.every(has)) return false;
    if (excludes?.arches?.includes(words[target.cpu]!) === true) return false;
    return excludes?.caps === undefined || !excludes.caps.some(has);
  });
  const give = (row: (typeof rows)[0]): number =>
    row.action === 'SCMP_ACT_ALLOW' ? allowed : error(row.errnoRet ?? EPERM);
  const plain = rows.find((row) => row.args === undefined);
  if (plain !== undefined) return give(plain);
  const fitting = rows.find((row) =>
    row.args!.every(({ index, op, value, valueTwo }) => {
      const argument = args[index] ?? 0n;
      if (op === 'SCMP_CMP_EQ') return argument === BigInt(value);
      if (op === 'SCMP_CMP_LT') return argument < BigInt(value);
      if (op === 'SCMP_CMP_MASKED_EQ') return (argument & BigInt(value)) === BigInt(valueTwo ?? 0);
      return assert.fail(`the default profile has no ${op} (${abi})`);
    }),
  );
  return fitting === undefined ? error(EPERM) : give(fitting);
}

test('the default profile, call by call', () => {
  const filter = filterOf(defaultProfile);
  const cases: [Abi, string, bigint[], number][] = [
    ['x86_64', 'read', [], allowed],
    ['x86_64', 'clone', [0x11n], allowed],
    ['x86_64', 'clone', [0x3d0f00n], allowed],
    ['x86_64', 'clone', [0x10000000n], error(EPERM)],
    ['x86_64', 'clone', [0x20000n | 0x11n], error(EPERM)],
    ['x86_64', 'clone', [0x1_0000_0011n], allowed],
    ['x86_64', 'clone3', [], error(ENOSYS)],
    ['x86_64', 'mount', [], error(EPERM)],
    ['x86_64', 'umount2', [], error(EPERM)],
    ['x86_64', 'unshare', [], error(EPERM)],
    ['x86_64', 'setns', [], error(EPERM)],
    ['x86_64', 'keyctl', [], error(EPERM)],
    ['x86_64', 'add_key', [], error(EPERM)],
    ['x86_64', 'bpf', [], error(EPERM)],
    ['x86_64', 'io_uring_setup', [], error(EPERM)],
    ['x86_64', 'userfaultfd', [], error(EPERM)],
    ['x86_64', 'kexec_load', [], error(EPERM)],
    ['x86_64', 'reboot', [], error(EPERM)],
    ['x86_64', 'ptrace', [], allowed],
    ['x86_64', 'chroot', [], allowed],
    ['x86_64', 'arch_prctl', [], allowed],
    ['x86_64', 'personality', [0n], allowed],
    ['x86_64', 'personality', [8n], allowed],
    ['x86_64', 'personality', [0x20008n], allowed],
    ['x86_64', 'personality', [0xffffffffn], allowed],
    ['x86_64', 'personality', [0x40000n], error(EPERM)],
    ['x86_64', 'personality', [0x1_0000_0000n], error(EPERM)],
    ['x86_64', 'socket', [1n], allowed],
    ['x86_64', 'socket', [2n], allowed],
    ['x86_64', 'socket', [10n], allowed],
    ['x86_64', 'socket', [12n], error(EPERM)],
    ['x86_64', 'socket', [16n], allowed],
    ['x86_64', 'socket', [17n], allowed],
    ['x86_64', 'socket', [38n], error(EPERM)],
    ['x86_64', 'socket', [40n], error(EPERM)],
    ['x86_64', 'socket', [44n], allowed],
    ['x86_64', 'socket', [0x1_0000_0002n], error(EPERM)],
    ['x86_64', 'setxattrat', [], allowed],
    ['x86_64', 'uretprobe', [], allowed],
    ['x32', 'read', [], allowed],
    ['x32', 'execve', [], allowed],
    ['x32', 'mount', [], error(EPERM)],
    ['x32', 'clone', [0x10000000n], error(EPERM)],
    ['i386', 'read', [], allowed],
    ['i386', 'mount', [], error(EPERM)],
    ['i386', 'clone3', [], error(ENOSYS)],
    ['i386', 'socketcall', [1n], allowed],
    ['i386', 'ipc', [21n], allowed],
    ['i386', 'stat64', [], allowed],
    ['i386', 'socket', [40n], error(EPERM)],
  ];
  for (const [abi, name, args, expected] of cases) {
    assert.equal(verdict(filter, abi, name, ...args), expected, `${abi} ${name} ${args}`);
  }
});

test('a CPU type that is not meant is killed, a call newer than the profile does not exist', () => {
  const filter = filterOf(defaultProfile);
  for (const foreign of [arch.arm64, arch.arm, arch.riscv64, 0]) assert.equal(run(filter, foreign, 0)[0], killed);
  for (const number of [500, 512, 547, 4095, x32Bit - 1, x32Bit + 600, 0x7fffffff, 0xffffffff]) {
    assert.equal(run(filter, arch.x86_64, number)[0], error(ENOSYS), String(number));
  }
  assert.equal(run(filter, arch.i386, 3_000_000_000)[0], error(ENOSYS));
  // A hole below the newest known call is not new.
  assert.equal(run(filter, arch.x86_64, 400)[0], error(EPERM));
  const alone: ProfileJson = { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [] };
  assert.equal(run(filterOf(alone), arch.x86_64, 600)[0], allowed);
  // Without x32 in the profile its bit is a foreign CPU type, whatever the default is.
  assert.equal(run(filterOf(alone), arch.x86_64, x32Bit)[0], killed);
  assert.equal(run(filterOf(alone), arch.i386, 1)[0], killed);
});

test('every call of every CPU type gets what a plain reading of the profile gives', () => {
  const abis: [string, Abi[]][] = [
    ['x64', ['x86_64', 'i386', 'x32']],
    ['arm64', ['arm64', 'arm']],
    ['riscv64', ['riscv64']],
  ];
  const sets = [0n, defaultCapabilities, everything, capabilitySet(['SYS_ADMIN']), capabilitySet(['SYSLOG', 'BPF'])];
  const samples = [0n, 1n, 8n, 11n, 12n, 19n, 38n, 40n, 45n, 46n, 0x20000n, 0x10000011n, 0xffffffffn, 1n << 63n];
  let checked = 0;
  for (const [cpu, own] of abis) {
    for (const capabilities of sets) {
      const target = { ...x64, cpu, capabilities };
      const filter = filterOf(defaultProfile, target);
      assert.ok(filter.length / 8 <= 4096);
      for (const abi of own) {
        for (const [name] of syscallNumbers(abi)) {
          // What lies above all that the profile names is new to it.
          if (['open_tree_attr', 'file_getattr', 'file_setattr', 'usr26', 'usr32', 'get_tls'].includes(name)) continue;
          for (const sample of ['clone', 'socket', 'personality'].includes(name) ? samples : [0n]) {
            const expected = evaluate(defaultProfile, target, abi, name, [sample]);
            assert.equal(verdict(filter, abi, name, sample), expected, `${cpu} ${abi} ${name}(${sample})`);
            checked++;
          }
        }
      }
    }
  }
  assert.ok(checked > 10_000, String(checked));
});

test('an allowed call costs few instructions', () => {
  const filter = filterOf(defaultProfile);
  const costs = [...syscallNumbers('x86_64')].map(([, number]) => run(filter, arch.x86_64, number)[1]);
  assert.ok(Math.max(...costs) <= 45, `most ${Math.max(...costs)}`);
  const read = run(filter, arch.x86_64, 0)[1];
  assert.ok(read <= 13, `read takes ${read}`);
});

test('comparisons look at all 64 bits', () => {
  const value = 0x1_0000_0005n;
  const samples = [0n, 4n, 5n, 6n, value - 1n, value, value + 1n, 0x2_0000_0000n, 0x2_0000_0005n, (1n << 64n) - 1n];
  const expected: Record<string, (x: bigint) => boolean> = {
    NE: (x) => x !== value,
    LT: (x) => x < value,
    LE: (x) => x <= value,
    EQ: (x) => x === value,
    GE: (x) => x >= value,
    GT: (x) => x > value,
    MASKED_EQ: (x) => (x & value) === 5n,
  };
  for (const [comparison, holds] of Object.entries(expected)) {
    const json = `{"defaultAction":"SCMP_ACT_KILL_PROCESS","syscalls":[{"names":["read"],"action":"SCMP_ACT_ALLOW",
      "args":[{"index":5,"value":${value},"valueTwo":5,"op":"SCMP_CMP_${comparison}"}]}]}`;
    const filter = filterOf(parseSeccompProfile(json));
    for (const sample of samples) {
      const got = run(filter, arch.x86_64, 0, [0n, 0n, 0n, 0n, 0n, sample])[0];
      assert.equal(got, holds(sample) ? allowed : killed, `${sample} ${comparison}`);
    }
  }
});

test("a user's profile", () => {
  const json = {
    defaultAction: 'SCMP_ACT_ALLOW',
    architectures: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_S390'],
    flags: ['SECCOMP_FILTER_FLAG_LOG'],
    syscalls: [
      { names: ['mkdir', 'no_such_call'], action: 'SCMP_ACT_ERRNO', errnoRet: 13 },
      { name: 'kill', action: 'SCMP_ACT_TRAP' },
      { names: ['chmod'], action: 'SCMP_ACT_ERRNO' },
      { names: ['getpid'], action: 'SCMP_ACT_KILL' },
      { names: ['getppid'], action: 'SCMP_ACT_LOG' },
      { names: ['tkill'], action: 'SCMP_ACT_TRACE', errnoRet: 7 },
      { names: ['acct'], action: 'SCMP_ACT_ERRNO', includes: { minKernel: '6.2' } },
      { names: ['sync'], action: 'SCMP_ACT_ERRNO', excludes: { minKernel: '6.2' } },
      {
        names: ['lseek'],
        action: 'SCMP_ACT_ERRNO',
        args: [
          { index: 2, value: 3, op: 'SCMP_CMP_EQ' },
          { index: 2, value: 4, op: 'SCMP_CMP_EQ' },
        ],
      },
      { names: ['socket'], action: 'SCMP_ACT_ERRNO', args: [{ index: 0, value: 17, op: 'SCMP_CMP_EQ' }] },
      { names: ['shmat'], action: 'SCMP_ACT_ERRNO', args: null, includes: null, excludes: {} },
      { names: ['getuid'], action: 'SCMP_ACT_ERRNO', includes: { caps: ['CAP_OF_TOMORROW'] } },
    ],
  };
  const profile = parseSeccompProfile(JSON.stringify(json));
  const { filter, flags } = compileSeccomp(profile, x64)!;
  assert.equal(flags, 2);
  const cases: [Abi, string, bigint[], number][] = [
    ['x86_64', 'mkdir', [], error(13)],
    ['x86_64', 'kill', [], 0x30000],
    ['x86_64', 'chmod', [], error(EPERM)],
    ['x86_64', 'getuid', [], allowed],
    ['x86_64', 'getpid', [], 0],
    ['x86_64', 'getppid', [], 0x7ffc0000],
    ['x86_64', 'tkill', [], 0x7ff00007],
    ['x86_64', 'acct', [], allowed],
    ['x86_64', 'sync', [], error(EPERM)],
    ['x86_64', 'lseek', [0n, 0n, 4n], error(EPERM)],
    ['x86_64', 'lseek', [0n, 0n, 5n], allowed],
    ['x86_64', 'socket', [17n], error(EPERM)],
    ['x86_64', 'socket', [2n], allowed],
    ['i386', 'mkdir', [], error(13)],
    // What is forbidden by an argument that cannot be seen is forbidden at all.
    ['i386', 'socketcall', [1n], error(EPERM)],
    ['i386', 'socketcall', [2n], allowed],
    ['i386', 'ipc', [0x10015n], error(EPERM)],
    ['i386', 'ipc', [22n], allowed],
  ];
  for (const [abi, name, args, expected] of cases) {
    assert.equal(verdict(filter, abi, name, ...args), expected, `${abi} ${name} ${args}`);
  }
});

test('a rule without checks counts before those with, the first one; one that says the default says nothing', () => {
  const check = { index: 0, value: 1, op: 'SCMP_CMP_EQ' };
  const profile: ProfileJson = {
    defaultAction: 'SCMP_ACT_ERRNO',
    syscalls: [
      { names: ['read'], action: 'SCMP_ACT_ERRNO', errnoRet: 5, args: [check] },
      { names: ['read'], action: 'SCMP_ACT_ALLOW' },
      { names: ['write'], action: 'SCMP_ACT_ERRNO', errnoRet: 1 },
      { names: ['write'], action: 'SCMP_ACT_ALLOW', args: [check] },
    ],
  };
  const filter = filterOf(profile);
  assert.equal(verdict(filter, 'x86_64', 'read', 1n), allowed);
  assert.equal(verdict(filter, 'x86_64', 'write', 1n), allowed);
  assert.equal(verdict(filter, 'x86_64', 'write', 2n), error(EPERM));
});

test('profiles that make no sense are refused', () => {
  const cases: [string, RegExp][] = [
    ['{', /^HolmError: Decoding seccomp profile failed: /],
    ['[]', /not an object/],
    ['{"architectures":["SCMP_ARCH_X86"],"archMap":[{"architecture":"a"}]}', /both 'architectures' and 'archMap'/],
    ['{"syscalls":5}', /"syscalls" has not the form/],
    ['{"syscalls":[{"names":"read","action":"SCMP_ACT_ALLOW"}]}', /"names" has not the form/],
    ['{"syscalls":[{"names":["read"],"includes":{"caps":"x"}}]}', /"caps" has not the form/],
    ['{"archMap":[1]}', /"archMap" has not the form/],
    ['{"defaultAction":"SCMP_ACT_MAYBE"}', /action "SCMP_ACT_MAYBE" is unknown/],
    ['{"defaultAction":"SCMP_ACT_ALLOW","flags":["X"]}', /flag "X" is unknown/],
    ['{"defaultAction":"SCMP_ACT_NOTIFY"}', /no listener/],
    ['{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"name":"a","names":["b"],"action":"SCMP_ACT_ALLOW"}]}', /'name'/],
    [
      '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_TRAP","args":[{"index":6,"value":0,"op":"SCMP_CMP_EQ"}]}]}',
      /no argument 6/,
    ],
    [
      '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_TRAP","args":[{"index":0,"value":-1,"op":"SCMP_CMP_EQ"}]}]}',
      /not an unsigned/,
    ],
  ];
  for (const [json, expected] of cases) assert.throws(() => filterOf(parseSeccompProfile(json)), expected, json);
  assert.equal(compileSeccomp(parseSeccompProfile('{}'), x64), undefined);
  assert.deepEqual(seccompSteps(undefined), []);
});

test('numbers beyond a double are kept, and the default flags are runc’s', () => {
  const json = `{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_TRAP",
    "args":[{"index":0,"value":18446744073709551615,"op":"SCMP_CMP_EQ"}]}]}`;
  const { filter, flags } = compileSeccomp(parseSeccompProfile(json), x64)!;
  assert.equal(verdict(filter, 'x86_64', 'read', (1n << 64n) - 1n), 0x30000);
  assert.equal(verdict(filter, 'x86_64', 'read', (1n << 64n) - 2n), allowed);
  assert.equal(flags, 4);
});

test('numbers of calls are those of the kernel', () => {
  const cases: [Abi, string, number][] = [
    ['x86_64', 'execve', 59],
    ['x86_64', 'rseq', 334],
    ['x86_64', 'mseal', 462],
    ['x32', 'execve', x32Bit + 520],
    ['i386', 'execve', 11],
    ['i386', 'clock_gettime64', 403],
    ['arm64', 'execve', 221],
    ['arm64', 'renameat', 38],
    ['arm', 'execve', 11],
    ['arm', 'set_tls', 0xf0005],
    ['riscv64', 'riscv_flush_icache', 259],
    ['riscv64', 'clone3', 435],
  ];
  for (const [abi, name, number] of cases) assert.equal(syscallNumbers(abi).get(name), number, `${abi} ${name}`);
  assert.equal(syscallNumbers('riscv64').has('renameat'), false);
  assert.equal(syscallNumbers('x32').has('uselib'), false);
});

test('whether a process may hand over under a filter', () => {
  const may = (profile: unknown) => compileSeccomp(parseSeccompProfile(JSON.stringify(profile)), x64)?.allowsHandOver;
  assert.equal(compileSeccomp(defaultProfile, x64)?.allowsHandOver, true, 'docker’s own');
  const but = (names: string[], args: object[] = [], action = 'SCMP_ACT_ERRNO') => ({
    defaultAction: 'SCMP_ACT_ALLOW',
    syscalls: [{ names, action, args }],
  });
  const flags = (value: number, valueTwo = 0) => [{ index: 0, value, valueTwo, op: 'SCMP_CMP_MASKED_EQ' }];
  assert.equal(may(but(['mkdir'])), true);
  assert.equal(may(but(['clone'], [], 'SCMP_ACT_LOG')), true);
  for (const name of ['clone', 'write', 'recvfrom', 'execve', 'setsid', 'prctl', 'ioctl'])
    assert.equal(may(but([name])), false, name);
  // New namespaces alone are forbidden; then all that has CLONE_PARENT.
  assert.equal(may(but(['clone'], flags(0x10000000, 0x10000000))), true);
  assert.equal(may(but(['clone'], flags(0x8000, 0x8000))), false);
  assert.equal(
    may({ defaultAction: 'SCMP_ACT_ERRNO', syscalls: [{ names: ['execve'], action: 'SCMP_ACT_ALLOW' }] }),
    false,
  );
});
