// A switch between machines: learns which MAC is behind which port (IEEE 802.1D, without its tree). A port whose card is
// full keeps a bounded number of bytes; beyond that frames are lost, as in any switch.
import type { DeviceState } from '../device.ts';
import { formatMac, isGroupMac } from './ethernet.ts';
import { type Frame, frameOf, gather } from './frame.ts';
import type { Link, Port } from './link.ts';

const maxAddresses = 4096;
const maxWaitingBytes = 1 << 20;

export class Hub {
  readonly #ports = new Set<HubPort>();
  readonly #addresses = new Map<string, HubPort>();

  /** A link for one more card. */
  plug(): Link {
    const port = new HubPort(this);
    this.#ports.add(port);
    return port;
  }

  /** Joins another network, such as the user-mode stack, to the hub; returns how to part from it. */
  join(link: Link): () => void {
    const port = this.plug();
    link.attach({
      deliver: (frame) => {
        port.send(frame);
        return true;
      },
    });
    port.attach({
      deliver: (frame) => {
        link.send(frame);
        link.flush();
        return true;
      },
    });
    return () => port.close();
  }

  /** Takes a frame that came in at `from`. */
  forward(from: HubPort, frame: Frame): void {
    const head = frame.pieces[0];
    if (head === undefined || head.length < 12) return;
    const source = head.subarray(6, 12);
    if (!isGroupMac(source)) this.#learn(formatMac(source), from);
    const destination = head.subarray(0, 6);
    const to = isGroupMac(destination) ? undefined : this.#addresses.get(formatMac(destination));
    if (to === from) return;
    if (to !== undefined) to.take(frame);
    else for (const port of this.#ports) if (port !== from) port.take(frame);
  }

  unplug(port: HubPort): void {
    this.#ports.delete(port);
    for (const [mac, at] of this.#addresses) if (at === port) this.#addresses.delete(mac);
  }

  #learn(mac: string, port: HubPort): void {
    if (this.#addresses.get(mac) === port) return;
    if (this.#addresses.size >= maxAddresses) this.#addresses.delete(this.#addresses.keys().next().value!);
    this.#addresses.set(mac, port);
  }
}

class HubPort implements Link {
  readonly #hub: Hub;
  #card: Port | undefined;
  #waiting: Frame[] = [];
  #waitingBytes = 0;

  constructor(hub: Hub) {
    this.#hub = hub;
  }

  attach(port: Port): void {
    this.#card = port;
  }

  send(frame: Frame): void {
    this.#hub.forward(this, frame);
  }

  /** Hands a frame to this port's card, or keeps a copy until it has room. */
  take(frame: Frame): void {
    if (this.#card === undefined) return;
    if (this.#waiting.length === 0 && this.#card.deliver(frame)) return;
    if (this.#waitingBytes + frame.bytes > maxWaitingBytes) return;
    const whole = gather(frame);
    this.#waiting.push(frameOf(whole.slice(), frame.offload));
    this.#waitingBytes += frame.bytes;
  }

  flush(): void {}

  resume(): void {
    for (let frame = this.#waiting[0]; frame !== undefined; frame = this.#waiting[0]) {
      if (this.#card?.deliver(frame) === false) return;
      this.#waiting.shift();
      this.#waitingBytes -= frame.bytes;
    }
  }

  reset(): void {
    this.#waiting = [];
    this.#waitingBytes = 0;
  }

  close(): void {
    this.#hub.unplug(this);
    this.reset();
  }

  save(): DeviceState {
    return {};
  }

  load(): void {
    this.reset();
  }
}
