// Kernel settings (sysctl) that a container may have of its own: those that one of its namespaces keeps apart from the host's.
import { HolmError } from '../base/error.ts';
import type { ContainerConfig } from './container.ts';

const ipcNames = ['msgmax', 'msgmnb', 'msgmni', 'sem', 'shmall', 'shmmax', 'shmmni', 'shm_rmid_forced'].map(
  (name) => `kernel.${name}`,
);

/** Throws `invalid` on a setting that would change the host or another container. */
export function checkSysctls({ sysctls, network, namespaces }: ContainerConfig): void {
  for (const asked of Object.keys(sysctls)) {
    const name = asked.replaceAll('/', '.');
    const ownNetwork = network.from === 'network' || network.from === 'none';
    const ownIpc = namespaces.ipc.from === 'new' || namespaces.ipc.from === 'none';
    const isOwn =
      (name.startsWith('net.') && ownNetwork) ||
      ((ipcNames.includes(name) || name.startsWith('fs.mqueue.')) && ownIpc) ||
      (name === 'kernel.domainname' && namespaces.uts.from === 'new');
    if (!isOwn || /[^\w.:-]|\.\./.test(name)) {
      throw new HolmError('invalid', `sysctl "${asked}" is not in a separate kernel namespace`);
    }
  }
}
