// The devices controller: in v1 two files, in v2 an eBPF program on the group's directory. What is allowed comes ready made
// (security/devices.ts); this is only the way into the group.
import { type Program, type Register, step } from '../kernel/steps.ts';
import type { Write } from './controller.ts';

/** Which devices the guest may use, as the kernel takes it. */
export interface DeviceAccess {
  /** struct bpf_insn[] for v2. */
  readonly program: Uint8Array;
  /** For v1, in this order. */
  readonly writes: readonly { readonly file: string; readonly value: string }[];
}

export function deviceWrites(access: DeviceAccess): Write[] {
  return access.writes.map((write) => ({ ...write, what: `device rule "${write.value}"` }));
}

/** Attaches the program to the v2 group whose directory is in the register. */
export function deviceProgram(access: DeviceAccess, directory: Register): Program {
  return [
    step('device_filter', [directory, access.program], 'set device rules', {
      why: 'only the devices that were given may be opened',
    }),
  ];
}
