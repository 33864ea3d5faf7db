// The addresses of one subnet: the lowest free one after the last given, so that a returned address rests as long as
// possible before another container gets it. In memory; the records of endpoints are the truth.
import { HolmError } from '../base/error.ts';
import { formatSubnet, lastOf, type Subnet } from './subnet.ts';

export class Leases {
  readonly subnet: Subnet;
  readonly #taken = new Set<number>();
  #last: number;

  constructor(subnet: Subnet) {
    this.subnet = subnet;
    this.#last = subnet.first;
    this.#taken.add(subnet.gateway);
  }

  /** The address that is next; not taken yet. */
  next(): number {
    const end = lastOf(this.subnet);
    const count = end - this.subnet.first - 1;
    let address = this.#last;
    for (let tried = 0; tried < count; tried++) {
      address = address + 1 < end ? address + 1 : this.subnet.first + 1;
      if (!this.#taken.has(address)) return address;
    }
    throw new HolmError(
      'unavailable',
      `Cannot take an address of ${formatSubnet(this.subnet)}: all ${count} are in use`,
    );
  }

  /** Takes an address: the next, or one that a record names. */
  claim(address: number): void {
    this.#taken.add(address);
    this.#last = address;
  }

  release(address: number): void {
    if (address !== this.subnet.gateway) this.#taken.delete(address);
  }
}
