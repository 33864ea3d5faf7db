// Resource limits (prlimit(2)) and the out-of-memory score of a guest's first process, as steps for the process itself. Root
// may lack CAP_SYS_RESOURCE: then raising a hard limit or lowering the score gives EPERM, an error only where a user asked.
import { HolmError } from '../base/error.ts';
import { AT_FDCWD, errno, O_WRONLY } from '../kernel/constants.ts';
import { type Program, type Register, step } from '../kernel/steps.ts';

/** asm-generic/resource.h: a resource's number is its place. */
export const rlimitNames: readonly string[] = [
  'cpu',
  'fsize',
  'data',
  'stack',
  'core',
  'rss',
  'nproc',
  'nofile',
  'memlock',
  'as',
  'locks',
  'sigpending',
  'msgqueue',
  'nice',
  'rtprio',
  'rttime',
];

export interface Rlimit {
  /** Without RLIMIT_, any case. */
  readonly name: string;
  /** -1 is no limit. */
  readonly soft: number;
  readonly hard: number;
}

/** Limits as given; `asked` says whether by a user, who is told when one cannot be set. For the caller, unless `pid` holds another. */
export function rlimitSteps(limits: readonly Rlimit[], asked: boolean, pid?: Register): Program {
  return limits.map(({ name, soft, hard }) => {
    const number = rlimitNames.indexOf(name.toLowerCase().replace(/^rlimit_/, ''));
    if (number < 0) throw new HolmError('invalid', `invalid ulimit type: ${name}`);
    if (hard >= 0 && (soft < 0 || soft > hard)) {
      throw new HolmError(
        'invalid',
        `ulimit soft limit must be less than or equal to hard limit: ${soft < 0 ? 'unlimited' : soft} > ${hard}`,
      );
    }
    const bytes = Buffer.alloc(16);
    bytes.writeBigInt64LE(BigInt(soft), 0);
    bytes.writeBigInt64LE(BigInt(hard), 8);
    return step('prlimit64', [pid ?? 0, number, bytes, null], `set ulimit ${name}=${soft}:${hard}`, {
      ...(asked ? {} : { tolerate: [errno.EPERM] }),
    });
  });
}

/** Writes the score of the caller, or of the process that `pid` holds; while the host's /proc is still in sight. */
export function oomScoreSteps(score: number, asked: boolean, pid?: Register): Program {
  if (!Number.isInteger(score) || score < -1000 || score > 1000) {
    throw new HolmError('invalid', `Invalid value ${score}, range for oom score adj is [-1000, 1000]`);
  }
  const file = '/oom_score_adj';
  const path = pid === undefined ? `/proc/self${file}` : { prefix: '/proc/', register: pid, suffix: file };
  return [
    step(
      'write_file',
      [AT_FDCWD, path, Buffer.from(String(score)), O_WRONLY],
      `set the out-of-memory score to ${score}`,
      asked
        ? { why: 'which processes go first when memory runs out' }
        : { tolerate: [errno.EPERM, errno.EACCES], why: "the daemon's own must not be inherited" },
    ),
  ];
}
