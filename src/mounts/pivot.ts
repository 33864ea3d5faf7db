// The change of root (A1: pivot_root, not chroot), as pivot_root(2) describes under "pivot_root(".", ".")".
import { MNT_DETACH, MS_REC, MS_SLAVE } from '../kernel/constants.ts';
import { type Program, type Register, step } from '../kernel/steps.ts';

/** Makes the mount behind `root` the root of this mount namespace and drops the host's tree from it. */
export function pivotRoot(root: Register): Program {
  return [
    step('fchdir', [root], 'enter the new root'),
    step('pivot_root', ['.', '.'], 'change the root', { why: 'the host’s files are no longer reachable, by no path' }),
    step('mount', [null, '.', null, MS_REC | MS_SLAVE, null], 'cut the old root off', {
      why: 'unmounting it here must not unmount it on the host',
    }),
    step('umount2', ['.', MNT_DETACH], 'unmount the old root'),
    step('chdir', ['/'], 'enter "/"'),
  ];
}
