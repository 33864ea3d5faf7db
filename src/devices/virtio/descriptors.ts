// A chain of descriptors in guest memory, turned into a request (virtio 1.2, section 2.7.5). The walk is bounded, every address
// is checked, and each field is read once: the guest may change it meanwhile.
import type { GuestMemory } from '../../memory/guest-memory.ts';
import type { Chain } from './chain.ts';

export const VIRTQ_DESC_F_NEXT = 1;
export const VIRTQ_DESC_F_WRITE = 2;
export const VIRTQ_DESC_F_INDIRECT = 4;
export const descriptorBytes = 16;

/** Descriptors of one chain, indirect ones too: Linux may pass more than the ring has, but never more than this. */
const maxChainDescriptors = 1024;

/** Adds the buffers of the chain that begins at its head in a table of `size` descriptors; returns what is wrong with it. */
export function collect(chain: Chain, memory: GuestMemory, descriptors: number, size: number): string | undefined {
  let table = descriptors;
  let entries = size;
  let index = chain.head;
  let indirect = false;
  for (let count = 0; count < maxChainDescriptors; count++) {
    if (index >= entries) return `descriptor ${index} of ${entries}`;
    const at = table + index * descriptorBytes;
    const address = memory.u64(at);
    const bytes = memory.u32(at + 8);
    const flags = memory.u16(at + 12);
    const next = memory.u16(at + 14);
    if ((flags & VIRTQ_DESC_F_INDIRECT) !== 0) {
      if (indirect || (flags & VIRTQ_DESC_F_NEXT) !== 0) return 'indirect descriptor out of place';
      if (bytes === 0 || bytes % descriptorBytes !== 0) return `indirect table of ${bytes} bytes`;
      if (!memory.contains(address, bytes)) return 'indirect table not in RAM';
      indirect = true;
      table = address;
      entries = bytes / descriptorBytes;
      index = 0;
      continue;
    }
    if (!memory.contains(address, bytes)) return 'buffer not in RAM';
    const why = chain.add(memory, address, bytes, (flags & VIRTQ_DESC_F_WRITE) !== 0);
    if (why !== undefined) return why;
    if ((flags & VIRTQ_DESC_F_NEXT) === 0) return undefined;
    index = next;
  }
  return 'chain without end';
}
