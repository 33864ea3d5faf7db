// The programs that join a starting container to its network. For the default bridge the guard makes the veth in one
// message, its end on the bridge and its end in the container's namespace, and sets the latter up in one batch.
import { AT_FDCWD, CLONE_NEWNET, errno, O_CLOEXEC, O_RDONLY, O_WRONLY } from '../kernel/constants.ts';
import { guestPid, guestPidfd, type Program, type Register, register, type Step, step } from '../kernel/steps.ts';
import { changeLink, createLink, getLink } from '../netlink/link.ts';
import { acknowledgeLast, NETLINK_ROUTE, netlinkSteps, openSocket, sendMessages } from '../netlink/program.ts';
import { addAddress, addRoute } from '../netlink/route.ts';
import type { Endpoint } from './network.ts';

/** The registers that these programs use; other parts of a start leave them alone. */
const socket: Register = register(28);
const insideSocket: Register = register(27);
const hostNamespace: Register = register(26);
const loopback = 1;
/** The index of eth0 inside, asked for so that one batch can name it; beyond those of tunnels a new namespace may come with. */
const insideIndex = 32;
const insideName = 'eth0';

export interface Join {
  /** For the guard, in the host's network namespace, once the stage exists. */
  readonly after: Program;
  /** For the stage, in its own namespace, once the guard is done. */
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

/**
 * The guard does it all, while the stage builds its root: the cable, a visit to the container's namespace to set its end
 * up, and a look at both ends. The look is there for its effect: since Linux 6.8 it makes the kernel take note at once that
 * the link is up; before it does, some time later, packets are dropped, and whoever lost one asks again after a second.
 */
export function joinBridge(endpoint: Endpoint, bridge: { name: string; index: number; mtu: number }): Join {
  const { address, prefixLength, gateway, macAddress, networkName } = endpoint;
  const { mtu } = bridge;
  const end = { name: hostEndOf(endpoint), index: hostIndexOf(endpoint) };
  const veth = createLink(
    { ...end, up: true, mtu, master: bridge.index },
    { is: 'veth', peer: { name: insideName, index: insideIndex, macAddress, mtu, namespace: { pid: guestPid } } },
  );
  const inside = acknowledgeLast([
    changeLink({ index: loopback, up: true }),
    addAddress({ index: insideIndex, address, prefixLength }),
    changeLink({ index: insideIndex, up: true }),
    addRoute({ gateway }),
    getLink(insideIndex),
  ]);
  return {
    after: [
      openNamespace(),
      openSocket(NETLINK_ROUTE, socket),
      sendMessages(socket, [veth], `join the container to network "${networkName}"`, {
        why: `a cable from bridge "${bridge.name}" to ${insideName} in the container’s namespace`,
      }),
      step('setns', [guestPidfd, CLONE_NEWNET], 'enter the container’s network namespace'),
      disableIpv6(),
      ...netlinkSteps(
        NETLINK_ROUTE,
        inside,
        `give ${insideName} the address ${address}/${prefixLength}`,
        insideSocket,
        {
          why: 'loopback up, address, interface up, default route: one batch',
        },
      ),
      step('setns', [hostNamespace, CLONE_NEWNET], 'return to the host’s network namespace'),
      sendMessages(socket, acknowledgeLast([getLink(end.index)]), `see ${end.name} up`, {
        why: 'the bridge forwards to it from now on',
      }),
      step('close', [socket], 'close the netlink socket'),
      step('close', [hostNamespace], 'close the host’s network namespace'),
    ],
    stage: [],
  };
}

function openNamespace(): Step {
  const how = Buffer.alloc(24); // struct open_how: flags, mode, resolve
  how.writeBigUInt64LE(BigInt(O_RDONLY | O_CLOEXEC));
  return step('openat2', [AT_FDCWD, '/proc/self/ns/net', how, how.length], 'open the host’s network namespace', {
    result: hostNamespace,
  });
}

/** The default bridge has no IPv6; without this the interface would announce an address nobody can use. */
function disableIpv6(): Step {
  const path = `/proc/sys/net/ipv6/conf/${insideName}/disable_ipv6`;
  return step('write_file', [AT_FDCWD, path, Buffer.from('1'), O_WRONLY], `disable IPv6 on ${insideName}`, {
    why: 'the default bridge has IPv4 only',
    tolerate: [errno.ENOENT],
  });
}
