// The user-mode network: a router, name server and DHCP server made of host sockets, which need no rights. For one
// guest, or for several behind a hub. IPv4 only: an IPv6 guest hears no router advertised, and uses IPv4.
import type { DeviceState } from '../device.ts';
import { encodeArp, parseArp } from './arp.ts';
import { type Clock, threadClock } from './clock.ts';
import { DhcpServer, dhcpPorts, isDhcp } from './dhcp.ts';
import { ethernetBytes, etherType, isGroupMac } from './ethernet.ts';
import { Reassembly } from './fragments.ts';
import { type Frame, frameOf, gather } from './frame.ts';
import { answerEcho, sendUnreachable, unreachable } from './icmp.ts';
import { IpSender } from './ip-sender.ts';
import { parseIpv4, protocol } from './ipv4.ts';
import type { Link, Port } from './link.ts';
import { u16 } from './network-order.ts';
import { type Destination, type Rule, reach } from './reach.ts';
import type { Endpoint, Listener, Sockets } from './sockets.ts';
import { loadStack, type StackState, saveStack } from './stack-state.ts';
import { defaultSubnet, isWithin, parseSubnet, type Subnet } from './subnet.ts';
import { TcpNat } from './tcp-nat.ts';
import { isTcpValid, parseTcp } from './tcp-segment.ts';
import { type Address, sendUdp, udpBytes, udpPayload } from './udp.ts';
import { UdpNat } from './udp-nat.ts';

export interface UserStackOptions {
  readonly sockets: Sockets;
  /** An IPv4 network such as "10.0.2.0/24": .2 is the gateway, .3 the name server, .15 the first guest. */
  readonly subnet?: string;
  /** The largest IP packet, 576 to 65,520; the card's must be the same. */
  readonly mtu?: number;
  /** Services of the host's loopback answer at the gateway's address; off unless said. */
  readonly hostLoopback?: boolean;
  /** What the guest may reach; all that the host reaches unless said. */
  readonly allows?: Rule;
  readonly hostName?: string;
  readonly domain?: string;
  readonly clock?: Clock;
  /** 32 random bits. */
  readonly random?: () => number;
}

export const defaultMtu = 1500;
const gatewayMac = Uint8Array.of(0x52, 0x55, 0x0a, 0, 2, 2);

export class UserStack implements Link {
  readonly subnet: Subnet;
  readonly tcp: TcpNat;
  readonly udp: UdpNat;
  readonly #dhcp: DhcpServer;
  readonly #clock: Clock;
  readonly #fragments = new Reassembly();
  readonly #output: IpSender;
  readonly #reach: (to: Destination) => Endpoint | undefined;
  readonly #listeners = new Set<Listener>();

  constructor(options: UserStackOptions) {
    const { sockets, mtu = defaultMtu, clock = threadClock, random = randomWord } = options;
    if (mtu < 576 || mtu > 65_520) throw new RangeError(`Cannot use MTU ${mtu}: must be 576 to 65520`);
    this.subnet = parseSubnet(options.subnet ?? defaultSubnet);
    this.#clock = clock;
    this.#output = new IpSender({ mtu, mac: gatewayMac, subnet: this.subnet });
    this.#reach = (to) => reach(this.subnet, { ...options, resolver: () => sockets.resolver() }, to);
    const nat = { output: this.#output, sockets, clock, gateway: this.subnet.gateway, reach: this.#reach };
    this.tcp = new TcpNat({ ...nat, random });
    this.udp = new UdpNat(nat);
    this.#dhcp = new DhcpServer({ ...options, subnet: this.subnet, mtu });
  }

  attach(port: Port): void {
    this.#output.attach(port);
  }

  send(frame: Frame): void {
    if (frame.bytes < ethernetBytes) return;
    const bytes = gather(frame);
    const type = u16(bytes, 12);
    if (type === etherType.arp) this.#arp(bytes);
    else if (type === etherType.ipv4) this.#ipv4(bytes, frame);
  }

  flush(): void {
    this.tcp.flush();
  }

  resume(): void {
    this.tcp.flush();
  }

  reset(): void {
    this.tcp.clear();
    this.udp.clear();
    this.#fragments.clear();
  }

  close(): void {
    this.reset();
    for (const listener of this.#listeners) listener.close();
    this.#listeners.clear();
  }

  /** Passes a port of the host on to the guest: to `to`, or to port `port` of the first guest's address. */
  async forward(
    kind: 'tcp' | 'udp',
    at: Endpoint,
    to: { readonly port: number; readonly address?: number },
  ): Promise<Listener> {
    const guest: Address = { address: to.address ?? this.subnet.firstGuest, port: to.port };
    const listener = await (kind === 'tcp' ? this.tcp : this.udp).forward(at, guest);
    this.#listeners.add(listener);
    return {
      at: listener.at,
      close: () => {
        this.#listeners.delete(listener);
        listener.close();
      },
    };
  }

  /** Leases, neighbours, and the connections that a load has to reset: a host's socket cannot be saved. */
  save(): DeviceState {
    return saveStack({
      leases: [...this.#dhcp.leases],
      neighbours: [...this.#output.neighbours],
      connections: this.tcp.save(),
    });
  }

  load(state: DeviceState): void {
    const stack: StackState = loadStack(state);
    this.reset();
    this.#dhcp.load(stack.leases);
    this.#output.load(stack.neighbours);
    this.tcp.load(stack.connections);
    this.tcp.flush();
  }

  #arp(frame: Uint8Array): void {
    const message = parseArp(frame);
    if (message === undefined || isGroupMac(message.senderMac)) return;
    const { gateway, dns } = this.subnet;
    const local = message.target === gateway || message.target === dns;
    if (this.#isGuest(message.sender)) this.#output.learn(message.sender, message.senderMac);
    if (!local || message.operation !== 'request') return;
    const { senderMac: targetMac, sender: target } = message;
    const reply = { operation: 'reply', senderMac: gatewayMac, sender: message.target, targetMac, target } as const;
    this.#output.sendFrame(frameOf(encodeArp(reply, targetMac)));
  }

  #ipv4(frame: Uint8Array, { offload }: Frame): void {
    const header = parseIpv4(frame, ethernetBytes);
    if (header === undefined) return;
    const source = frame.subarray(6, 12);
    if (isGroupMac(source)) return;
    const end = ethernetBytes + header.totalBytes;
    let payload: Uint8Array | undefined = frame.subarray(ethernetBytes + header.headerBytes, end);
    let valid = offload.checksum !== undefined || offload.valid === true;
    if (header.moreFragments || header.fragmentOffset > 0) {
      payload = this.#fragments.add(header, payload, this.#clock.now());
      valid = false;
    }
    if (payload === undefined) return;
    if (header.protocol === protocol.udp && payload.length >= udpBytes && isDhcp(payload)) {
      this.#dhcpQuery(payload, header.source, header.destination, valid);
      return;
    }
    if (!this.#isGuest(header.source)) return;
    this.#output.learn(header.source, source);
    if (header.protocol === protocol.tcp) this.#tcp(header, payload, valid);
    else if (header.protocol === protocol.udp) this.#udp(header, payload, valid);
    else if (header.protocol === protocol.icmp) this.#icmp(header, payload);
  }

  #tcp({ source, destination }: Way, bytes: Uint8Array, valid: boolean): void {
    const segment = parseTcp(bytes);
    if (segment === undefined || !this.#isRouted(destination)) return;
    if (!valid && !isTcpValid(bytes, source, destination)) return;
    const from = { address: source, port: segment.sourcePort };
    const to = { address: destination, port: segment.destinationPort };
    this.tcp.segment(from, to, segment, bytes.subarray(segment.headerBytes));
  }

  #udp({ source, destination }: Way, datagram: Uint8Array, valid: boolean): void {
    const payload = udpPayload(datagram, source, destination, valid);
    if (payload === undefined || !this.#isRouted(destination)) return;
    const from = { address: source, port: u16(datagram, 0) };
    this.udp.send(from, { address: destination, port: u16(datagram, 2) }, payload);
  }

  #icmp({ source, destination }: Way, message: Uint8Array): void {
    const { gateway, dns } = this.subnet;
    if (destination === gateway || destination === dns) answerEcho(this.#output, destination, source, message);
    // Echo to others needs rights that this process does not have: the guest is told rather than left waiting.
    else if (message[0] === 8 && message.length >= 8 && this.#isRouted(destination)) {
      const ports = { sourcePort: u16(message, 0), destinationPort: u16(message, 2) };
      const word = u16(message, 4) * 0x1_0000 + u16(message, 6);
      const packet = { protocol: protocol.icmp, source, destination, ...ports, word };
      sendUnreachable(this.#output, gateway, packet, unreachable.prohibited);
    }
  }

  #dhcpQuery(datagram: Uint8Array, source: number, destination: number, valid: boolean): void {
    const query = udpPayload(datagram, source, destination, valid);
    const reply = query === undefined ? undefined : this.#dhcp.answer(query);
    if (reply === undefined) return;
    const from = { address: this.subnet.gateway, port: dhcpPorts.server };
    sendUdp(this.#output, from, { address: 0xffff_ffff, port: dhcpPorts.client }, reply);
  }

  #isGuest(address: number): boolean {
    const { gateway, dns, network, broadcast } = this.subnet;
    if (!isWithin(this.subnet, address) || address === network || address === broadcast) return false;
    return address !== gateway && address !== dns;
  }

  /** Whether a packet to `address` is for this router: not the guests' own network but for its two addresses. */
  #isRouted(address: number): boolean {
    const { gateway, dns } = this.subnet;
    if (isWithin(this.subnet, address)) return address === gateway || address === dns;
    return address >>> 28 !== 14 && address !== 0xffff_ffff;
  }
}

interface Way {
  readonly source: number;
  readonly destination: number;
}

function randomWord(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0]!;
}
