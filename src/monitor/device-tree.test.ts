import assert from 'node:assert/strict';
import { test } from 'node:test';
import { virtioSlot } from '../devices/address-map.ts';
import { machineTree } from './device-tree.ts';
import { encodeTree } from './flattened-tree.ts';

interface Read {
  readonly properties: Map<string, Uint8Array>;
  readonly children: Map<string, Read>;
}

/** Reads a blob back as a kernel does: header, tokens, names. */
function decode(blob: Uint8Array): Read {
  const view = new DataView(blob.buffer, blob.byteOffset, blob.length);
  assert.equal(view.getUint32(0), 0xd00dfeed);
  assert.equal(view.getUint32(4), blob.length);
  const stringsStart = view.getUint32(12);
  let at = view.getUint32(8);
  const textAt = (start: number): string => {
    let end = start;
    while (blob[end] !== 0) end++;
    return new TextDecoder().decode(blob.subarray(start, end));
  };
  const word = (): number => {
    at += 4;
    return view.getUint32(at - 4);
  };
  const node = (): Read => {
    const name = textAt(at);
    at = (at + name.length + 4) & ~3;
    const read: Read = { properties: new Map(), children: new Map() };
    for (;;) {
      const token = word();
      if (token === 2) return read;
      if (token === 1) {
        const child = textAt(at);
        read.children.set(child, node());
      } else {
        assert.equal(token, 3);
        const bytes = word();
        const property = textAt(stringsStart + word());
        read.properties.set(property, blob.subarray(at, at + bytes));
        at = (at + bytes + 3) & ~3;
      }
    }
  };
  assert.equal(word(), 1);
  const root = node();
  assert.equal(word(), 9);
  return root;
}

const text = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes);
const words = (bytes: Uint8Array | undefined): number[] => {
  const view = new DataView(bytes!.buffer, bytes!.byteOffset, bytes!.length);
  return Array.from({ length: bytes!.length / 4 }, (_, i) => view.getUint32(4 * i));
};

test('the tree says what the machine has', () => {
  const blob = encodeTree(
    machineTree({
      harts: 2,
      ramBytes: 5 * 2 ** 30,
      commandLine: 'console=ttyS0 quiet',
      extensions: ['i', 'm', 'zba', 'sstc'],
      initrd: { start: 0x8400_0000, end: 0x1_0000_0000 },
      virtioSlots: [0, 3],
      seed: Uint8Array.of(1, 2, 3, 4),
      firmware: false,
    }),
  );
  const root = decode(blob);
  const chosen = root.children.get('chosen')!;
  assert.equal(text(chosen.properties.get('bootargs')), 'console=ttyS0 quiet\0');
  assert.deepEqual(words(chosen.properties.get('linux,initrd-end')), [1, 0]);
  assert.deepEqual(
    words(root.children.get('memory@80000000')!.properties.get('reg')),
    [0, 0x8000_0000, 1, 0x4000_0000],
  );
  const cpus = root.children.get('cpus')!;
  assert.deepEqual([...cpus.children.keys()], ['cpu@0', 'cpu@1']);
  assert.equal(text(cpus.children.get('cpu@1')!.properties.get('riscv,isa')), 'rv64im_zba_sstc\0');
  assert.equal(text(cpus.children.get('cpu@0')!.properties.get('riscv,isa-extensions')), 'i\0m\0zba\0sstc\0');
  const soc = root.children.get('soc')!;
  assert.ok(!soc.children.has('clint@2000000'), 'no firmware, no interruptor');
  const slot = soc.children.get(`virtio_mmio@${virtioSlot(3).start.toString(16)}`)!;
  assert.deepEqual(words(slot.properties.get('interrupts')), [virtioSlot(3).interrupt]);
});

test('every handle that is named exists', () => {
  const root = decode(
    encodeTree(
      machineTree({
        harts: 4,
        ramBytes: 2 ** 26,
        commandLine: '',
        extensions: ['i'],
        virtioSlots: [1],
        seed: new Uint8Array(0),
        firmware: true,
      }),
    ),
  );
  const handles: number[] = [];
  const named: number[] = [];
  const walk = (node: Read): void => {
    for (const [name, value] of node.properties) {
      if (name === 'phandle') handles.push(...words(value));
      if (name === 'interrupt-parent' || name === 'regmap') named.push(...words(value));
      if (name === 'interrupts-extended') named.push(...words(value).filter((_, i) => i % 2 === 0));
    }
    for (const child of node.children.values()) walk(child);
  };
  walk(root);
  assert.equal(new Set(handles).size, handles.length);
  assert.ok(named.length > 10);
  for (const handle of named) assert.ok(handles.includes(handle), `handle ${handle}`);
});
