// Packets of the user-mode stack become frames for the guests: their MACs, the lower headers, fragments for the MTU.
import { encodeArp } from './arp.ts';
import { completeChecksum } from './checksum.ts';
import { broadcastMac, ethernetBytes, etherType, isSameMac, writeEthernet } from './ethernet.ts';
import { fragmentsOf } from './fragments.ts';
import { type Frame, frameOf, noOffload, type Offload } from './frame.ts';
import { type IpOutput, lowerBytes, type Packet } from './ip-output.ts';
import { ipv4Bytes, writeIpv4 } from './ipv4.ts';
import type { Port } from './link.ts';
import type { Subnet } from './subnet.ts';

const maxNeighbours = 256;

export interface IpSenderOptions {
  readonly mtu: number;
  /** The gateway's own. */
  readonly mac: Uint8Array;
  readonly subnet: Subnet;
}

export class IpSender implements IpOutput {
  readonly mtu: number;
  readonly #options: IpSenderOptions;
  readonly #neighbours = new Map<number, Uint8Array>();
  #port: Port | undefined;
  #identification = 0;

  constructor(options: IpSenderOptions) {
    this.mtu = options.mtu;
    this.#options = options;
  }

  get neighbours(): ReadonlyMap<number, Uint8Array> {
    return this.#neighbours;
  }

  attach(port: Port): void {
    this.#port = port;
  }

  load(neighbours: Iterable<readonly [number, Uint8Array]>): void {
    this.#neighbours.clear();
    for (const [address, mac] of neighbours) this.#neighbours.set(address, mac);
  }

  /** Remembers which MAC a guest's address has; `mac` is copied. */
  learn(address: number, mac: Uint8Array): void {
    const known = this.#neighbours.get(address);
    if (known !== undefined && isSameMac(known, mac)) return;
    if (known === undefined && this.#neighbours.size >= maxNeighbours) {
      this.#neighbours.delete(this.#neighbours.keys().next().value!);
    }
    this.#neighbours.set(address, mac.slice());
  }

  sendFrame(frame: Frame): boolean {
    return this.#port?.deliver(frame) ?? true;
  }

  sendIp(packet: Packet): boolean {
    const mac = packet.destination === 0xffff_ffff ? broadcastMac : this.#neighbours.get(packet.destination);
    if (mac === undefined) {
      // Lost, as on any network: TCP sends again, and by then the answer is there.
      this.#ask(packet.destination);
      return true;
    }
    const bodyBytes = packet.body.reduce((sum, piece) => sum + piece.length, 0);
    const totalBytes = packet.head.length - ethernetBytes + bodyBytes;
    writeEthernet(packet.head, mac, this.#options.mac, etherType.ipv4);
    if (totalBytes > this.mtu && packet.segmentBytes === undefined) return this.#sendFragments(packet, bodyBytes);
    writeIpv4(packet.head, ethernetBytes, { ...packet, totalBytes, identification: this.#nextIdentification() });
    return this.sendFrame({
      pieces: [packet.head, ...packet.body],
      bytes: packet.head.length + bodyBytes,
      offload: offloadOf(packet),
    });
  }

  /** The whole packet's checksum first, since a card completes none of fragments. */
  #sendFragments(packet: Packet, bodyBytes: number): boolean {
    const whole = new Uint8Array(packet.head.length + bodyBytes);
    whole.set(packet.head);
    let at = packet.head.length;
    for (const piece of packet.body) {
      whole.set(piece, at);
      at += piece.length;
    }
    if (packet.checksumOffset !== undefined) completeChecksum(whole, lowerBytes, packet.checksumOffset);
    const identification = this.#nextIdentification();
    for (const { offset, bytes, more } of fragmentsOf(whole.length - lowerBytes, this.mtu)) {
      const frame = new Uint8Array(lowerBytes + bytes);
      frame.set(whole.subarray(0, ethernetBytes));
      frame.set(whole.subarray(lowerBytes + offset, lowerBytes + offset + bytes), lowerBytes);
      const fields = { ...packet, totalBytes: ipv4Bytes + bytes, identification };
      writeIpv4(frame, ethernetBytes, { ...fields, fragmentOffset: offset, moreFragments: more });
      if (!this.sendFrame(frameOf(frame))) return false;
    }
    return true;
  }

  #ask(target: number): void {
    const { mac, subnet } = this.#options;
    const message = {
      operation: 'request',
      senderMac: mac,
      sender: subnet.gateway,
      targetMac: new Uint8Array(6),
      target,
    } as const;
    this.sendFrame(frameOf(encodeArp(message, broadcastMac)));
  }

  #nextIdentification(): number {
    this.#identification = (this.#identification + 1) & 0xffff;
    return this.#identification;
  }
}

function offloadOf({ checksumOffset, segmentBytes, head }: Packet): Offload {
  if (checksumOffset === undefined) return noOffload;
  const checksum = { start: lowerBytes, offset: checksumOffset };
  if (segmentBytes === undefined) return { checksum };
  return { checksum, segments: { kind: 'tcp4', bytes: segmentBytes, headerBytes: head.length } };
}
