// WebAssembly code, emitted byte by byte: one method an instruction, named as in the WebAssembly specification (core
// 5.4, threads 5.4.7), in the order of the stack. Both the interpreter and translated guest code are made with it; the
// translator emits on the fly, so a method does no more than append bytes.
// One line an instruction is why this file is long.

/** Value and block types as encoded. */
export const i32 = 0x7f;
export const i64 = 0x7e;
export const f32 = 0x7d;
export const f64 = 0x7c;
export const empty = 0x40;

const scratch = new DataView(new ArrayBuffer(8));

export class Code {
  bytes: Uint8Array<ArrayBuffer>;
  length = 0;
  /** Nesting of block, loop and if; what a branch's label counts from. */
  depth = 0;

  constructor(capacityBytes = 1024) {
    this.bytes = new Uint8Array(capacityBytes);
  }

  /** The bytes emitted so far, as a view that the next emission may leave behind. */
  finish(): Uint8Array<ArrayBuffer> {
    return this.bytes.subarray(0, this.length);
  }

  byte(value: number): this {
    if (this.length === this.bytes.length) this.#grow(1);
    this.bytes[this.length++] = value;
    return this;
  }

  append(other: Uint8Array): this {
    if (this.length + other.length > this.bytes.length) this.#grow(other.length);
    this.bytes.set(other, this.length);
    this.length += other.length;
    return this;
  }

  /** Unsigned LEB128 of a number below 2^32. */
  unsigned(value: number): this {
    let rest = value >>> 0;
    while (rest >= 0x80) {
      this.byte((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    return this.byte(rest);
  }

  /** Signed LEB128 of a 32-bit number. */
  signed(value: number): this {
    let rest = value | 0;
    while (rest < -0x40 || rest > 0x3f) {
      this.byte((rest & 0x7f) | 0x80);
      rest >>= 7;
    }
    return this.byte(rest & 0x7f);
  }

  /** Signed LEB128 of a 64-bit number. */
  signed64(value: bigint): this {
    let rest = BigInt.asIntN(64, value);
    while (rest < -0x40n || rest > 0x3fn) {
      this.byte(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    return this.byte(Number(rest & 0x7fn));
  }

  i32Const(value: number): this {
    return this.byte(0x41).signed(value);
  }

  /** A 64-bit constant: a number stands for its sign-extended value and must be a 32-bit integer. */
  i64Const(value: number | bigint): this {
    this.byte(0x42);
    return typeof value === 'bigint' ? this.signed64(value) : this.signed(value);
  }

  f32Const(value: number): this {
    scratch.setFloat32(0, value, true);
    this.byte(0x43);
    for (let i = 0; i < 4; i++) this.byte(scratch.getUint8(i));
    return this;
  }

  f64Const(value: number): this {
    scratch.setFloat64(0, value, true);
    this.byte(0x44);
    for (let i = 0; i < 8; i++) this.byte(scratch.getUint8(i));
    return this;
  }

  localGet(local: number): this {
    return this.byte(0x20).unsigned(local);
  }

  localSet(local: number): this {
    return this.byte(0x21).unsigned(local);
  }

  localTee(local: number): this {
    return this.byte(0x22).unsigned(local);
  }

  globalGet(global: number): this {
    return this.byte(0x23).unsigned(global);
  }

  globalSet(global: number): this {
    return this.byte(0x24).unsigned(global);
  }

  block(type: number = empty): this {
    this.depth++;
    return this.byte(0x02).byte(type);
  }

  loop(type: number = empty): this {
    this.depth++;
    return this.byte(0x03).byte(type);
  }

  if_(type: number = empty): this {
    this.depth++;
    return this.byte(0x04).byte(type);
  }

  else_(): this {
    return this.byte(0x05);
  }

  end(): this {
    this.depth--;
    return this.byte(0x0b);
  }

  br(label: number): this {
    return this.byte(0x0c).unsigned(label);
  }

  brIf(label: number): this {
    return this.byte(0x0d).unsigned(label);
  }

  /** Branches to `labels[index]`, or to `otherwise`. */
  brTable(labels: readonly number[], otherwise: number): this {
    this.byte(0x0e).unsigned(labels.length);
    for (const label of labels) this.unsigned(label);
    return this.unsigned(otherwise);
  }

  call(func: number): this {
    return this.byte(0x10).unsigned(func);
  }

  callIndirect(type: number, table = 0): this {
    return this.byte(0x11).unsigned(type).unsigned(table);
  }

  atomicFence(): this {
    return this.byte(0xfe).byte(0x03).byte(0x00);
  }

  unreachable(): this {
    return this.byte(0x00);
  }

  nop(): this {
    return this.byte(0x01);
  }

  return_(): this {
    return this.byte(0x0f);
  }

  drop(): this {
    return this.byte(0x1a);
  }

  select(): this {
    return this.byte(0x1b);
  }

  i32Eqz(): this {
    return this.byte(0x45);
  }

  i32Eq(): this {
    return this.byte(0x46);
  }

  i32Ne(): this {
    return this.byte(0x47);
  }

  i32LtS(): this {
    return this.byte(0x48);
  }

  i32LtU(): this {
    return this.byte(0x49);
  }

  i32GtS(): this {
    return this.byte(0x4a);
  }

  i32GtU(): this {
    return this.byte(0x4b);
  }

  i32LeS(): this {
    return this.byte(0x4c);
  }

  i32LeU(): this {
    return this.byte(0x4d);
  }

  i32GeS(): this {
    return this.byte(0x4e);
  }

  i32GeU(): this {
    return this.byte(0x4f);
  }

  i64Eqz(): this {
    return this.byte(0x50);
  }

  i64Eq(): this {
    return this.byte(0x51);
  }

  i64Ne(): this {
    return this.byte(0x52);
  }

  i64LtS(): this {
    return this.byte(0x53);
  }

  i64LtU(): this {
    return this.byte(0x54);
  }

  i64GtS(): this {
    return this.byte(0x55);
  }

  i64GtU(): this {
    return this.byte(0x56);
  }

  i64LeS(): this {
    return this.byte(0x57);
  }

  i64LeU(): this {
    return this.byte(0x58);
  }

  i64GeS(): this {
    return this.byte(0x59);
  }

  i64GeU(): this {
    return this.byte(0x5a);
  }

  f32Eq(): this {
    return this.byte(0x5b);
  }

  f32Ne(): this {
    return this.byte(0x5c);
  }

  f32Lt(): this {
    return this.byte(0x5d);
  }

  f32Gt(): this {
    return this.byte(0x5e);
  }

  f32Le(): this {
    return this.byte(0x5f);
  }

  f32Ge(): this {
    return this.byte(0x60);
  }

  f64Eq(): this {
    return this.byte(0x61);
  }

  f64Ne(): this {
    return this.byte(0x62);
  }

  f64Lt(): this {
    return this.byte(0x63);
  }

  f64Gt(): this {
    return this.byte(0x64);
  }

  f64Le(): this {
    return this.byte(0x65);
  }

  f64Ge(): this {
    return this.byte(0x66);
  }

  i32Clz(): this {
    return this.byte(0x67);
  }

  i32Ctz(): this {
    return this.byte(0x68);
  }

  i32Popcnt(): this {
    return this.byte(0x69);
  }

  i32Add(): this {
    return this.byte(0x6a);
  }

  i32Sub(): this {
    return this.byte(0x6b);
  }

  i32Mul(): this {
    return this.byte(0x6c);
  }

  i32DivS(): this {
    return this.byte(0x6d);
  }

  i32DivU(): this {
    return this.byte(0x6e);
  }

  i32RemS(): this {
    return this.byte(0x6f);
  }

  i32RemU(): this {
    return this.byte(0x70);
  }

  i32And(): this {
    return this.byte(0x71);
  }

  i32Or(): this {
    return this.byte(0x72);
  }

  i32Xor(): this {
    return this.byte(0x73);
  }

  i32Shl(): this {
    return this.byte(0x74);
  }

  i32ShrS(): this {
    return this.byte(0x75);
  }

  i32ShrU(): this {
    return this.byte(0x76);
  }

  i32Rotl(): this {
    return this.byte(0x77);
  }

  i32Rotr(): this {
    return this.byte(0x78);
  }

  i64Clz(): this {
    return this.byte(0x79);
  }

  i64Ctz(): this {
    return this.byte(0x7a);
  }

  i64Popcnt(): this {
    return this.byte(0x7b);
  }

  i64Add(): this {
    return this.byte(0x7c);
  }

  i64Sub(): this {
    return this.byte(0x7d);
  }

  i64Mul(): this {
    return this.byte(0x7e);
  }

  i64DivS(): this {
    return this.byte(0x7f);
  }

  i64DivU(): this {
    return this.byte(0x80);
  }

  i64RemS(): this {
    return this.byte(0x81);
  }

  i64RemU(): this {
    return this.byte(0x82);
  }

  i64And(): this {
    return this.byte(0x83);
  }

  i64Or(): this {
    return this.byte(0x84);
  }

  i64Xor(): this {
    return this.byte(0x85);
  }

  i64Shl(): this {
    return this.byte(0x86);
  }

  i64ShrS(): this {
    return this.byte(0x87);
  }

  i64ShrU(): this {
    return this.byte(0x88);
  }

  i64Rotl(): this {
    return this.byte(0x89);
  }

  i64Rotr(): this {
    return this.byte(0x8a);
  }

  f32Abs(): this {
    return this.byte(0x8b);
  }

  f32Neg(): this {
    return this.byte(0x8c);
  }

  f32Ceil(): this {
    return this.byte(0x8d);
  }

  f32Floor(): this {
    return this.byte(0x8e);
  }

  f32Trunc(): this {
    return this.byte(0x8f);
  }

  f32Nearest(): this {
    return this.byte(0x90);
  }

  f32Sqrt(): this {
    return this.byte(0x91);
  }

  f32Add(): this {
    return this.byte(0x92);
  }

  f32Sub(): this {
    return this.byte(0x93);
  }

  f32Mul(): this {
    return this.byte(0x94);
  }

  f32Div(): this {
    return this.byte(0x95);
  }

  f32Min(): this {
    return this.byte(0x96);
  }

  f32Max(): this {
    return this.byte(0x97);
  }

  f32Copysign(): this {
    return this.byte(0x98);
  }

  f64Abs(): this {
    return this.byte(0x99);
  }

  f64Neg(): this {
    return this.byte(0x9a);
  }

  f64Ceil(): this {
    return this.byte(0x9b);
  }

  f64Floor(): this {
    return this.byte(0x9c);
  }

  f64Trunc(): this {
    return this.byte(0x9d);
  }

  f64Nearest(): this {
    return this.byte(0x9e);
  }

  f64Sqrt(): this {
    return this.byte(0x9f);
  }

  f64Add(): this {
    return this.byte(0xa0);
  }

  f64Sub(): this {
    return this.byte(0xa1);
  }

  f64Mul(): this {
    return this.byte(0xa2);
  }

  f64Div(): this {
    return this.byte(0xa3);
  }

  f64Min(): this {
    return this.byte(0xa4);
  }

  f64Max(): this {
    return this.byte(0xa5);
  }

  f64Copysign(): this {
    return this.byte(0xa6);
  }

  i32WrapI64(): this {
    return this.byte(0xa7);
  }

  i64ExtendI32S(): this {
    return this.byte(0xac);
  }

  i64ExtendI32U(): this {
    return this.byte(0xad);
  }

  f32ConvertI32S(): this {
    return this.byte(0xb2);
  }

  f32ConvertI32U(): this {
    return this.byte(0xb3);
  }

  f32ConvertI64S(): this {
    return this.byte(0xb4);
  }

  f32ConvertI64U(): this {
    return this.byte(0xb5);
  }

  f32DemoteF64(): this {
    return this.byte(0xb6);
  }

  f64ConvertI32S(): this {
    return this.byte(0xb7);
  }

  f64ConvertI32U(): this {
    return this.byte(0xb8);
  }

  f64ConvertI64S(): this {
    return this.byte(0xb9);
  }

  f64ConvertI64U(): this {
    return this.byte(0xba);
  }

  f64PromoteF32(): this {
    return this.byte(0xbb);
  }

  i32ReinterpretF32(): this {
    return this.byte(0xbc);
  }

  i64ReinterpretF64(): this {
    return this.byte(0xbd);
  }

  f32ReinterpretI32(): this {
    return this.byte(0xbe);
  }

  f64ReinterpretI64(): this {
    return this.byte(0xbf);
  }

  i32Extend8S(): this {
    return this.byte(0xc0);
  }

  i32Extend16S(): this {
    return this.byte(0xc1);
  }

  i64Extend8S(): this {
    return this.byte(0xc2);
  }

  i64Extend16S(): this {
    return this.byte(0xc3);
  }

  i64Extend32S(): this {
    return this.byte(0xc4);
  }

  i32TruncSatF32S(): this {
    return this.byte(0xfc).byte(0x00);
  }

  i32TruncSatF32U(): this {
    return this.byte(0xfc).byte(0x01);
  }

  i32TruncSatF64S(): this {
    return this.byte(0xfc).byte(0x02);
  }

  i32TruncSatF64U(): this {
    return this.byte(0xfc).byte(0x03);
  }

  i64TruncSatF32S(): this {
    return this.byte(0xfc).byte(0x04);
  }

  i64TruncSatF32U(): this {
    return this.byte(0xfc).byte(0x05);
  }

  i64TruncSatF64S(): this {
    return this.byte(0xfc).byte(0x06);
  }

  i64TruncSatF64U(): this {
    return this.byte(0xfc).byte(0x07);
  }

  i32Load(offset = 0): this {
    return this.#memory(0x28, 0, offset);
  }

  i64Load(offset = 0): this {
    return this.#memory(0x29, 0, offset);
  }

  f32Load(offset = 0): this {
    return this.#memory(0x2a, 0, offset);
  }

  f64Load(offset = 0): this {
    return this.#memory(0x2b, 0, offset);
  }

  i32Load8S(offset = 0): this {
    return this.#memory(0x2c, 0, offset);
  }

  i32Load8U(offset = 0): this {
    return this.#memory(0x2d, 0, offset);
  }

  i32Load16S(offset = 0): this {
    return this.#memory(0x2e, 0, offset);
  }

  i32Load16U(offset = 0): this {
    return this.#memory(0x2f, 0, offset);
  }

  i64Load8S(offset = 0): this {
    return this.#memory(0x30, 0, offset);
  }

  i64Load8U(offset = 0): this {
    return this.#memory(0x31, 0, offset);
  }

  i64Load16S(offset = 0): this {
    return this.#memory(0x32, 0, offset);
  }

  i64Load16U(offset = 0): this {
    return this.#memory(0x33, 0, offset);
  }

  i64Load32S(offset = 0): this {
    return this.#memory(0x34, 0, offset);
  }

  i64Load32U(offset = 0): this {
    return this.#memory(0x35, 0, offset);
  }

  i32Store(offset = 0): this {
    return this.#memory(0x36, 0, offset);
  }

  i64Store(offset = 0): this {
    return this.#memory(0x37, 0, offset);
  }

  f32Store(offset = 0): this {
    return this.#memory(0x38, 0, offset);
  }

  f64Store(offset = 0): this {
    return this.#memory(0x39, 0, offset);
  }

  i32Store8(offset = 0): this {
    return this.#memory(0x3a, 0, offset);
  }

  i32Store16(offset = 0): this {
    return this.#memory(0x3b, 0, offset);
  }

  i64Store8(offset = 0): this {
    return this.#memory(0x3c, 0, offset);
  }

  i64Store16(offset = 0): this {
    return this.#memory(0x3d, 0, offset);
  }

  i64Store32(offset = 0): this {
    return this.#memory(0x3e, 0, offset);
  }

  i32AtomicLoad(offset = 0): this {
    return this.byte(0xfe).#memory(0x10, 2, offset);
  }

  i64AtomicLoad(offset = 0): this {
    return this.byte(0xfe).#memory(0x11, 3, offset);
  }

  i32AtomicLoad8U(offset = 0): this {
    return this.byte(0xfe).#memory(0x12, 0, offset);
  }

  i32AtomicStore(offset = 0): this {
    return this.byte(0xfe).#memory(0x17, 2, offset);
  }

  i64AtomicStore(offset = 0): this {
    return this.byte(0xfe).#memory(0x18, 3, offset);
  }

  i32AtomicStore8(offset = 0): this {
    return this.byte(0xfe).#memory(0x19, 0, offset);
  }

  i32AtomicRmwAdd(offset = 0): this {
    return this.byte(0xfe).#memory(0x1e, 2, offset);
  }

  i64AtomicRmwAdd(offset = 0): this {
    return this.byte(0xfe).#memory(0x1f, 3, offset);
  }

  i32AtomicRmw8AddU(offset = 0): this {
    return this.byte(0xfe).#memory(0x20, 0, offset);
  }

  i32AtomicRmwSub(offset = 0): this {
    return this.byte(0xfe).#memory(0x25, 2, offset);
  }

  i64AtomicRmwSub(offset = 0): this {
    return this.byte(0xfe).#memory(0x26, 3, offset);
  }

  i32AtomicRmw8SubU(offset = 0): this {
    return this.byte(0xfe).#memory(0x27, 0, offset);
  }

  i32AtomicRmwAnd(offset = 0): this {
    return this.byte(0xfe).#memory(0x2c, 2, offset);
  }

  i64AtomicRmwAnd(offset = 0): this {
    return this.byte(0xfe).#memory(0x2d, 3, offset);
  }

  i32AtomicRmw8AndU(offset = 0): this {
    return this.byte(0xfe).#memory(0x2e, 0, offset);
  }

  i32AtomicRmwOr(offset = 0): this {
    return this.byte(0xfe).#memory(0x33, 2, offset);
  }

  i64AtomicRmwOr(offset = 0): this {
    return this.byte(0xfe).#memory(0x34, 3, offset);
  }

  i32AtomicRmw8OrU(offset = 0): this {
    return this.byte(0xfe).#memory(0x35, 0, offset);
  }

  i32AtomicRmwXor(offset = 0): this {
    return this.byte(0xfe).#memory(0x3a, 2, offset);
  }

  i64AtomicRmwXor(offset = 0): this {
    return this.byte(0xfe).#memory(0x3b, 3, offset);
  }

  i32AtomicRmw8XorU(offset = 0): this {
    return this.byte(0xfe).#memory(0x3c, 0, offset);
  }

  i32AtomicRmwXchg(offset = 0): this {
    return this.byte(0xfe).#memory(0x41, 2, offset);
  }

  i64AtomicRmwXchg(offset = 0): this {
    return this.byte(0xfe).#memory(0x42, 3, offset);
  }

  i32AtomicRmw8XchgU(offset = 0): this {
    return this.byte(0xfe).#memory(0x43, 0, offset);
  }

  i32AtomicRmwCmpxchg(offset = 0): this {
    return this.byte(0xfe).#memory(0x48, 2, offset);
  }

  i64AtomicRmwCmpxchg(offset = 0): this {
    return this.byte(0xfe).#memory(0x49, 3, offset);
  }

  i32AtomicRmw8CmpxchgU(offset = 0): this {
    return this.byte(0xfe).#memory(0x4a, 0, offset);
  }

  memoryFill(): this {
    return this.byte(0xfc).byte(0x0b).byte(0x00);
  }

  /** An opcode with its memory argument; plain accesses claim no alignment, atomic ones their own. */
  #memory(opcode: number, align: number, offset: number): this {
    return this.byte(opcode).byte(align).unsigned(offset);
  }

  #grow(more: number): void {
    const larger = new Uint8Array(Math.max(this.bytes.length * 2, this.length + more));
    larger.set(this.bytes);
    this.bytes = larger;
  }
}
