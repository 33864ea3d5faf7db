// Which regions stand, and for how long: slots, eviction, pages that change.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { layout, pageBytes } from '../memory/layout.ts';
import { decode } from './decode.ts';
import { state } from './hart-state.ts';
import { Translator } from './translator.ts';
import { assemble, type Line } from './translator-pair.ts';

const map = layout(1, 2 ** 20);
const memory = new WebAssembly.Memory({
  initial: map.totalBytes / 65536,
  maximum: map.totalBytes / 65536,
  shared: true,
});
const view = new DataView(memory.buffer);

/** A page that the interpreter has forgotten. */
const notDecoded = 60;

function translator(slots: number): {
  translator: Translator;
  standing: Map<string, number>;
  table: WebAssembly.Table;
} {
  const standing = new Map<string, number>();
  const table = new WebAssembly.Table({ element: 'anyfunc', initial: slots + 1 });
  const made = new Translator({
    ...{ memory, table, hart: map.hart(0), firstSlot: 1, soft: [], callSoft: () => {} },
    entries: {
      setRegion: (page, offset, slot) => page !== notDecoded && standing.set(`${page}+${offset}`, slot).size > 0,
      clearRegion: (page, offset) => standing.delete(`${page}+${offset}`),
    },
    decodeAt: (page, offset) => decode(view.getUint32(map.ram + page * pageBytes + offset, true)),
  });
  return { translator: made, standing, table };
}

/** A page whose code adds `amount` to x10 and returns. */
function placeCode(page: number, amount: number): void {
  const lines: Line[] = [
    { name: 'addi', rd: 10, rs1: 10, imm: amount },
    { name: 'jalr', rd: 0, rs1: 1, imm: 0 },
  ];
  assemble(lines).forEach((bits, i) => {
    view.setUint32(map.ram + page * pageBytes + 4 * i, bits, true);
  });
}

function call(table: WebAssembly.Table, slot: number): bigint {
  const area = map.hart(0);
  view.setBigInt64(area + state.x + 80, 0n, true);
  view.setBigInt64(area + state.x + 8, 0x8000_4000n, true);
  view.setBigInt64(area + state.pc, 0x8000_0000n, true);
  view.setBigInt64(area + state.budget, 100n, true);
  assert.equal((table.get(slot) as (hart: number) => number)(area), 0);
  assert.equal(view.getBigInt64(area + state.pc, true), 0x8000_4000n);
  assert.equal(view.getBigInt64(area + state.budget, true), 98n);
  return view.getBigInt64(area + state.x + 80, true);
}

test('a region runs from its slot, and what is not translatable is refused', () => {
  const one = translator(8);
  placeCode(1, 7);
  view.setUint32(map.ram + 2 * pageBytes, 0, true);
  one.translator.hot(1, 0);
  one.translator.hot(2, 0);
  assert.equal(one.translator.work(), true);
  assert.deepEqual([...one.standing.keys()], ['1+0']);
  assert.equal(call(one.table, one.standing.get('1+0')!), 7n);
  one.translator.hot(1, 0);
  one.translator.hot(2, 0);
  assert.equal(one.translator.work(), false);
});

test('a page that changes loses its regions, and is translated anew', () => {
  const one = translator(8);
  placeCode(1, 7);
  placeCode(3, 9);
  one.translator.hot(1, 0);
  one.translator.hot(3, 0);
  one.translator.work();
  const slot = one.standing.get('1+0')!;
  placeCode(1, 8);
  one.translator.dropPage(1);
  assert.deepEqual([...one.standing.keys()], ['3+0']);
  assert.equal(one.table.get(slot), null);
  one.translator.hot(1, 0);
  one.translator.work();
  assert.equal(call(one.table, one.standing.get('1+0')!), 8n);
  one.standing.clear();
  one.translator.decoded(3);
  assert.deepEqual([...one.standing.keys()], ['3+0']);
  one.translator.dropAll();
  assert.deepEqual([...one.standing.keys()], []);
});

test('a page that is not decoded any more keeps no region', () => {
  const one = translator(8);
  placeCode(notDecoded, 1);
  one.translator.hot(notDecoded, 0);
  one.translator.work();
  assert.equal(one.translator.statistics.dropped, 1);
  assert.equal(one.table.get(1), null);
});

test('when slots run out the oldest regions go, and all that stand are right', () => {
  const one = translator(6);
  for (let page = 1; page <= 40; page++) {
    placeCode(page, page);
    one.translator.hot(page, 0);
    if (page % 3 === 0) one.translator.work();
  }
  one.translator.work();
  assert.ok(one.standing.size > 0 && one.standing.size <= 6);
  assert.equal(new Set(one.standing.values()).size, one.standing.size);
  assert.ok(one.standing.has('40+0'));
  for (const [place, slot] of one.standing) assert.equal(call(one.table, slot), BigInt(place.split('+')[0]!));
  assert.equal(one.translator.statistics.dropped, 40 - one.standing.size);
});
