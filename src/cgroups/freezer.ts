// Stopping and going on of all processes of a group at once: cgroup.freeze of v2's core (since Linux 5.2; what is frozen can
// still be killed), the freezer controller of v1 (what is frozen dies only after the thaw).

export interface Freezer {
  /** The v1 controller that has it; absent: the core of v2. */
  readonly controller?: string;
  readonly file: string;
  readonly frozen: string;
  readonly thawed: string;
  /** The file that tells how things stand, and what it then says. */
  readonly stateFile: string;
  readonly isFrozen: RegExp;
}

export const freezerV2: Freezer = {
  file: 'cgroup.freeze',
  frozen: '1',
  thawed: '0',
  stateFile: 'cgroup.events',
  isFrozen: /^frozen 1$/m,
};

export const freezerV1: Freezer = {
  controller: 'freezer',
  file: 'freezer.state',
  frozen: 'FROZEN',
  thawed: 'THAWED',
  stateFile: 'freezer.state',
  isFrozen: /^FROZEN$/m,
};
