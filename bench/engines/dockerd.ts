// dockerd with its containerd, as Debian packages them. Told the least that lets it run for itself; the settings of
// out-of-memory scores are those that a root without CAP_SYS_RESOURCE may make.
import { join } from 'node:path';
import type { EngineKind } from './engine.ts';

/** Its own files only: what an engine writes to /etc, /var/lib and /run is kept in its own directory. */
export const privateSystem: string = [
  'mount -t overlay overlay -o "lowerdir=/etc,upperdir=$PWD/etc/upper,workdir=$PWD/etc/work" /etc',
  'mount -t overlay overlay -o "lowerdir=/var/lib,upperdir=$PWD/lib/upper,workdir=$PWD/lib/work" /var/lib',
  'mount -t tmpfs tmpfs /run',
  'mount -t tmpfs tmpfs /dev/shm',
].join('; ');

export function dockerd(program: string, version: string): EngineKind {
  return {
    name: 'dockerd',
    version,
    takesDockerClient: true,
    command: ({ directory, run, socket, guests }) => [
      ...[program, '--data-root', join(directory, 'data'), '--exec-root', run, '--pidfile', join(run, 'pid')],
      ...['--host', `unix://${socket}`, '--config-file', join(directory, 'daemon.json'), '--oom-score-adjust', '0'],
      ...['--exec-opt', 'native.cgroupdriver=cgroupfs', '--cgroup-parent', `/${guests}`, '--log-level', 'warn'],
    ],
    setUp: `${privateSystem}; echo '{}' > daemon.json`,
  };
}
