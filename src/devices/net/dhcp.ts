// The DHCP server of the user-mode stack (RFC 2131, options of RFC 2132): a lease is an address for a MAC, for ever.
import { formatMac } from './ethernet.ts';
import { setU16, setU32, u16, u32 } from './network-order.ts';
import type { Subnet } from './subnet.ts';

export const dhcpPorts = { server: 67, client: 68 } as const;
const cookie = 0x6382_5363;
const optionsStart = 240;
const leaseSeconds = 86_400;

const message = { discover: 1, offer: 2, request: 3, decline: 4, ack: 5, nak: 6, release: 7, inform: 8 } as const;
const option = {
  mask: 1,
  router: 3,
  nameServer: 6,
  hostName: 12,
  domain: 15,
  mtu: 26,
  broadcast: 28,
  requested: 50,
  leaseTime: 51,
  message: 53,
  server: 54,
} as const;

export interface DhcpSettings {
  readonly subnet: Subnet;
  readonly mtu: number;
  readonly hostName?: string;
  readonly domain?: string;
}

export class DhcpServer {
  readonly #settings: DhcpSettings;
  /** Addresses by MAC in text. */
  readonly #leases = new Map<string, number>();

  constructor(settings: DhcpSettings) {
    this.#settings = settings;
  }

  get leases(): ReadonlyMap<string, number> {
    return this.#leases;
  }

  load(leases: Iterable<readonly [string, number]>): void {
    this.#leases.clear();
    for (const [mac, address] of leases) this.#leases.set(mac, address);
  }

  /** The answer to a client's message, to be broadcast from the gateway; undefined when there is none. */
  answer(query: Uint8Array): Uint8Array | undefined {
    if (query.length < optionsStart || query[0] !== 1 || query[1] !== 1 || query[2] !== 6) return undefined;
    if (u32(query, 236) !== cookie) return undefined;
    const options = parseOptions(query);
    const mac = formatMac(query.subarray(28, 34));
    const server = options.get(option.server);
    if (server?.length === 4 && u32(server, 0) !== this.#settings.subnet.gateway) return undefined;
    const kind = options.get(option.message)?.[0];
    if (kind === message.inform) return this.#reply(query, message.ack, 0);
    if (kind !== message.discover && kind !== message.request) return undefined;
    const address = this.#lease(mac);
    if (address === undefined) return undefined;
    if (kind === message.discover) return this.#reply(query, message.offer, address);
    const requested = options.get(option.requested);
    const wanted = requested?.length === 4 ? u32(requested, 0) : u32(query, 12);
    return this.#reply(query, wanted === address ? message.ack : message.nak, wanted === address ? address : 0);
  }

  #lease(mac: string): number | undefined {
    const known = this.#leases.get(mac);
    if (known !== undefined) return known;
    const { firstGuest, broadcast } = this.#settings.subnet;
    const address = firstGuest + this.#leases.size;
    if (address >= broadcast || this.#leases.size >= 256) return undefined;
    this.#leases.set(mac, address);
    return address;
  }

  #reply(query: Uint8Array, kind: number, address: number): Uint8Array {
    const { subnet, mtu, hostName, domain } = this.#settings;
    const reply = new Uint8Array(576);
    reply.set(query.subarray(0, 44));
    reply[0] = 2;
    reply.fill(0, 8, 10);
    setU32(reply, 16, address);
    setU32(reply, 20, subnet.gateway);
    setU32(reply, 236, cookie);
    let at = optionsStart;
    const add = (code: number, value: Uint8Array): void => {
      reply[at] = code;
      reply[at + 1] = value.length;
      reply.set(value, at + 2);
      at += 2 + value.length;
    };
    add(option.message, Uint8Array.of(kind));
    add(option.server, word(subnet.gateway));
    if (kind !== message.nak) {
      if (address !== 0) add(option.leaseTime, word(leaseSeconds));
      add(option.mask, word(subnet.mask));
      add(option.broadcast, word(subnet.broadcast));
      add(option.router, word(subnet.gateway));
      add(option.nameServer, word(subnet.dns));
      add(option.mtu, half(mtu));
      if (hostName !== undefined) add(option.hostName, text(hostName));
      if (domain !== undefined) add(option.domain, text(domain));
    }
    reply[at] = 255;
    return reply;
  }
}

function parseOptions(query: Uint8Array): Map<number, Uint8Array> {
  const options = new Map<number, Uint8Array>();
  for (let at = optionsStart; at < query.length; ) {
    const code = query[at]!;
    if (code === 255) break;
    if (code === 0) {
      at++;
      continue;
    }
    const bytes = query[at + 1] ?? 0;
    if (at + 2 + bytes > query.length) break;
    options.set(code, query.subarray(at + 2, at + 2 + bytes));
    at += 2 + bytes;
  }
  return options;
}

function word(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  setU32(bytes, 0, value);
  return bytes;
}

function half(value: number): Uint8Array {
  const bytes = new Uint8Array(2);
  setU16(bytes, 0, value);
  return bytes;
}

// A name of up to 63 bytes, as DNS has labels.
function text(value: string): Uint8Array {
  return new TextEncoder().encode(value).subarray(0, 63);
}

/** Whether a UDP datagram is a client's, by its ports. */
export function isDhcp(datagram: Uint8Array): boolean {
  return u16(datagram, 0) === dhcpPorts.client && u16(datagram, 2) === dhcpPorts.server;
}
