// Physical memory protection (privileged architecture, section 3.7): from pmpcfg and pmpaddr to the ranges that the walk of
// page tables looks at. Entries are of whole pages (grain G = 10), so a page is allowed or not as a whole.
import { pageBytes } from '../memory/layout.ts';

export interface ProtectedRange {
  /** Guest-physical, the end excluded. */
  readonly start: bigint;
  readonly end: bigint;
  /** The entry's configuration byte: R 1, W 2, X 4, L 128. */
  readonly bits: number;
}

const offset = { off: 0, topOfRange: 1, fourBytes: 2, powerOfTwo: 3 } as const;
const pageMask = BigInt(pageBytes - 1);

/** The ranges of the entries that are on, the first to match decides. `configs` has a byte an entry. */
export function protectedRanges(configs: readonly number[], addresses: readonly bigint[]): ProtectedRange[] {
  const ranges: ProtectedRange[] = [];
  for (const [i, bits] of configs.entries()) {
    const mode = (bits >> 3) & 3;
    const address = addresses[i]!;
    if (mode === offset.topOfRange) {
      const start = ((i === 0 ? 0n : addresses[i - 1]!) << 2n) & ~pageMask;
      const end = (address << 2n) & ~pageMask;
      if (start < end) ranges.push({ start, end, bits });
    } else if (mode === offset.powerOfTwo) {
      // The lowest 0 tells the size; below the grain all read as 1.
      const filled = address | (pageMask >> 3n);
      const size = ((filled ^ (filled + 1n)) + 1n) << 2n;
      const start = (filled << 2n) & ~(size - 1n);
      ranges.push({ start, end: start + size, bits });
    }
  }
  return ranges;
}
