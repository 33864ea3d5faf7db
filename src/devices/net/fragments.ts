// IPv4 fragments (RFC 791, section 3.2): packets of the guest put together again, and ours cut to its MTU. What waits
// is bounded: so many packets, each forgotten when newer ones need its place or its time is over.
import type { Ipv4Header } from './ipv4.ts';

const maxPackets = 16;
const lifetimeMs = 15_000;

interface Partial {
  readonly since: number;
  readonly bytes: Uint8Array;
  /** One bit for each 8 bytes that are here. */
  readonly here: Uint8Array;
  /** Known once the last fragment came. */
  total: number | undefined;
  received: number;
}

export class Reassembly {
  readonly #packets = new Map<string, Partial>();

  /** Adds a fragment's payload; gives the packet's whole payload when this was its last missing one. */
  add(header: Ipv4Header, payload: Uint8Array, now: number): Uint8Array | undefined {
    const end = header.fragmentOffset + payload.length;
    if (end > 65_535 || payload.length === 0 || (header.moreFragments && payload.length % 8 !== 0)) return undefined;
    const key = `${header.source} ${header.destination} ${header.protocol} ${header.identification}`;
    const packet = this.#packets.get(key) ?? this.#begin(key, now);
    if (!header.moreFragments) packet.total = end;
    packet.bytes.set(payload, header.fragmentOffset);
    for (let at = header.fragmentOffset; at < end; at += 8) {
      const unit = at >> 3;
      if ((packet.here[unit >> 3]! & (1 << (unit & 7))) !== 0) continue;
      packet.here[unit >> 3]! |= 1 << (unit & 7);
      packet.received += Math.min(8, end - at);
    }
    if (packet.total === undefined || packet.received < packet.total) return undefined;
    this.#packets.delete(key);
    return packet.received === packet.total ? packet.bytes.subarray(0, packet.total) : undefined;
  }

  clear(): void {
    this.#packets.clear();
  }

  #begin(key: string, now: number): Partial {
    for (const [old, packet] of this.#packets) {
      if (this.#packets.size < maxPackets && now - packet.since < lifetimeMs) break;
      this.#packets.delete(old);
    }
    const packet = {
      since: now,
      bytes: new Uint8Array(65_536),
      here: new Uint8Array(1024),
      total: undefined,
      received: 0,
    };
    this.#packets.set(key, packet);
    return packet;
  }
}

export interface Fragment {
  readonly offset: number;
  readonly bytes: number;
  readonly more: boolean;
}

/** How a payload of `payloadBytes` is cut for an MTU with headers of 20 bytes. */
export function fragmentsOf(payloadBytes: number, mtu: number): readonly Fragment[] {
  const each = (mtu - 20) & ~7;
  const fragments: Fragment[] = [];
  for (let offset = 0; offset < payloadBytes; offset += each) {
    const bytes = Math.min(each, payloadBytes - offset);
    fragments.push({ offset, bytes, more: offset + bytes < payloadBytes });
  }
  return fragments;
}
