// The guest's UDP through host sockets: one socket for each port of the guest, which hears only whom the guest wrote
// to. Idle flows are forgotten; when there are too many the oldest goes.
import type { Clock } from './clock.ts';
import { sendUnreachable, unreachable } from './icmp.ts';
import type { IpOutput } from './ip-output.ts';
import { protocol } from './ipv4.ts';
import type { Destination } from './reach.ts';
import type { Endpoint, Listener, Sockets, UdpSocket } from './sockets.ts';
import { type Address, sendUdp } from './udp.ts';

const maxFlows = 512;
const maxPeers = 256;
const idleMs = 120_000;
const sweepMs = 10_000;

interface Flow {
  readonly socket: UdpSocket;
  /** The guest's view of each host endpoint it wrote to. */
  readonly peers: Map<string, Address>;
  last: Address;
  usedAt: number;
}

/** A client of a forwarded port, as the guest sees it: a port of the gateway. */
interface Caller {
  readonly socket: UdpSocket;
  readonly endpoint: Endpoint;
  usedAt: number;
}

export interface UdpNatOptions {
  readonly output: IpOutput;
  readonly sockets: Sockets;
  readonly clock: Clock;
  readonly gateway: number;
  readonly reach: (to: Destination) => Endpoint | undefined;
}

export class UdpNat {
  readonly #options: UdpNatOptions;
  readonly #flows = new Map<string, Flow>();
  /** Callers by guest endpoint and the gateway's port. */
  readonly #callers = new Map<string, Caller>();
  readonly #callerPorts = new Map<string, number>();
  #nextPort = 49_152;
  #stopSweeps: (() => void) | undefined;

  constructor(options: UdpNatOptions) {
    this.#options = options;
  }

  get flows(): number {
    return this.#flows.size + this.#callers.size;
  }

  /** Takes a datagram of the guest; `payload` is copied by the host's socket. */
  send(from: Address, to: Address, payload: Uint8Array): void {
    const { clock, reach } = this.#options;
    const caller = to.address === this.#options.gateway ? this.#callers.get(callerKey(from, to.port)) : undefined;
    if (caller !== undefined) {
      caller.usedAt = clock.now();
      caller.socket.send(payload, caller.endpoint);
      return;
    }
    const endpoint = reach({ protocol: 'udp', ...to });
    if (endpoint === undefined) {
      this.#refuse(from, to, unreachable.prohibited);
      return;
    }
    const flow = this.#flow(from);
    if (flow === undefined) return;
    const peer = peerKey(endpoint);
    if (!flow.peers.has(peer)) {
      if (flow.peers.size >= maxPeers) flow.peers.delete(flow.peers.keys().next().value!);
      flow.peers.set(peer, to);
    }
    flow.last = to;
    flow.socket.send(payload, endpoint);
  }

  /** Forwards the host's port `at` to the guest. */
  async forward(at: Endpoint, to: Address): Promise<Listener> {
    const { sockets, output, clock, gateway } = this.#options;
    const socket: UdpSocket & Listener = await sockets.bindUdp(at, {
      received: (bytes, from) => {
        const port = this.#callerPort(socket, from, to);
        const caller = this.#callers.get(callerKey(to, port));
        if (caller !== undefined) caller.usedAt = clock.now();
        sendUdp(output, { address: gateway, port }, to, bytes);
      },
      failed: () => undefined,
    });
    return socket;
  }

  /** Closes every flow; forwarded ports stay. */
  clear(): void {
    for (const flow of this.#flows.values()) flow.socket.close();
    this.#flows.clear();
    this.#callers.clear();
    this.#callerPorts.clear();
    this.#stopSweeps?.();
    this.#stopSweeps = undefined;
  }

  #flow(from: Address): Flow | undefined {
    const { sockets, clock, output } = this.#options;
    const key = `${from.address}:${from.port}`;
    const known = this.#flows.get(key);
    if (known !== undefined) {
      known.usedAt = clock.now();
      // The map's order is that of use, so that its first flow is the oldest.
      this.#flows.delete(key);
      this.#flows.set(key, known);
      return known;
    }
    if (this.#flows.size >= maxFlows) this.#forget(this.#flows.keys().next().value!);
    const peers = new Map<string, Address>();
    const socket = sockets.openUdp({
      received: (bytes, endpoint) => {
        const peer = peers.get(peerKey(endpoint));
        if (peer === undefined) return;
        flow.usedAt = clock.now();
        sendUdp(output, peer, from, bytes);
      },
      failed: () => this.#refuse(from, flow.last, unreachable.port),
    });
    const flow: Flow = { socket, peers, last: from, usedAt: clock.now() };
    this.#flows.set(key, flow);
    this.#sweepFromNow();
    return flow;
  }

  #callerPort(socket: UdpSocket, from: Endpoint, to: Address): number {
    const key = `${to.address}:${to.port} ${peerKey(from)}`;
    const known = this.#callerPorts.get(key);
    if (known !== undefined) return known;
    if (this.#callers.size >= maxFlows) {
      this.#callers.clear();
      this.#callerPorts.clear();
    }
    while (this.#callers.has(callerKey(to, this.#nextPort))) this.#advancePort();
    const port = this.#nextPort;
    this.#advancePort();
    this.#callers.set(callerKey(to, port), { socket, endpoint: from, usedAt: this.#options.clock.now() });
    this.#callerPorts.set(key, port);
    this.#sweepFromNow();
    return port;
  }

  #advancePort(): void {
    this.#nextPort = this.#nextPort === 65_535 ? 49_152 : this.#nextPort + 1;
  }

  #forget(key: string): void {
    this.#flows.get(key)?.socket.close();
    this.#flows.delete(key);
  }

  #sweepFromNow(): void {
    this.#stopSweeps ??= this.#options.clock.every(sweepMs, () => {
      const limit = this.#options.clock.now() - idleMs;
      for (const [key, flow] of this.#flows) if (flow.usedAt < limit) this.#forget(key);
      for (const [key, port] of this.#callerPorts) {
        const caller = key.slice(0, key.indexOf(' '));
        const callers = `${caller} ${port}`;
        if ((this.#callers.get(callers)?.usedAt ?? 0) >= limit) continue;
        this.#callers.delete(callers);
        this.#callerPorts.delete(key);
      }
      if (this.flows > 0) return;
      this.#stopSweeps?.();
      this.#stopSweeps = undefined;
    });
  }

  #refuse(from: Address, to: Address, code: number): void {
    const packet = {
      protocol: protocol.udp,
      source: from.address,
      destination: to.address,
      sourcePort: from.port,
      destinationPort: to.port,
    };
    sendUnreachable(this.#options.output, this.#options.gateway, packet, code);
  }
}

function callerKey(guest: Address, port: number): string {
  return `${guest.address}:${guest.port} ${port}`;
}

function peerKey(endpoint: Endpoint): string {
  return `${endpoint.host} ${endpoint.port}`;
}
