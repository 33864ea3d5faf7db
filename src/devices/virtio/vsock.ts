// The socket device (virtio 1.2, section 5.10): streams between ports of the guest and of the host.
import type { DeviceState } from '../device.ts';
import type { SendQueue } from '../net/send-queue.ts';
import type { Stream, StreamEvents } from '../net/stream.ts';
import { VsockConnection, type VsockTable } from '../vsock/connection.ts';
import type { VsockGuest, VsockHost } from '../vsock/host.ts';
import {
  encodeVsock,
  hostCid,
  operation,
  parseVsock,
  streamType,
  type VsockHeader,
  vsockHeaderBytes,
} from '../vsock/packet.ts';
import type { Chain } from './chain.ts';
import { type VirtioDevice, type VirtioTransport, virtioId } from './device.ts';

const receiveQueue = 0;
const sendQueue = 1;
const eventQueue = 2;
/** Section 5.10.6.7: connections are gone, as after a restore. */
const VIRTIO_VSOCK_EVENT_TRANSPORT_RESET = 0;
/** What the driver may send in one packet, whatever it says; Linux sends 64 KiB. */
const maxPayloadBytes = 256 * 1024;
export const maxVsockConnections = 1024;
/** Answers to packets of no connection that may wait for room. */
const maxResets = 256;

export interface VsockOptions {
  /** The guest's context identifier, 3 or more. */
  readonly cid: number;
  readonly host: VsockHost;
}

export class Vsock implements VirtioDevice, VsockGuest, VsockTable {
  readonly name = 'vsock';
  readonly id: number = virtioId.socket;
  readonly features: readonly number[] = [];
  readonly queueSizes: readonly number[] = [256, 256, 16];
  readonly config: Uint8Array = new Uint8Array(8);
  readonly guestCid: number;
  readonly #host: VsockHost;
  readonly #connections = new Map<string, VsockConnection>();
  readonly #owing = new Set<VsockConnection>();
  #resets: VsockHeader[] = [];
  #owesEvent = false;
  #batch = false;
  #nextPort = 0x4000_0000;
  #transport!: VirtioTransport;

  constructor({ cid, host }: VsockOptions) {
    if (!Number.isInteger(cid) || cid < 3 || cid >= 0xffff_ffff)
      throw new RangeError(`Cannot use CID ${cid}: must be 3 or more`);
    this.guestCid = cid;
    this.#host = host;
    new DataView(this.config.buffer).setUint32(0, cid, true);
  }

  get connections(): number {
    return this.#connections.size;
  }

  attach(transport: VirtioTransport): void {
    this.#transport = transport;
  }

  notify(index: number): void {
    if (index === sendQueue) this.#takeAll();
    else if (index === eventQueue) this.#sendEvent();
    this.#flush();
  }

  call(port: number, stream: Stream, answered: (hostPort: number | undefined) => void): StreamEvents {
    while (this.#connections.has(keyOf(port, this.#nextPort))) this.#advancePort();
    const connection = new VsockConnection(this, port, this.#nextPort, { stream, answered });
    this.#advancePort();
    if (!this.#transport.running || this.#connections.size >= maxVsockConnections) {
      this.#owing.delete(connection);
      connection.drop();
    } else {
      this.#connections.set(keyOf(port, connection.hostPort), connection);
      this.#flush();
    }
    return connection;
  }

  reset(): void {
    for (const connection of this.#connections.values()) connection.drop();
    this.#connections.clear();
    this.#owing.clear();
    this.#resets = [];
    this.#owesEvent = false;
  }

  /** Connections end with their host's streams; a load tells the driver so. */
  save(): DeviceState {
    return {};
  }

  load(): void {
    this.reset();
    this.#owesEvent = true;
  }

  owes(connection: VsockConnection): void {
    const others = this.#owing.size > 0;
    this.#owing.add(connection);
    if (
      !others &&
      !this.#batch &&
      this.#connections.get(keyOf(connection.guestPort, connection.hostPort)) === connection
    ) {
      this.#flush();
    }
  }

  remove(connection: VsockConnection): void {
    const key = keyOf(connection.guestPort, connection.hostPort);
    if (this.#connections.get(key) === connection) this.#connections.delete(key);
  }

  put(header: VsockHeader, body: SendQueue | undefined, bodyBytes: number): number | undefined {
    const queue = this.#transport.queue(receiveQueue);
    const chain = queue.pop();
    if (chain === undefined) return undefined;
    const bytes = Math.min(bodyBytes, chain.writableBytes - vsockHeaderBytes);
    if (bytes < 0 || (bodyBytes > 0 && bytes === 0)) {
      this.#transport.fail(`a receive buffer of ${chain.writableBytes} bytes`);
      return undefined;
    }
    let at = chain.write(0, encodeVsock({ ...header, bytes }));
    for (const piece of body?.slice(0, bytes) ?? []) at += chain.write(at, piece);
    queue.push(chain, at);
    return bytes;
  }

  #takeAll(): void {
    const queue = this.#transport.queue(sendQueue);
    this.#batch = true;
    for (let chain = queue.pop(); chain !== undefined; chain = queue.pop()) {
      this.#take(chain);
      queue.push(chain, 0);
      // Answers that find no room are bounded: then the guest's packets wait too.
      if (this.#resets.length >= maxResets) break;
    }
    this.#batch = false;
  }

  #take(chain: Chain): void {
    const header = parseVsock(chain.read(0, vsockHeaderBytes));
    if (header === undefined || header.sourceCid !== this.guestCid || header.destinationCid !== hostCid) return;
    const fits = header.bytes <= maxPayloadBytes && header.bytes <= chain.readableBytes - vsockHeaderBytes;
    if (!fits || header.type !== streamType) {
      this.#refuse(header);
      return;
    }
    const connection = this.#connections.get(keyOf(header.sourcePort, header.destinationPort));
    if (connection !== undefined) {
      connection.packet(header, chain.readableSlice(vsockHeaderBytes, header.bytes));
    } else if (header.operation === operation.request) this.#called(header);
    else this.#refuse(header);
  }

  #called(request: VsockHeader): void {
    if (this.#connections.size >= maxVsockConnections) {
      this.#refuse(request);
      return;
    }
    const connection = new VsockConnection(this, request.sourcePort, request.destinationPort, { request });
    const stream = this.#host.connect(request.destinationPort, connection);
    if (stream === undefined) {
      this.#refuse(request);
      return;
    }
    connection.join(stream);
    this.#connections.set(keyOf(request.sourcePort, request.destinationPort), connection);
  }

  #refuse(header: VsockHeader): void {
    if (header.operation === operation.reset) return;
    this.#resets.push({
      ...header,
      sourceCid: hostCid,
      destinationCid: this.guestCid,
      sourcePort: header.destinationPort,
      destinationPort: header.sourcePort,
      bytes: 0,
      operation: operation.reset,
      flags: 0,
      bufferBytes: 0,
      forwarded: 0,
    });
  }

  #flush(): void {
    this.#sendOwed();
    this.#transport.queue(receiveQueue).signal();
  }

  #sendOwed(): void {
    const held = this.#resets.length >= maxResets;
    for (let reset = this.#resets[0]; reset !== undefined; reset = this.#resets[0]) {
      if (this.put(reset, undefined, 0) === undefined) return;
      this.#resets.shift();
    }
    if (held) this.#transport.again(sendQueue);
    for (const connection of this.#owing) {
      if (!connection.transmit()) return;
      this.#owing.delete(connection);
    }
  }

  #sendEvent(): void {
    if (!this.#owesEvent) return;
    const queue = this.#transport.queue(eventQueue);
    const chain = queue.pop();
    if (chain === undefined) return;
    this.#owesEvent = false;
    queue.push(chain, chain.write(0, Uint8Array.of(VIRTIO_VSOCK_EVENT_TRANSPORT_RESET, 0, 0, 0)));
  }

  #advancePort(): void {
    this.#nextPort = this.#nextPort >= 0x7fff_ffff ? 0x4000_0000 : this.#nextPort + 1;
  }
}

function keyOf(guestPort: number, hostPort: number): string {
  return `${guestPort} ${hostPort}`;
}
