// rtnetlink's links (rtnetlink(7)): bridges, veths and their like as messages, and what the kernel tells of them.
import type { Register } from '../kernel/steps.ts';
import { formatMac, parseMac } from './address.ts';
import {
  type Attribute,
  attribute,
  decodeAttributes,
  decodeText,
  type Message,
  NLM_F_ACK,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_EXCL,
  type Parts,
  type ReceivedMessage,
  viewOf,
} from './message.ts';

// linux/rtnetlink.h
const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
const RTM_GETLINK = 18;
const RTEXT_FILTER_SKIP_STATS = 8;
// linux/if.h
const IFF_UP = 1;
const IF_OPER_UP = 6;
const IFNAMSIZ = 16;
// linux/if_link.h
const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_LINK = 5;
const IFLA_MASTER = 10;
const IFLA_OPERSTATE = 16;
const IFLA_LINKINFO = 18;
const IFLA_NET_NS_PID = 19;
const IFLA_STATS64 = 23;
const IFLA_NET_NS_FD = 28;
const IFLA_EXT_MASK = 29;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const IFLA_BR_FORWARD_DELAY = 1;
const IFLA_BR_MCAST_SNOOPING = 23;
// linux/veth.h
const VETH_INFO_PEER = 1;

/** A link, named by index or else by name. A new one may ask for an index too; 0 or none lets the kernel choose. */
export interface LinkSettings {
  readonly index?: number;
  readonly name?: string;
  readonly up?: boolean;
  readonly mtu?: number;
  readonly macAddress?: string;
  /** Index of the bridge to join. */
  readonly master?: number;
  /** The namespace to be made in: a descriptor of it, or a process in it. */
  readonly namespace?: { readonly fd: number | Register } | { readonly pid: number | Register };
}

export type LinkKind =
  | { readonly is: 'bridge'; readonly multicastSnooping?: boolean }
  | { readonly is: 'veth'; readonly peer: LinkSettings }
  | { readonly is: 'dummy' };

/** struct ifinfomsg (linux/rtnetlink.h): family, type, index, flags, mask of flags to change. */
function linkHeader(index = 0, up?: boolean): Uint8Array {
  const header = new Uint8Array(16);
  const view = viewOf(header);
  view.setInt32(4, index, true);
  view.setUint32(8, up === true ? IFF_UP : 0, true);
  view.setUint32(12, up === undefined ? 0 : IFF_UP, true);
  return header;
}

function linkParts(settings: LinkSettings, kind?: LinkKind): Parts {
  const { index, name, up, mtu, macAddress, master, namespace } = settings;
  const parts: (Uint8Array | Attribute)[] = [linkHeader(index, up)];
  if (macAddress !== undefined) parts.push(attribute.bytes(IFLA_ADDRESS, parseMac(macAddress)));
  if (mtu !== undefined) parts.push(attribute.u32(IFLA_MTU, mtu));
  if (master !== undefined) parts.push(attribute.u32(IFLA_MASTER, master));
  if (namespace !== undefined)
    parts.push(
      'fd' in namespace
        ? attribute.u32or(IFLA_NET_NS_FD, namespace.fd)
        : attribute.u32or(IFLA_NET_NS_PID, namespace.pid),
    );
  if (name !== undefined) parts.push(attribute.text(IFLA_IFNAME, checkName(name)));
  if (kind !== undefined)
    parts.push(
      attribute.nested(IFLA_LINKINFO, [attribute.bytes(IFLA_INFO_KIND, Buffer.from(kind.is)), ...kindParts(kind)]),
    );
  return parts;
}

function kindParts(kind: LinkKind): Attribute[] {
  switch (kind.is) {
    case 'bridge': {
      const data = [attribute.u32(IFLA_BR_FORWARD_DELAY, 0)];
      if (kind.multicastSnooping !== undefined)
        data.push(attribute.u8(IFLA_BR_MCAST_SNOOPING, kind.multicastSnooping ? 1 : 0));
      return [attribute.nested(IFLA_INFO_DATA, data)];
    }
    case 'veth':
      return [attribute.nested(IFLA_INFO_DATA, [attribute.nested(VETH_INFO_PEER, linkParts(kind.peer))])];
    case 'dummy':
      return [];
  }
}

function checkName(name: string): string {
  if (name.length < 1 || name.length >= IFNAMSIZ) throw new RangeError(`Cannot name a link "${name}": 1 to 15 letters`);
  return name;
}

/** A new link; EEXIST if there is one of its name, EBUSY if one of its index. */
export function createLink(settings: LinkSettings, kind: LinkKind): Message {
  return { type: RTM_NEWLINK, flags: NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, parts: linkParts(settings, kind) };
}

/** Changes what is given; ENODEV if there is no such link. */
export function changeLink(settings: LinkSettings): Message {
  return { type: RTM_NEWLINK, flags: NLM_F_ACK, parts: linkParts(settings) };
}

export function removeLink(link: { readonly index: number } | { readonly name: string }): Message {
  return { type: RTM_DELLINK, flags: NLM_F_ACK, parts: linkParts(link) };
}

/** Asks for one link; the answer brings the kernel's own view of its state up to date (linkwatch_sync_dev, Linux 6.8). */
export function getLink(index: number): Message {
  const parts = [linkHeader(index), attribute.u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS)];
  return { type: RTM_GETLINK, flags: 0, parts };
}

export function listLinks(options: { statistics?: boolean } = {}): Message {
  const mask = options.statistics === true ? 0 : RTEXT_FILTER_SKIP_STATS;
  return { type: RTM_GETLINK, flags: NLM_F_DUMP, parts: [linkHeader(), attribute.u32(IFLA_EXT_MASK, mask)] };
}

/** A link as the kernel tells of it. */
export interface Link {
  readonly index: number;
  readonly name: string;
  readonly up: boolean;
  /** Up, and the kernel knows that packets can pass (RFC 2863). */
  readonly operational: boolean;
  readonly mtu: number;
  readonly macAddress: string;
  /** Index of the bridge it belongs to. */
  readonly master?: number;
  /** Of a veth: the index of its peer, in the peer's namespace. */
  readonly peer?: number;
  /** "bridge", "veth", "dummy"; empty for hardware. */
  readonly kind: string;
  readonly statistics?: LinkStatistics;
}
/** struct rtnl_link_stats64 (linux/if_link.h), its first eight fields in order. */
export interface LinkStatistics {
  readonly receivedPackets: number;
  readonly sentPackets: number;
  readonly receivedBytes: number;
  readonly sentBytes: number;
  readonly receivedErrors: number;
  readonly sentErrors: number;
  readonly receivedDropped: number;
  readonly sentDropped: number;
}

export function decodeLinks(messages: readonly ReceivedMessage[]): Link[] {
  return messages.filter(({ type }) => type === RTM_NEWLINK).map(({ payload }) => decodeLink(payload));
}

function decodeLink(payload: Uint8Array): Link {
  const view = viewOf(payload);
  const attributes = decodeAttributes(payload, 16);
  const info = attributes.get(IFLA_LINKINFO);
  const kind = info === undefined ? undefined : decodeAttributes(info).get(IFLA_INFO_KIND);
  const number = (type: number): number | undefined => {
    const bytes = attributes.get(type);
    return bytes === undefined ? undefined : viewOf(bytes).getUint32(0, true);
  };
  const master = number(IFLA_MASTER);
  const peer = number(IFLA_LINK);
  const statistics = attributes.get(IFLA_STATS64);
  return {
    index: view.getInt32(4, true),
    name: decodeText(attributes.get(IFLA_IFNAME) ?? new Uint8Array()),
    up: (view.getUint32(8, true) & IFF_UP) !== 0,
    operational: attributes.get(IFLA_OPERSTATE)?.[0] === IF_OPER_UP,
    mtu: number(IFLA_MTU) ?? 0,
    macAddress: formatMac(attributes.get(IFLA_ADDRESS) ?? new Uint8Array()),
    kind: kind === undefined ? '' : decodeText(kind),
    ...(master === undefined ? {} : { master }),
    ...(peer === undefined ? {} : { peer }),
    ...(statistics === undefined ? {} : { statistics: decodeStatistics(statistics) }),
  };
}

function decodeStatistics(bytes: Uint8Array): LinkStatistics {
  const view = viewOf(bytes);
  const field = (place: number): number => Number(view.getBigUint64(place * 8, true));
  return {
    receivedPackets: field(0),
    sentPackets: field(1),
    receivedBytes: field(2),
    sentBytes: field(3),
    receivedErrors: field(4),
    sentErrors: field(5),
    receivedDropped: field(6),
    sentDropped: field(7),
  };
}
