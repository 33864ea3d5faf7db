// A device tree as the flattened blob that a kernel reads (Devicetree Specification v0.4, chapter 5).

export type Property = readonly [name: string, value: PropertyValue];
/** Cells of 32 bits, a text, a list of texts, or nothing (a property that is true by being there). */
export type PropertyValue = readonly number[] | string | readonly string[] | Uint8Array | true;

export interface TreeNode {
  /** With its unit address: `memory@80000000`; the root's is empty. */
  readonly name: string;
  readonly properties: readonly Property[];
  readonly children: readonly TreeNode[];
}

const beginNode = 1;
const endNode = 2;
const propertyToken = 3;
const endToken = 9;
const headerBytes = 40;
const emptyReservations = 16;

/** The blob of a tree: version 17, no reserved memory. `bootHart` is the hart that starts the kernel. */
export function encodeTree(root: TreeNode, bootHart = 0): Uint8Array {
  const structure = new Writer();
  const names = new Names();
  writeNode(structure, names, root);
  structure.word(endToken);
  const strings = names.bytes();
  const structureStart = headerBytes + emptyReservations;
  const stringsStart = structureStart + structure.length;
  const total = stringsStart + strings.length;
  const header = new Writer();
  for (const word of [
    0xd00dfeed,
    total,
    structureStart,
    stringsStart,
    headerBytes,
    17,
    16,
    bootHart,
    strings.length,
    structure.length,
  ]) {
    header.word(word);
  }
  const blob = new Uint8Array(total);
  blob.set(header.bytes(), 0);
  blob.set(structure.bytes(), structureStart);
  blob.set(strings, stringsStart);
  return blob;
}

function writeNode(out: Writer, names: Names, node: TreeNode): void {
  out.word(beginNode);
  out.raw(text(node.name));
  for (const [name, value] of node.properties) {
    const bytes = encodeValue(value);
    out.word(propertyToken);
    out.word(bytes.length);
    out.word(names.offset(name));
    out.raw(bytes);
  }
  for (const child of node.children) writeNode(out, names, child);
  out.word(endNode);
}

function encodeValue(value: PropertyValue): Uint8Array {
  if (value === true) return new Uint8Array(0);
  if (value instanceof Uint8Array) return value;
  if (typeof value === 'string') return text(value);
  const out = new Writer();
  for (const item of value) {
    if (typeof item === 'string') out.unpadded(text(item));
    else out.word(item);
  }
  return out.bytes();
}

function text(value: string): Uint8Array {
  return new TextEncoder().encode(`${value}\0`);
}

/** The strings block: each property's name once. */
class Names {
  readonly #offsets = new Map<string, number>();
  readonly #out = new Writer();

  offset(name: string): number {
    const known = this.#offsets.get(name);
    if (known !== undefined) return known;
    const offset = this.#out.length;
    this.#offsets.set(name, offset);
    this.#out.unpadded(text(name));
    return offset;
  }

  bytes(): Uint8Array {
    return this.#out.bytes();
  }
}

/** Big-endian words and bytes padded to words. */
class Writer {
  #bytes = new Uint8Array(256);
  length = 0;

  word(value: number): void {
    this.unpadded(new Uint8Array([value >>> 24, value >>> 16, value >>> 8, value]));
  }

  raw(bytes: Uint8Array): void {
    this.unpadded(bytes);
    this.unpadded(new Uint8Array(-this.length & 3));
  }

  unpadded(bytes: Uint8Array): void {
    while (this.length + bytes.length > this.#bytes.length) {
      const larger = new Uint8Array(this.#bytes.length * 2);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }
}
