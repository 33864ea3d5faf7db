// Ports and shares of `holm machine create` as they are written on the command line.
import { resolve } from 'node:path';
import { HolmError } from '../../base/error.ts';
import type { MachinePort, MachineShare } from '../../machines/machine.ts';

/** `[[ADDRESS:]PORT:]GUESTPORT[/udp]`; the port is the guest's unless told. */
export function parsePort(text: string): MachinePort {
  const match = /^(?:(?:([^:/]+):)?(\d+):)?(\d+)(?:\/(tcp|udp))?$/.exec(text);
  if (!match) throw new HolmError('invalid', `invalid port "${text}": must be [[ADDRESS:]PORT:]GUESTPORT[/udp]`);
  const [, address, host, guest, protocol] = match;
  return {
    protocol: protocol === 'udp' ? 'udp' : 'tcp',
    hostAddress: address ?? '0.0.0.0',
    hostPort: Number(host ?? guest),
    guestPort: Number(guest),
  };
}

/** `DIRECTORY:TAG[:ro]`. */
export function parseShare(text: string): MachineShare {
  const match = /^([^:]+):([^:]+)(?::(ro|rw))?$/.exec(text);
  if (!match) throw new HolmError('invalid', `invalid share "${text}": must be DIRECTORY:TAG[:ro]`);
  const [, source, tag, access] = match;
  return { source: resolve(source!), tag: tag!, readOnly: access === 'ro' };
}
