// A guest for the tests of the user-mode stack: a card and a small TCP of its own, that loses and reorders nothing and
// checks every checksum it is sent.
import { completeChecksum, fold, pseudoSum, sumOf } from './checksum.ts';
import { ethernetBytes, etherType, writeEthernet } from './ethernet.ts';
import { type Frame, frameOf, gather, type Offload } from './frame.ts';
import { type IpOutput, lowerBytes, type Packet } from './ip-output.ts';
import { type Ipv4Header, ipv4Bytes, parseAddress, parseIpv4, protocol, writeIpv4 } from './ipv4.ts';
import type { Link, Port } from './link.ts';
import { u16 } from './network-order.ts';
import { flag, parseTcp, sendTcp, type TcpSegment, tcpBytes } from './tcp-segment.ts';
import { type Address, sendUdp } from './udp.ts';

export const guestMac: Uint8Array = Uint8Array.of(2, 0, 0, 0, 0, 15);
const routerMac = Uint8Array.of(0x52, 0x55, 0x0a, 0, 2, 2);
const receiveBytes = 1 << 20;

export function at(address: string, port: number): Address {
  return { address: parseAddress(address)!, port };
}

/** A card with a guest's address; what it is sent lies in `packets` unless a connection took it. */
export class GuestFixture implements Port, IpOutput {
  readonly mtu: number;
  readonly address: number = parseAddress('10.0.2.15')!;
  readonly packets: { readonly header: Ipv4Header; readonly payload: Uint8Array }[] = [];
  readonly frames: Uint8Array[] = [];
  /** Checks every checksum; a measurement does without. */
  verifies = true;
  /** Frames that the card still has room for. */
  room: number = Number.POSITIVE_INFINITY;
  /** Frames that are lost, by a count of all. */
  loses: (count: number) => boolean = () => false;
  readonly #link: Link;
  readonly #inbox: { readonly bytes: Uint8Array; readonly offload: Offload }[] = [];
  readonly #connections = new Map<string, GuestTcp>();
  #count = 0;

  constructor(link: Link, mtu = 1500) {
    this.#link = link;
    this.mtu = mtu;
    link.attach(this);
  }

  deliver(frame: Frame): boolean {
    if (this.room === 0) return false;
    this.room--;
    if (this.loses(this.#count++)) return true;
    const bytes = gather(frame).slice();
    this.#inbox.push({ bytes, offload: frame.offload });
    return true;
  }

  #take(bytes: Uint8Array, offload: Offload): void {
    if (u16(bytes, 12) !== etherType.ipv4) {
      this.frames.push(bytes);
      return;
    }
    const header = parseIpv4(bytes, ethernetBytes);
    if (header === undefined) throw new Error('the stack sent a malformed IPv4 packet');
    if (this.verifies) this.#verify(bytes, header, offload);
    const payload = bytes.subarray(ethernetBytes + header.headerBytes, ethernetBytes + header.totalBytes);
    const segment = header.protocol === protocol.tcp ? parseTcp(payload) : undefined;
    if (segment !== undefined) {
      const key = `${segment.destinationPort} ${header.source} ${segment.sourcePort}`;
      const connection = this.#connections.get(key);
      if (connection !== undefined) {
        connection.segment(segment, payload.subarray(segment.headerBytes));
        return;
      }
    }
    this.packets.push({ header, payload });
  }

  /** Has room for `frames` more, and says so. */
  makeRoom(frames: number): void {
    this.room = frames;
    this.#link.resume();
    this.flush();
  }

  sendIp(packet: Packet): boolean {
    const frame = new Uint8Array(packet.head.length + packet.body.reduce((sum, piece) => sum + piece.length, 0));
    frame.set(packet.head);
    let end = packet.head.length;
    for (const piece of packet.body) {
      frame.set(piece, end);
      end += piece.length;
    }
    writeEthernet(frame, routerMac, guestMac, etherType.ipv4);
    writeIpv4(frame, ethernetBytes, { ...packet, totalBytes: frame.length - ethernetBytes, identification: 1 });
    const offset = packet.checksumOffset;
    this.#link.send(frameOf(frame, offset === undefined ? {} : { checksum: { start: lowerBytes, offset } }));
    return true;
  }

  sendFrame(frame: Uint8Array): void {
    this.#link.send(frameOf(frame));
    this.flush();
  }

  sendUdp(fromPort: number, to: Address, payload: Uint8Array): void {
    sendUdp(this, { address: this.address, port: fromPort }, to, payload);
    this.flush();
  }

  /** Sends what waits and takes what came, until nothing moves any more. */
  flush(): void {
    this.#link.flush();
    for (let frame = this.#inbox.shift(); frame !== undefined; frame = this.#inbox.shift()) {
      this.#take(frame.bytes, frame.offload);
      if (this.#inbox.length === 0) this.#link.flush();
    }
  }

  connect(port: number, to: Address): GuestTcp {
    const connection = new GuestTcp(this, { address: this.address, port }, to);
    this.#connections.set(`${port} ${to.address} ${to.port}`, connection);
    connection.begin();
    return connection;
  }

  /** Takes the call that lies in `packets`. */
  accept(): GuestTcp {
    const at = this.packets.findIndex(({ payload }) => parseTcp(payload)?.flags === flag.syn);
    const [call] = this.packets.splice(at, 1);
    if (at < 0 || call === undefined) throw new Error('nobody called');
    const syn = parseTcp(call.payload)!;
    const from = { address: call.header.source, port: syn.sourcePort };
    const connection = new GuestTcp(this, { address: this.address, port: syn.destinationPort }, from);
    this.#connections.set(`${syn.destinationPort} ${from.address} ${from.port}`, connection);
    connection.segment(syn, new Uint8Array(0));
    this.flush();
    return connection;
  }

  #verify(frame: Uint8Array, header: Ipv4Header, offload: Offload): void {
    if (header.protocol === protocol.icmp || header.moreFragments || header.fragmentOffset > 0) return;
    if (offload.segments === undefined && header.totalBytes > this.mtu) throw new Error('larger than the MTU');
    const whole = frame.slice();
    if (offload.checksum !== undefined) completeChecksum(whole, offload.checksum.start, offload.checksum.offset);
    const bytes = header.totalBytes - ipv4Bytes;
    const pseudo = pseudoSum(header.source, header.destination, header.protocol, bytes);
    if (fold(sumOf(whole, lowerBytes, lowerBytes + bytes, pseudo)) !== 0xffff) throw new Error('a wrong checksum');
  }
}

/** The guest's end of a connection: acknowledges what comes at once, sends what the window lets it. */
export class GuestTcp {
  state: 'calling' | 'open' | 'reset' = 'calling';
  ended = false;
  received: Uint8Array[] = [];
  receivedBytes = 0;
  /** Keep the bytes, not only their count. */
  keeps = true;
  /** Bytes it may be sent; `read` makes room. */
  window: number = receiveBytes;
  acknowledges = true;
  readonly #guest: GuestFixture;
  readonly #local: Address;
  readonly #remote: Address;
  #next = 1000;
  #acknowledged = 1001;
  #expected = 0;
  #peerWindow = 0;
  #scale = 0;
  #unsent: Uint8Array[] = [];
  #closing: 'no' | 'asked' | 'sent' = 'no';

  constructor(guest: GuestFixture, local: Address, remote: Address) {
    this.#guest = guest;
    this.#local = local;
    this.#remote = remote;
  }

  /** Bytes of `send` that have not left. */
  get unsentBytes(): number {
    return this.#unsent.reduce((sum, piece) => sum + piece.length, 0);
  }

  get unacknowledgedBytes(): number {
    return this.#next - this.#acknowledged;
  }

  text(): string {
    return this.received.map((piece) => new TextDecoder().decode(piece)).join('');
  }

  begin(): void {
    this.#send(flag.syn, new Uint8Array(0));
    this.#next++;
    this.#guest.flush();
  }

  send(bytes: Uint8Array | string): void {
    this.#unsent.push(typeof bytes === 'string' ? new TextEncoder().encode(bytes) : bytes);
    this.#push();
    this.#guest.flush();
  }

  close(): void {
    this.#closing = 'asked';
    this.#push();
    this.#guest.flush();
  }

  reset(): void {
    this.state = 'reset';
    this.#send(flag.rst | flag.ack, new Uint8Array(0));
    this.#guest.flush();
  }

  /** Acknowledges all that came, with the window as it is now. */
  acknowledge(): void {
    this.#send(flag.ack, new Uint8Array(0));
    this.#guest.flush();
  }

  segment(segment: TcpSegment, payload: Uint8Array): void {
    if ((segment.flags & flag.rst) !== 0) {
      this.state = 'reset';
      return;
    }
    if ((segment.flags & flag.syn) !== 0) {
      const answers = (segment.flags & flag.ack) === 0;
      this.#expected = (segment.sequence + 1) >>> 0;
      this.#scale = segment.windowScale ?? 0;
      this.#peerWindow = segment.window;
      if (answers) {
        this.#send(flag.syn | flag.ack, new Uint8Array(0));
        this.#next++;
      } else this.#send(flag.ack, new Uint8Array(0));
      this.state = 'open';
      return;
    }
    this.#acknowledged = segment.acknowledgment;
    this.#peerWindow = segment.window * 2 ** this.#scale;
    this.#take(segment, payload);
    this.#push();
  }

  #take(segment: TcpSegment, payload: Uint8Array): void {
    const known = (this.#expected - segment.sequence) | 0;
    const fin = (segment.flags & flag.fin) !== 0;
    if (payload.length === 0 && !fin) return;
    if (known >= 0 && known <= payload.length && !this.ended) {
      const fresh = payload.subarray(known);
      if (fresh.length > this.window) throw new Error('sent beyond the window');
      if (this.keeps) this.received.push(fresh.slice());
      this.receivedBytes += fresh.length;
      this.#expected = (this.#expected + fresh.length + (fin ? 1 : 0)) >>> 0;
      this.ended = fin;
    }
    if (this.acknowledges) this.#send(flag.ack, new Uint8Array(0));
  }

  #push(): void {
    while (this.state === 'open' && this.#unsent.length > 0) {
      const usable = this.#peerWindow - (this.#next - this.#acknowledged);
      const piece = this.#unsent[0]!;
      const bytes = Math.min(usable, piece.length, 65_535 - ipv4Bytes - tcpBytes);
      if (bytes <= 0) return;
      this.#send(flag.ack | flag.psh, piece.subarray(0, bytes));
      this.#next += bytes;
      if (bytes === piece.length) this.#unsent.shift();
      else this.#unsent[0] = piece.subarray(bytes);
    }
    if (this.state !== 'open' || this.#closing !== 'asked') return;
    this.#closing = 'sent';
    this.#send(flag.ack | flag.fin, new Uint8Array(0));
    this.#next++;
  }

  #send(flags: number, body: Uint8Array): void {
    sendTcp(this.#guest, {
      from: this.#local,
      to: this.#remote,
      sequence: this.#next,
      acknowledgment: this.#expected,
      flags,
      window: Math.min(0xffff, this.window >> ((flags & flag.syn) !== 0 ? 0 : 7)),
      ...((flags & flag.syn) !== 0 ? { maxSegmentBytes: this.#guest.mtu - 40, windowScale: 7 } : {}),
      body: [body],
      bodyBytes: body.length,
    });
  }
}
