// Runs debootstrap(8) in mount and process namespaces of its own: when it ends or is killed, nothing of it is left.
import { spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { HolmError, hasCode } from '../base/error.ts';
import type { AptSource } from './apt-sources.ts';
import { type DebianRelease, debootstrapEnvironment, keyringArguments } from './debian-release.ts';

export interface Bootstrap {
  readonly suite: string;
  /** As Debian has it. */
  readonly architecture: string;
  readonly include: readonly string[];
  readonly mirror: string;
  readonly source: AptSource | undefined;
  /** Where packages are kept. */
  readonly packagesDirectory: string;
  /** Finds, verifies and fetches the packages, and nothing more: they lie in the root's var/cache/apt/archives. */
  readonly downloadOnly: boolean;
  readonly onProgress: (status: string) => void;
  readonly signal: AbortSignal | undefined;
}

/** Makes `root`; `work` is a directory for what must not be in it. Throws `unavailable` when debootstrap is not installed. */
export async function debootstrap(job: Bootstrap, release: DebianRelease, root: string, work: string): Promise<void> {
  await mkdir(job.packagesDirectory, { recursive: true });
  const child = spawn(
    'unshare',
    [
      ...['--mount', '--pid', '--fork', '--kill-child', '--mount-proc', '--propagation', 'private', '--'],
      ...['debootstrap', '--variant=minbase', `--arch=${job.architecture}`],
      `--cache-dir=${job.packagesDirectory}`,
      ...(job.downloadOnly ? ['--download-only'] : []),
      ...(await keyringArguments(job.source, work)),
      ...(job.include.length === 0 ? [] : [`--include=${job.include.join(',')}`]),
      ...[job.suite, root, job.mirror],
    ],
    {
      env: await debootstrapEnvironment(release.epoch),
      stdio: ['ignore', 'pipe', 'pipe'],
      cwd: '/',
      ...(job.signal === undefined ? {} : { signal: job.signal }),
    },
  );
  const said: string[] = [];
  const hear = (line: string): void => {
    said.push(line);
    if (said.length > 20) said.shift();
    job.onProgress(line.replace(/^[IWE]: /, ''));
  };
  createInterface(child.stdout).on('line', hear);
  createInterface(child.stderr).on('line', hear);
  const { promise, resolve, reject } = Promise.withResolvers<number | null>();
  child.on('error', reject).on('close', resolve);
  const code = await promise.catch((cause: unknown) => {
    const isAbsent = hasCode(cause, 'ENOENT');
    throw new HolmError(isAbsent ? 'unavailable' : 'cancelled', 'Cannot run debootstrap', { cause });
  });
  if (code === 0) return;
  const why = said.filter((line) => /^E: /.test(line)).join('; ') || said.slice(-3).join('; ');
  const isAbsent = code === 127 || /debootstrap: No such file/.test(why);
  throw new HolmError(
    isAbsent ? 'unavailable' : 'internal',
    isAbsent
      ? `Cannot make an image of "${job.suite}": debootstrap is not installed`
      : `Cannot make an image of "${job.suite}": debootstrap failed: ${why}`,
  );
}
