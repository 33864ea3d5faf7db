// A very small assembler over the instruction table: instructions with labels, into a flat image.
import { encode, type Operands } from '../../../src/vcpu/encode.ts';

interface Fixup {
  readonly at: number;
  readonly name: string;
  readonly operands: Operands;
  readonly label: string;
}

export class Assembler {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #labels = new Map<string, number>();
  readonly #fixups: Fixup[] = [];
  at = 0;

  constructor(bytes: number) {
    this.#bytes = new Uint8Array(bytes);
    this.#view = new DataView(this.#bytes.buffer);
  }

  label(name: string): void {
    this.#labels.set(name, this.at);
  }

  offsetOf(label: string): number {
    const offset = this.#labels.get(label);
    if (offset === undefined) throw new Error(`no label "${label}"`);
    return offset;
  }

  emit(name: string, operands: Operands = {}): void {
    this.word(encode(name, operands));
  }

  word(bits: number): void {
    this.#view.setUint32(this.at, bits, true);
    this.at += 4;
  }

  half(bits: number): void {
    this.#view.setUint16(this.at, bits, true);
    this.at += 2;
  }

  double(offset: number, value: bigint): void {
    this.#view.setBigUint64(offset, BigInt.asUintN(64, value), true);
  }

  /** An instruction whose immediate is the distance to a label. */
  to(label: string, name: string, operands: Operands = {}): void {
    this.#fixups.push({ at: this.at, name, operands, label });
    this.at += 4;
  }

  /** rd = a 32-bit constant, sign-extended. */
  li(rd: number, value: number): void {
    const low = (value << 20) >> 20;
    this.emit('lui', { rd, imm: (value - low) | 0 });
    this.emit('addiw', { rd, rs1: rd, imm: low });
  }

  /** rd = an unsigned 32-bit constant. */
  liUnsigned(rd: number, value: number): void {
    this.li(rd, value | 0);
    this.emit('slli', { rd, rs1: rd, imm: 32 });
    this.emit('srli', { rd, rs1: rd, imm: 32 });
  }

  finish(): Uint8Array {
    for (const { at, name, operands, label } of this.#fixups) {
      this.#view.setUint32(at, encode(name, { ...operands, imm: this.offsetOf(label) - at }), true);
    }
    return this.#bytes;
  }
}
