// rtnetlink's addresses and routes (rtnetlink(7)) as messages, and what the kernel tells of them.
import { AF_INET, AF_INET6, formatAddress, parseAddress } from './address.ts';
import {
  type Attribute,
  attribute,
  decodeAttributes,
  type Message,
  NLM_F_ACK,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_EXCL,
  NLM_F_REPLACE,
  type ReceivedMessage,
  viewOf,
} from './message.ts';

// linux/rtnetlink.h
const RTM_NEWADDR = 20;
const RTM_DELADDR = 21;
const RTM_GETADDR = 22;
const RTM_NEWROUTE = 24;
const RTM_GETROUTE = 26;
const RTN_UNICAST = 1;
const RTPROT_BOOT = 3;
const RT_TABLE_MAIN = 254;
const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_TABLE = 15;
// linux/if_addr.h
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_BROADCAST = 4;

/** Addresses with the length of their prefix: 172.17.0.1 and 16. */
export interface Address {
  readonly index: number;
  readonly address: string;
  readonly prefixLength: number;
}

function addressMessage(type: number, flags: number, { index, address, prefixLength }: Address): Message {
  const bytes = parseAddress(address);
  const header = new Uint8Array(8); // struct ifaddrmsg: family, prefix length, flags, scope, index
  header[0] = bytes.length === 4 ? AF_INET : AF_INET6;
  header[1] = prefixLength;
  viewOf(header).setUint32(4, index, true);
  const parts = [header, attribute.bytes(IFA_LOCAL, bytes), attribute.bytes(IFA_ADDRESS, bytes)];
  if (bytes.length === 4 && prefixLength < 31) {
    const broadcast = (viewOf(bytes).getUint32(0) | (0xffffffff >>> prefixLength)) >>> 0;
    const field = new Uint8Array(4);
    viewOf(field).setUint32(0, broadcast);
    parts.push(attribute.bytes(IFA_BROADCAST, field));
  }
  return { type, flags, parts };
}

/** Gives a link an address, with the broadcast address of its prefix; one that it has already is left as it is. */
export function addAddress(address: Address): Message {
  return addressMessage(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, address);
}

export function removeAddress(address: Address): Message {
  return addressMessage(RTM_DELADDR, NLM_F_ACK, address);
}

export function listAddresses(family: number = AF_INET): Message {
  return { type: RTM_GETADDR, flags: NLM_F_DUMP, parts: [Uint8Array.of(family, 0, 0, 0, 0, 0, 0, 0)] };
}

/** A route of the main table; without a destination the default route. */
export interface Route {
  readonly destination?: string;
  readonly prefixLength?: number;
  readonly gateway?: string;
  /** Index of the link. */
  readonly link?: number;
}

export function addRoute({ destination, prefixLength = 0, gateway, link }: Route): Message {
  const family = parseAddress(gateway ?? destination ?? '0.0.0.0').length === 4 ? AF_INET : AF_INET6;
  // struct rtmsg: family, lengths of destination and source, tos, table, protocol, scope (0: universe), type, flags
  const parts: (Uint8Array | Attribute)[] = [
    Uint8Array.of(family, prefixLength, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, 0, RTN_UNICAST, 0, 0, 0, 0),
  ];
  if (destination !== undefined) parts.push(attribute.bytes(RTA_DST, parseAddress(destination)));
  if (gateway !== undefined) parts.push(attribute.bytes(RTA_GATEWAY, parseAddress(gateway)));
  if (link !== undefined) parts.push(attribute.u32(RTA_OIF, link));
  return { type: RTM_NEWROUTE, flags: NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, parts };
}

export function listRoutes(family: number = AF_INET): Message {
  return { type: RTM_GETROUTE, flags: NLM_F_DUMP, parts: [Uint8Array.of(family, ...Array<number>(11).fill(0))] };
}

export function decodeAddresses(messages: readonly ReceivedMessage[]): Address[] {
  return messages
    .filter(({ type }) => type === RTM_NEWADDR)
    .map(({ payload }) => {
      const attributes = decodeAttributes(payload, 8);
      const bytes = attributes.get(IFA_LOCAL) ?? attributes.get(IFA_ADDRESS) ?? new Uint8Array();
      return {
        index: viewOf(payload).getUint32(4, true),
        address: formatAddress(bytes),
        prefixLength: payload[1]!,
      };
    });
}

/** The unicast routes of the main table. */
export function decodeRoutes(messages: readonly ReceivedMessage[]): Route[] {
  const routes: Route[] = [];
  for (const { type, payload } of messages) {
    if (type !== RTM_NEWROUTE || payload[7] !== RTN_UNICAST) continue;
    const attributes = decodeAttributes(payload, 12);
    const table = attributes.get(RTA_TABLE);
    if ((table === undefined ? payload[4] : viewOf(table).getUint32(0, true)) !== RT_TABLE_MAIN) continue;
    const destination = attributes.get(RTA_DST);
    const gateway = attributes.get(RTA_GATEWAY);
    const link = attributes.get(RTA_OIF);
    routes.push({
      prefixLength: payload[1]!,
      ...(destination === undefined ? {} : { destination: formatAddress(destination) }),
      ...(gateway === undefined ? {} : { gateway: formatAddress(gateway) }),
      ...(link === undefined ? {} : { link: viewOf(link).getUint32(0, true) }),
    });
  }
  return routes;
}
