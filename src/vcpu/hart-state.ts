// A hart's area in the shared memory: where its registers and its TLBs lie, as byte offsets from the area's start
// (`layout.hart(index)`). The first words are written by other threads too, see src/memory/layout.ts.

export const state = {
  /** Instructions that may still run before the hart returns to its caller; i64, counted down. */
  budget: 0x10,
  /** Instructions retired until `budget` was last set, i64: instret is this plus what the budget has lost since. */
  retired: 0x18,
  /** 1 while the hart executes guest code: only then must others wait for it to serve a request (requests.ts). Atomics. */
  running: 0x20,
  /** Virtual address of the next instruction, i64. */
  pc: 0x40,
  /** 0 user, 1 supervisor, 3 machine; i32. */
  privilege: 0x48,
  /** Accrued floating-point exception flags (NV 16, DZ 8, OF 4, UF 2, NX 1) and rounding mode; i32 each. */
  fflags: 0x50,
  frm: 0x54,
  /** The context bits that a TLB tag must carry for a load or store, and for a fetch, of this moment; i64 each. */
  dataContext: 0x58,
  fetchContext: 0x60,
  /** Address of the reservation of LR (virtual), its loaded value, and whether it stands; i64, i64, i32. */
  reservation: 0x68,
  reservedValue: 0x70,
  reserved: 0x78,
  /** What `budget` was last set to, i64. */
  slice: 0x80,
  /** Address spaces' short numbers handed out so far, and whether a gigapage is in a TLB; i32 each. See runtime.ts. */
  spaces: 0x88,
  gigapages: 0x8c,
  /** The record that the scratch page of decoded instructions last lent its place to; i32. See decoded-record.ts. */
  scratch: 0x90,
  /** The timer of M mode (clint.ts), i64. */
  mtimecmp: 0x98,
  /** Integer registers x0 to x31 (x0 stays 0), floating-point registers f0 to f31 as raw bits; i64 each. */
  x: 0x100,
  f: 0x200,
  /** Control and status registers, one i64 each; names and places in src/vcpu/csr.ts. */
  csr: 0x300,
  /** Operands and results of calls that leave WebAssembly (no BigInt crosses): eight i64. */
  call: 0x700,
} as const;

/** Tables of the runtime that are derived from the state: caches, made again at any time. */
export const tables = {
  /** 4,096 entries of 16 bytes by CSR number: i32 kind, i32 place, i64 writable bits. See csr.ts. */
  csr: 0x5_0000,
  /** A byte an ASID: the short number that stands for it in TLB contexts, 0 if none does. */
  spaces: 0x6_0000,
  /** A byte for each hash of a 2 MiB range: 1 if a TLB may hold pages of a superpage there. */
  superpages: 0x7_0000,
  superpageEntries: 4096,
  /** Physical memory protection as the walk reads it: i32 count, then entries of 24 bytes: i64 start, i64 end, i32 bits. */
  protection: 0x7_2000,
  /** The decoded instruction that a region's entry replaced, i64, by the region's slot in the table of functions. */
  replaced: 0x8_0000,
  maxRegions: 0x1_0000,
} as const;

/** Three TLBs, direct-mapped by the virtual page number. */
export const tlb = {
  load: 0x1_0000,
  store: 0x2_0000,
  fetch: 0x3_0000,
  entries: 4096,
  /**
   * An entry: i64 tag, i64 addend. An access of 2^n bytes at `va` hits when
   * (va & ~0xfff | va & (2^n - 1)) ^ context == tag: a tag is page ^ context, with the context in bits 3 to 11, so that a
   * misaligned access never hits and takes the slow road. For load and store, (i32) va + (i32) addend is the offset in the
   * shared memory; for fetch, addend is the address of the page's decoded instructions.
   * A free entry's tag is -1, which no access can have.
   */
  entryBytes: 16,
} as const;
