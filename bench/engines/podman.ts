// podman: its API as `podman system service`, its command in the same namespaces. Each container is a new podman, conmon and
// runtime. Limits of open files stay where a root without CAP_SYS_RESOURCE can set them.
import { join } from 'node:path';
import { detectHierarchies } from '../../src/cgroups/hierarchy.ts';
import { privateSystem } from './dockerd.ts';
import type { EngineHome, EngineKind } from './engine.ts';

const settings = '[containers]\\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\\n';

export function podman(program: string, version: string): EngineKind {
  const command = ({ directory, run }: EngineHome): readonly string[] => [
    ...[program, '--root', join(directory, 'data'), '--runroot', join(run, 'root'), '--tmpdir', join(run, 'tmp')],
    ...['--cgroup-manager', 'cgroupfs', '--events-backend', 'file', '--log-level', 'error'],
  ];
  return {
    name: 'podman',
    version,
    // Version 4.3 refuses to attach before the start, as clients of today do.
    takesDockerClient: false,
    command: (home) => [...command(home), 'system', 'service', '--time', '0', `unix://${home.socket}`],
    setUp: [privateSystem, `printf '${settings}' > containers.conf`, ...hideUnified()].join('; '),
    environment: { CONTAINERS_CONF: 'containers.conf' },
    hostConfig: ({ guests }) => ({ CgroupParent: `/${guests}` }),
    client: (home, pid, timed) => [
      ...['nsenter', '--target', String(pid), '--net', '--mount', `--wd=${home.directory}`, timed],
      ...command(home),
    ],
    runOptions: ({ guests }) => ['--cgroup-parent', `/${guests}`],
  };
}

/** crun, which podman runs, refuses a v2 hierarchy beside v1's: there it is taken out of sight. */
export function hideUnified(): readonly string[] {
  const { unified, v1 } = detectHierarchies();
  return v1.length > 0 && unified !== undefined ? [`umount '${unified.mount}'`] : [];
}
