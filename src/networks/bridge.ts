// The default bridge on the host: its link, its address, forwarding, the firewall's table. Everything goes through the
// keeper and so happens in the keeper's network namespace. Doing it again changes nothing.
import { HolmError } from '../base/error.ts';
import { AT_FDCWD, errno, O_CLOEXEC, O_RDONLY, O_WRONLY } from '../kernel/constants.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { register, step } from '../kernel/steps.ts';
import { changeLink, createLink, decodeLinks, type Link, listLinks, removeLink } from '../netlink/link.ts';
import type { Message } from '../netlink/message.ts';
import { decodeChains, listChains, removeTable, transaction } from '../netlink/nftables.ts';
import { exchange, NETLINK_NETFILTER, NETLINK_ROUTE } from '../netlink/program.ts';
import {
  addAddress,
  decodeAddresses,
  decodeRoutes,
  listAddresses,
  listRoutes,
  type Route,
  removeAddress,
} from '../netlink/route.ts';
import { firewall, routerChain, tableFor } from './firewall.ts';
import { macOf } from './join.ts';
import { type Subnet, toNumber, toText } from './subnet.ts';

/** The name of a veth's end on the host begins so. */
const hostEnd = /^holm[0-9a-f]{11}$/;
const forwardingPath = '/proc/sys/net/ipv4/ip_forward';
const defaultMtu = 1500;

/** What the host's own networking looks like. */
export interface Surroundings {
  readonly links: readonly Link[];
  readonly routes: readonly Route[];
}

export async function observe(kernel: Kernel): Promise<Surroundings> {
  return {
    links: await links(kernel),
    routes: decodeRoutes(await exchange(kernel, NETLINK_ROUTE, [listRoutes()], 'list the routes')),
  };
}

async function links(kernel: Kernel): Promise<readonly Link[]> {
  return decodeLinks(await exchange(kernel, NETLINK_ROUTE, [listLinks()], 'list the network interfaces'));
}

/** The ranges that the host routes by other links than the bridge of this name. */
export function routedElsewhere(
  { links, routes }: Surroundings,
  bridge: string,
): { first: number; prefixLength: number }[] {
  const own = links.find(({ name }) => name === bridge)?.index;
  return routes.flatMap(({ destination, prefixLength = 0, link }) =>
    destination === undefined || prefixLength === 0 || (own !== undefined && link === own)
      ? []
      : [{ first: toNumber(destination), prefixLength }],
  );
}

/** The MTU of the way out, at most 1500: larger packets of a guest could not leave. */
export function mtuOf({ links, routes }: Surroundings): number {
  const way = routes.find(({ destination, prefixLength }) => destination === undefined && prefixLength === 0)?.link;
  const mtu = links.find(({ index }) => index === way)?.mtu ?? defaultMtu;
  return mtu < 576 ? defaultMtu : Math.min(mtu, defaultMtu);
}

/** Makes or mends the bridge; gives its index. */
export async function buildBridge(
  kernel: Kernel,
  name: string,
  subnet: Subnet,
  surroundings: Surroundings,
): Promise<number> {
  const what = `set up bridge "${name}"`;
  const find = (list: readonly Link[]): Link | undefined => list.find((link) => link.name === name);
  let link = find(surroundings.links);
  if (link === undefined) {
    const kind = { is: 'bridge', multicastSnooping: false } as const;
    const request = createLink({ name, up: true, macAddress: macOf(subnet.gateway) }, kind);
    await exchange(kernel, NETLINK_ROUTE, [request], what, { tolerate: [errno.EEXIST] });
    link = find(await links(kernel));
  }
  if (link === undefined || link.kind !== 'bridge')
    throw new HolmError('conflict', `Cannot ${what}: a link of that name is there that is no bridge`);
  const gateway = { index: link.index, address: toText(subnet.gateway), prefixLength: subnet.prefixLength };
  const present = decodeAddresses(await exchange(kernel, NETLINK_ROUTE, [listAddresses()], what)).filter(
    ({ index }) => index === gateway.index,
  );
  const isRight = ({ address, prefixLength }: typeof gateway): boolean =>
    address === gateway.address && prefixLength === gateway.prefixLength;
  const messages: Message[] = present.filter((address) => !isRight(address)).map(removeAddress);
  if (!present.some(isRight)) messages.push(addAddress(gateway));
  if (!link.up) messages.push(changeLink({ index: link.index, up: true }));
  if (messages.length > 0) await exchange(kernel, NETLINK_ROUTE, messages, what);
  return link.index;
}

/** Lets the host forward, and puts the firewall's table right, first of all. */
export async function openTheWay(kernel: Kernel, bridge: string, subnet: Subnet): Promise<void> {
  const table = tableFor(bridge);
  const forwards = await isForwarding(kernel);
  const chains = decodeChains(await exchange(kernel, NETLINK_NETFILTER, [listChains()], 'list the chains of nftables'));
  const guards = chains.some((chain) => chain.table === table && chain.name === routerChain);
  const messages = firewall(table, [{ name: bridge, subnet }], guards || !forwards);
  await exchange(kernel, NETLINK_NETFILTER, messages, `write nftables table "${table}"`);
  if (!forwards)
    await kernel.run([
      step('write_file', [AT_FDCWD, forwardingPath, Buffer.from('1'), O_WRONLY], 'let the host forward packets'),
    ]);
}

async function isForwarding(kernel: Kernel): Promise<boolean> {
  const how = Buffer.alloc(24); // struct open_how: flags, mode, resolve
  how.writeBigUInt64LE(BigInt(O_RDONLY | O_CLOEXEC));
  const file = register(0);
  const outcome = await kernel.run([
    step('openat2', [AT_FDCWD, forwardingPath, how, how.length], `open "${forwardingPath}"`, { result: file }),
    step('read', [file, { outBytes: 8 }, 8], `read "${forwardingPath}"`, { tolerate: 'any' }),
    step('close', [file], `close "${forwardingPath}"`),
  ]);
  return outcome.output(1)?.[0] === 0x31;
}

/** Removes the host's ends of veths on this bridge that are not in use: their guests are gone. */
export async function removeHostEnds(kernel: Kernel, bridge: number, inUse: () => ReadonlySet<string>): Promise<void> {
  const ends = (await links(kernel)).filter(
    ({ name, kind, master }) => kind === 'veth' && master === bridge && hostEnd.test(name),
  );
  const used = inUse(); // asked after the links: what has been made meanwhile has a record by now
  const lost = ends.filter(({ name }) => !used.has(name));
  for (const { index } of lost)
    await exchange(kernel, NETLINK_ROUTE, [removeLink({ index })], 'remove the end of a container’s link', {
      tolerate: [errno.ENODEV],
      apart: true,
    });
}

/** Removes the bridge and the firewall's table; what is gone already is well. */
export async function demolishBridge(kernel: Kernel, name: string): Promise<void> {
  const table = tableFor(name);
  await exchange(kernel, NETLINK_NETFILTER, transaction([removeTable(table)]), `remove nftables table "${table}"`, {
    tolerate: [errno.ENOENT],
  });
  await exchange(kernel, NETLINK_ROUTE, [removeLink({ name })], `remove bridge "${name}"`, {
    tolerate: [errno.ENODEV],
    apart: true,
  });
}
