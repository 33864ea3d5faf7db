// The network device (virtio 1.2, section 5.1): a card plugged into a link. Packets of up to 64 KiB pass whole when the
// driver can (checksums and TCP segments left undone); for a driver that cannot, the card does that work.
import type { DeviceState } from '../device.ts';
import { completeChecksum } from '../net/checksum.ts';
import { ethernetBytes } from '../net/ethernet.ts';
import { type Frame, frameOf, gather, maxFrameBytes, noOffload } from '../net/frame.ts';
import type { Link, Port } from '../net/link.ts';
import { segmentsOf } from '../net/segmentation.ts';
import type { Chain } from './chain.ts';
import { type VirtioDevice, type VirtioTransport, virtioId } from './device.ts';
import { decodeNetHeader, encodeNetHeader, netHeaderBytes } from './net-header.ts';

/** Section 5.1.3. */
const VIRTIO_NET_F_CSUM = 0;
const VIRTIO_NET_F_GUEST_CSUM = 1;
const VIRTIO_NET_F_MTU = 3;
const VIRTIO_NET_F_MAC = 5;
const VIRTIO_NET_F_GUEST_TSO4 = 7;
const VIRTIO_NET_F_GUEST_TSO6 = 8;
const VIRTIO_NET_F_HOST_TSO4 = 11;
const VIRTIO_NET_F_HOST_TSO6 = 12;
const VIRTIO_NET_F_MRG_RXBUF = 15;
const VIRTIO_NET_F_STATUS = 16;
const VIRTIO_NET_F_CTRL_VQ = 17;
const VIRTIO_NET_F_CTRL_RX = 18;
const VIRTIO_NET_F_CTRL_MAC_ADDR = 23;
const VIRTIO_NET_S_LINK_UP = 1;
/** Section 5.1.6.5. */
const VIRTIO_NET_CTRL_RX = 0;
const VIRTIO_NET_CTRL_MAC = 1;
const VIRTIO_NET_CTRL_MAC_ADDR_SET = 1;
const VIRTIO_NET_OK = 0;
const VIRTIO_NET_ERR = 1;

const receiveQueue = 0;
const sendQueue = 1;

export interface NetworkCardOptions {
  /** Six bytes. */
  readonly mac: Uint8Array;
  readonly mtu: number;
  readonly link: Link;
}

export class NetworkCard implements VirtioDevice, Port {
  readonly name = 'net';
  readonly id: number = virtioId.network;
  readonly features: readonly number[] = [
    VIRTIO_NET_F_CSUM,
    VIRTIO_NET_F_GUEST_CSUM,
    VIRTIO_NET_F_MTU,
    VIRTIO_NET_F_MAC,
    VIRTIO_NET_F_GUEST_TSO4,
    VIRTIO_NET_F_GUEST_TSO6,
    VIRTIO_NET_F_HOST_TSO4,
    VIRTIO_NET_F_HOST_TSO6,
    VIRTIO_NET_F_MRG_RXBUF,
    VIRTIO_NET_F_STATUS,
    VIRTIO_NET_F_CTRL_VQ,
    VIRTIO_NET_F_CTRL_RX,
    VIRTIO_NET_F_CTRL_MAC_ADDR,
  ];
  readonly queueSizes: readonly number[] = [512, 256, 64];
  readonly config: Uint8Array = new Uint8Array(12);
  readonly #link: Link;
  readonly #mac: Uint8Array;
  /** A packet of the guest: copied once, so that nobody changes what was looked at. */
  readonly #packet = new Uint8Array(maxFrameBytes);
  /** Frames cut from one that the link handed over, still without a place. */
  #rest: Frame[] = [];
  #full = false;
  #transport!: VirtioTransport;

  constructor({ mac, mtu, link }: NetworkCardOptions) {
    this.#link = link;
    this.#mac = mac.slice(0, 6);
    this.config.set(this.#mac);
    const view = new DataView(this.config.buffer);
    view.setUint16(6, VIRTIO_NET_S_LINK_UP, true);
    view.setUint16(8, 1, true);
    view.setUint16(10, mtu, true);
  }

  attach(transport: VirtioTransport): void {
    this.#transport = transport;
    this.#link.attach(this);
  }

  notify(index: number): void {
    if (index === receiveQueue) this.#resume();
    else if (index === sendQueue) this.#sendAll();
    else this.#control();
  }

  /** Plugs the cable in or out; the driver is told. */
  setLinkUp(up: boolean): void {
    const status = up ? VIRTIO_NET_S_LINK_UP : 0;
    if (this.config[6] === status) return;
    this.config[6] = status;
    this.#transport.configChanged();
  }

  deliver(frame: Frame): boolean {
    // A machine whose driver is not there loses what it is sent, as one without a card would.
    if (!this.#transport.running || this.config[6] === 0) return true;
    if (this.#full || this.#rest.length > 0) return false;
    const { segments } = frame.offload;
    const feature = segments?.kind === 'tcp6' ? VIRTIO_NET_F_GUEST_TSO6 : VIRTIO_NET_F_GUEST_TSO4;
    if (segments === undefined || this.#transport.has(feature)) return this.#put(frame);
    const [first, ...rest] = segmentsOf(gather(frame), frame.offload);
    if (first === undefined) return true;
    if (!this.#put(first)) return false;
    this.#rest = rest;
    this.#putRest();
    return true;
  }

  reset(): void {
    this.#rest = [];
    this.#full = false;
    this.config.set(this.#mac);
    this.#link.reset();
  }

  save(): DeviceState {
    return { link: this.#link.save() };
  }

  load(state: DeviceState): void {
    this.#rest = [];
    this.#full = false;
    this.#link.load(state.link as DeviceState);
  }

  #sendAll(): void {
    const queue = this.#transport.queue(sendQueue);
    for (let chain = queue.pop(); chain !== undefined; chain = queue.pop()) {
      this.#send(chain);
      queue.push(chain, 0);
    }
    this.#link.flush();
  }

  #send(chain: Chain): void {
    const bytes = chain.readableBytes - netHeaderBytes;
    if (bytes < ethernetBytes || bytes > maxFrameBytes || this.config[6] === 0) return;
    const offload = decodeNetHeader(chain.read(0, netHeaderBytes), bytes);
    if (offload === undefined) return;
    let at = 0;
    for (const view of chain.readableSlice(netHeaderBytes, bytes)) {
      this.#packet.set(view, at);
      at += view.length;
    }
    this.#link.send(frameOf(this.#packet.subarray(0, bytes), offload));
  }

  /** Puts a frame into buffers of the guest; false when there are too few. */
  #put(frame: Frame): boolean {
    const queue = this.#transport.queue(receiveQueue);
    const bytes = netHeaderBytes + frame.bytes;
    const mergeable = this.#transport.has(VIRTIO_NET_F_MRG_RXBUF);
    const chains: Chain[] = [];
    for (let room = 0; room < bytes; ) {
      const chain = queue.pop();
      if (chain === undefined || (!mergeable && chain.writableBytes < bytes)) {
        this.#full = chain === undefined;
        for (const taken of chains.reverse()) queue.putBack(taken);
        if (chain !== undefined) queue.putBack(chain);
        // A single buffer that is too small will never do: the frame is lost.
        return chain !== undefined;
      }
      chains.push(chain);
      room += chain.writableBytes;
    }
    this.#fill(chains, frame);
    queue.signal();
    return true;
  }

  #fill(chains: readonly Chain[], frame: Frame): void {
    const queue = this.#transport.queue(receiveQueue);
    const { pieces, offload } = this.#finish(frame);
    const parts = [encodeNetHeader(offload, chains.length), ...pieces];
    let part = parts.shift();
    for (const [index, chain] of chains.entries()) {
      let written = 0;
      while (part !== undefined && written < chain.writableBytes) {
        const wrote = chain.write(written, part);
        written += wrote;
        part = wrote < part.length ? part.subarray(wrote) : parts.shift();
      }
      if (index < chains.length - 1) queue.fill(chain, written);
      else queue.push(chain, written);
    }
  }

  /** Completes the checksum for a driver that did not take VIRTIO_NET_F_GUEST_CSUM. */
  #finish(frame: Frame): Frame {
    const { checksum } = frame.offload;
    if (this.#transport.has(VIRTIO_NET_F_GUEST_CSUM)) return frame;
    if (checksum === undefined) return { ...frame, offload: noOffload };
    const whole = gather(frame).slice();
    completeChecksum(whole, checksum.start, checksum.offset);
    return frameOf(whole);
  }

  #putRest(): void {
    for (let next = this.#rest[0]; next !== undefined; next = this.#rest[0]) {
      if (!this.#put(next)) return;
      this.#rest.shift();
    }
  }

  #resume(): void {
    if (!this.#full) return;
    this.#full = false;
    this.#putRest();
    if (!this.#full) this.#link.resume();
  }

  /** Filters are best effort (section 5.1.6.5.1): the card has none, and takes every setting of them. */
  #control(): void {
    const queue = this.#transport.queue(2);
    for (let chain = queue.pop(); chain !== undefined; chain = queue.pop()) {
      const [kind, command] = chain.read(0, 2);
      let answer = VIRTIO_NET_OK;
      if (kind === VIRTIO_NET_CTRL_MAC && command === VIRTIO_NET_CTRL_MAC_ADDR_SET && chain.readableBytes === 8) {
        this.config.set(chain.read(2, 6));
      } else if (kind !== VIRTIO_NET_CTRL_RX && kind !== VIRTIO_NET_CTRL_MAC) answer = VIRTIO_NET_ERR;
      queue.push(chain, chain.write(0, Uint8Array.of(answer)));
    }
  }
}
