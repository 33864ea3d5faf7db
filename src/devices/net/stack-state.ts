// The saved state of the user-mode stack, as plain values.
import type { DeviceState, StateValue } from '../device.ts';
import type { CutConnection } from './tcp-nat.ts';

export interface StackState {
  readonly leases: readonly (readonly [string, number])[];
  readonly neighbours: readonly (readonly [number, Uint8Array])[];
  readonly connections: readonly CutConnection[];
}

export function saveStack({ leases, neighbours, connections }: StackState): DeviceState {
  return {
    leases,
    neighbours,
    connections: connections.map(({ guest, remote, next, acknowledged }) => [
      guest.address,
      guest.port,
      remote.address,
      remote.port,
      next,
      acknowledged,
    ]),
  };
}

export function loadStack(state: DeviceState): StackState {
  return {
    leases: state.leases as readonly [string, number][],
    neighbours: state.neighbours as readonly [number, Uint8Array][],
    connections: (state.connections as readonly StateValue[]).map((row) => {
      const [address = 0, port = 0, remoteAddress = 0, remotePort = 0, next = 0, acknowledged = 0] = row as number[];
      return { guest: { address, port }, remote: { address: remoteAddress, port: remotePort }, next, acknowledged };
    }),
  };
}
