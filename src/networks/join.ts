// The programs that join a starting container to the default bridge. The guard, in the host's namespace, makes the veth in
// one message: its end on the bridge and its end in the container's namespace. The container's own first process, still
// all-powerful, then gives itself the address, the way out and the loopback, in one message batch.
import { AT_FDCWD, errno, O_WRONLY } from '../kernel/constants.ts';
import { guestPid, type Program, type Register, register, step } from '../kernel/steps.ts';
import { acknowledgeLast, NETLINK_ROUTE, netlinkSteps } from '../netlink/program.ts';
import { addAddress, addRoute, changeLink, createLink } from '../netlink/route.ts';
import type { Endpoint } from './network.ts';

/** The register that these programs use; other parts of a start leave it alone. */
const socket: Register = register(28);
const loopback = 1;
/** The index of eth0 inside, asked for so that one batch can name it; beyond those of tunnels a new namespace may come with. */
const insideIndex = 32;
const insideName = 'eth0';

export interface Join {
  /** For the guard, in the host's network namespace. */
  readonly after: Program;
  /** For the stage, in its own. */
  readonly stage: Program;
}

export const nothing: Join = { after: [], stage: [] };

/** An Ethernet address made of the IPv4 address, as docker does: neighbours need not learn anew when one is used again. */
export function macOf(address: number): string {
  const bytes = [2, 0x42, address >>> 24, (address >>> 16) & 255, (address >>> 8) & 255, address & 255];
  return bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** The name of a veth's end on the host: "holm" and eleven digits of the endpoint's id. */
export function hostEndOf({ endpointId }: Pick<Endpoint, 'endpointId'>): string {
  return `holm${endpointId.slice(0, 11)}`;
}

/** The index of that end: the kernel takes one for a peer only together with one for the first end. Far beyond its own. */
function hostIndexOf({ endpointId }: Endpoint): number {
  return 0x40000000 | (Number.parseInt(endpointId.slice(0, 8), 16) & 0x3fffffff);
}

/** A namespace with nothing but its loopback. */
export function joinNone(): Join {
  const messages = [changeLink({ index: loopback, up: true })];
  return { after: [], stage: netlinkSteps(NETLINK_ROUTE, messages, 'bring up the loopback interface', socket) };
}

export function joinBridge(endpoint: Endpoint, bridge: { name: string; index: number; mtu: number }): Join {
  const { address, prefixLength, gateway, macAddress, networkName } = endpoint;
  const { mtu } = bridge;
  const veth = createLink(
    { name: hostEndOf(endpoint), index: hostIndexOf(endpoint), up: true, mtu, master: bridge.index },
    { is: 'veth', peer: { name: insideName, index: insideIndex, macAddress, mtu, namespace: { pid: guestPid } } },
  );
  const inside = acknowledgeLast([
    changeLink({ index: loopback, up: true }),
    addAddress({ index: insideIndex, address, prefixLength }),
    changeLink({ index: insideIndex, up: true }),
    addRoute({ gateway }),
  ]);
  return {
    after: netlinkSteps(NETLINK_ROUTE, [veth], `join the container to network "${networkName}"`, socket, {
      why: `a cable from bridge "${bridge.name}" to ${insideName} in the container’s namespace`,
    }),
    stage: [
      disableIpv6(),
      ...netlinkSteps(NETLINK_ROUTE, inside, `give ${insideName} the address ${address}/${prefixLength}`, socket, {
        why: 'loopback up, address, interface up, default route: one batch',
      }),
    ],
  };
}

/** The default bridge has no IPv6; without this the interface would announce an address nobody can use. */
function disableIpv6(): Program[number] {
  const path = `/proc/sys/net/ipv6/conf/${insideName}/disable_ipv6`;
  return step('write_file', [AT_FDCWD, path, Buffer.from('1'), O_WRONLY], `disable IPv6 on ${insideName}`, {
    why: 'the default bridge has IPv4 only',
    tolerate: [errno.ENOENT],
  });
}
