// i386 can make the socket and System V calls also through socketcall(2) and ipc(2), by a number in the first argument.
// Rules for the plain names are carried over to these, as libseccomp does.
import type { Rule, Verdict } from './seccomp-bpf.ts';

/** linux/net.h: a call's number is its place, from 1. */
const socketcalls = `socket bind connect listen accept getsockname getpeername socketpair send recv sendto recvfrom
  shutdown setsockopt getsockopt sendmsg recvmsg accept4 recvmmsg sendmmsg`.split(/\s+/);

/** linux/ipc.h */
const ipcCalls: Readonly<Record<string, number>> = {
  semop: 1,
  semget: 2,
  semctl: 3,
  semtimedop: 4,
  msgsnd: 11,
  msgrcv: 12,
  msgget: 13,
  msgctl: 14,
  shmat: 21,
  shmdt: 22,
  shmget: 23,
  shmctl: 24,
};

/**
 * The rules for the same calls made through socketcall and ipc. Their arguments lie in memory, out of a filter's sight: a
 * rule that allows by argument is not carried over, one that forbids by argument forbids always.
 */
export function multiplexed(rules: readonly Rule[], isPermissive: (verdict: Verdict) => boolean): Rule[] {
  return rules.flatMap(({ name, checks, verdict }): Rule[] => {
    if (checks.length > 0 && isPermissive(verdict)) return [];
    const socketcall = socketcalls.indexOf(name) + 1;
    if (socketcall > 0) {
      const check = { index: 0, comparison: 'EQ', value: BigInt(socketcall), valueTwo: 0n } as const;
      return [{ name: 'socketcall', checks: [check], verdict }];
    }
    const ipc = ipcCalls[name];
    if (ipc === undefined) return [];
    // The upper half of ipc's first argument is a version.
    const check = { index: 0, comparison: 'MASKED_EQ', value: 0xffffn, valueTwo: BigInt(ipc) } as const;
    return [{ name: 'ipc', checks: [check], verdict }];
  });
}
