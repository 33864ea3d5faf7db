// What a guest may reach through the user-mode stack, and where that is for the host: asked once for each TCP
// connection and each UDP destination.
import { formatAddress } from './ipv4.ts';
import type { Endpoint } from './sockets.ts';
import { isWithin, type Subnet } from './subnet.ts';

export interface Destination {
  readonly protocol: 'tcp' | 'udp';
  readonly address: number;
  readonly port: number;
}

/** A rule of the machine's owner: false forbids. */
export type Rule = (destination: Destination) => boolean;

export interface ReachOptions {
  /** Services of the host's loopback answer at the gateway's address. */
  readonly hostLoopback?: boolean;
  readonly allows?: Rule;
  readonly resolver: () => Endpoint | undefined;
}

/** The host's endpoint for what the guest asked for; undefined when it may not or cannot be reached. */
export function reach(subnet: Subnet, options: ReachOptions, to: Destination): Endpoint | undefined {
  if (to.port === 0 || options.allows?.(to) === false) return undefined;
  if (to.address === subnet.dns) return to.port === 53 ? options.resolver() : undefined;
  if (to.address === subnet.gateway) {
    return options.hostLoopback === true ? { host: '127.0.0.1', port: to.port } : undefined;
  }
  if (isWithin(subnet, to.address) || !isUnicast(to.address)) return undefined;
  return { host: formatAddress(to.address), port: to.port };
}

// Not "this network" (the host would take 0.0.0.0 for itself), not its loopback, not multicast, reserved, broadcast.
function isUnicast(address: number): boolean {
  const first = address >>> 24;
  return first !== 0 && first !== 127 && first < 224;
}
