import assert from 'node:assert/strict';
import test from 'node:test';
import { encode } from './encode.ts';
import { codeAt, createTestMachine, dataAt, ecall } from './test-machine.ts';

// RAM is mapped three times by gigapages: where it is for S mode (as code), and at 3 GiB for U mode. The page under test is at
// 1 GiB, by tables of all levels.
const bit = { V: 1, R: 2, W: 4, X: 8, U: 16, G: 32, A: 64, D: 128 } as const;
const machine = createTestMachine();
const { hart, guest, layout } = machine;
const root = dataAt;
const middle = dataAt + 0x1000;
const leaf = dataAt + 0x2000;
const page = dataAt + 0x3000;
const tested = 0x4000_0000n;
const userCode = 0xc000_0000n;
const handlerAt = codeAt + 0x100;
const sv39 = (8n << 60n) | BigInt(root / 4096);
const cause = { fetchPage: 12n, loadPage: 13n, storePage: 15n, loadAccess: 5n, fetchAccess: 1n, userCall: 8n };
const sum = 1n << 18n;
const mxr = 1n << 19n;

function pte(at: number, index: number, physical: number | bigint, flags: string): void {
  const bits = [...flags].reduce((all, name) => all | bit[name as keyof typeof bit], 0);
  const view = new DataView(guest.buffer, layout.ram + at - codeAt, 4096);
  view.setBigUint64(index * 8, ((BigInt(physical) >> 12n) << 10n) | BigInt(bits), true);
}

function flagsOf(at: number, index: number): string {
  const low = guest.u32(at + index * 8);
  return (Object.keys(bit) as (keyof typeof bit)[]).filter((name) => low & bit[name]).join('');
}

type Access = 'load' | 'store' | 'fetch';

/** Makes one access to `va` and gives back the cause and value of its trap, or 'done'. */
function attempt(mode: 'S' | 'U', access: Access, va = tested, status = 0n): 'done' | readonly [bigint, bigint] {
  hart.reset(codeAt, 1, 0, 0);
  guest.set(page, new Uint8Array(4096));
  guest.setU32(page, encode('addi', { rd: 11, imm: 2 }));
  guest.setU32(page + 4, ecall);
  const one = access === 'store' ? encode('sd', { rs1: 5, rs2: 0, imm: 8 }) : encode('ld', { rd: 6, rs1: 5, imm: 8 });
  const body = access === 'fetch' ? [encode('jalr', { rs1: 5 })] : [one, encode('addi', { rd: 11, imm: 2 }), ecall];
  machine.put(codeAt, [encode('sret')]);
  machine.put(codeAt + 0x40, body);
  machine.put(handlerAt, [ecall]);
  pte(root, 1, middle, 'V');
  pte(root, 2, codeAt, 'VRWXAD');
  pte(root, 3, codeAt, 'VRWXUAD');
  pte(middle, 0, leaf, 'V');
  hart.setCsr('satp', sv39);
  hart.setCsr('stvec', BigInt(handlerAt));
  hart.setCsr('mstatus', 0xa_0000_0000n | status | (mode === 'S' ? 0x100n : 0n));
  hart.setCsr('sepc', mode === 'S' ? BigInt(codeAt + 0x40) : userCode + 0x40n);
  hart.setX(5, va);
  hart.setX(11, 0n);
  machine.call(codeAt);
  if (hart.x(11) === 2n) return 'done';
  return [hart.csr('scause'), BigInt.asUintN(64, hart.csr('stval'))];
}

function causeOf(result: ReturnType<typeof attempt>): bigint | 'done' {
  return result === 'done' ? result : result[0];
}

test('permissions of a page', () => {
  const rows: readonly [flags: string, mode: 'S' | 'U', status: bigint, allowed: string][] = [
    ['VRAD', 'S', 0n, 'load'],
    ['VRWAD', 'S', 0n, 'load store'],
    ['VRXAD', 'S', 0n, 'load fetch'],
    ['VXAD', 'S', 0n, 'fetch'],
    ['VXAD', 'S', mxr, 'fetch load'],
    ['VRWXAD', 'S', 0n, 'load store fetch'],
    ['VRWXAD', 'U', 0n, ''],
    ['VRWXUAD', 'U', 0n, 'load store fetch'],
    ['VRUAD', 'U', 0n, 'load'],
    ['VXUAD', 'U', 0n, 'fetch'],
    ['VRWXUAD', 'S', 0n, ''],
    ['VRWXUAD', 'S', sum, 'load store'],
    ['RWXUAD', 'U', 0n, ''],
    ['VWAD', 'S', 0n, ''],
    ['VWXAD', 'S', 0n, ''],
    ['VAD', 'S', 0n, ''],
  ];
  for (const [flags, mode, status, allowed] of rows) {
    for (const access of ['load', 'store', 'fetch'] as const) {
      pte(leaf, 0, page, flags);
      const text = `${flags} ${mode} ${access} ${status}`;
      const result = attempt(mode, access, tested, status);
      if (allowed.includes(access)) assert.equal(result, 'done', text);
      else assert.deepEqual(result, [cause[`${access}Page`], access === 'fetch' ? tested : tested + 8n], text);
    }
  }
});

test('accessed and dirty bits are set by the hart, or fault while menvcfg.ADUE is off', () => {
  for (const [access, after] of [
    ['load', 'VRWXA'],
    ['fetch', 'VRWXA'],
    ['store', 'VRWXAD'],
  ] as const) {
    pte(leaf, 0, page, 'VRWX');
    assert.equal(attempt('S', access), 'done', access);
    assert.equal(flagsOf(leaf, 0), after, access);
  }
  pte(leaf, 0, page, 'VR');
  assert.equal(causeOf(attempt('S', 'store')), cause.storePage);
  assert.equal(flagsOf(leaf, 0), 'VR', 'a store that fails sets nothing');
});

test('superpages, and what tables must not be', () => {
  pte(leaf, 0, page, 'VRWXAD');
  assert.equal(attempt('S', 'load'), 'done');
  const setups: readonly [text: string, prepare: () => void, va: bigint, expected: bigint | 'done'][] = [
    ['a megapage', () => pte(middle, 1, codeAt, 'VRAD'), tested + 0x20_0000n + 0x10_3000n, 'done'],
    ['a misaligned megapage', () => pte(middle, 1, page, 'VRAD'), tested + 0x20_0000n, cause.loadPage],
    ['a misaligned gigapage', () => pte(root, 4, codeAt + 0x20_0000, 'VRAD'), 0x1_0000_0000n, cause.loadPage],
    ['a table with U', () => pte(middle, 1, leaf, 'VU'), tested + 0x20_0000n, cause.loadPage],
    ['a table with A', () => pte(middle, 1, leaf, 'VA'), tested + 0x20_0000n, cause.loadPage],
    ['a table at the last level', () => pte(leaf, 1, page, 'V'), tested + 0x1000n, cause.loadPage],
    ['reserved bits', () => pte(leaf, 1, (1n << 56n) | BigInt(page), 'VRAD'), tested + 0x1000n, cause.loadPage],
    ['a table outside of RAM', () => pte(middle, 1, 0x1000, 'V'), tested + 0x20_0000n, cause.loadAccess],
    ['a page outside of RAM', () => pte(leaf, 1, 0x1000, 'VRAD'), tested + 0x1000n, cause.loadAccess],
    ['an address that is not canonical', () => {}, 0x40_4000_0000n, cause.loadPage],
    ['the highest page', () => pte(root, 511, codeAt, 'VRAD'), -0x4000_0000n, 'done'],
  ];
  for (const [text, prepare, va, expected] of setups) {
    prepare();
    assert.equal(causeOf(attempt('S', 'load', va)), expected, text);
  }
  pte(leaf, 1, 0x1000, 'VRXAD');
  assert.deepEqual(attempt('S', 'fetch', tested + 0x1000n), [cause.fetchAccess, tested + 0x1000n]);
});

test('an access over two pages faults at the second one, and then has not changed the first', () => {
  pte(leaf, 0, page, 'VRWAD');
  pte(leaf, 1, page, 'VRAD');
  assert.deepEqual(attempt('S', 'store', tested + 0xff4n), [cause.storePage, tested + 0x1000n]);
  assert.deepEqual([...guest.bytes(page + 0xffc, 4)], [0, 0, 0, 0]);
  pte(leaf, 1, 0, '');
  assert.deepEqual(attempt('S', 'load', tested + 0xff4n), [cause.loadPage, tested + 0x1000n]);
});

test('sfence.vma: changed tables are seen after it, for all, an address, or an address space', () => {
  const fences = [
    encode('sfence.vma'),
    encode('sfence.vma', { rs1: 5 }),
    encode('sfence.vma', { rs2: 7 }),
    encode('sfence.vma', { rs1: 5, rs2: 7 }),
  ];
  const other = page + 0x1000;
  for (const fence of fences) {
    pte(leaf, 0, page, 'VRWAD');
    assert.equal(attempt('S', 'load'), 'done');
    guest.setU32(page, 1);
    guest.setU32(other, 2);
    machine.put(codeAt + 0x80, [
      encode('lw', { rd: 10, rs1: 5 }),
      ecall,
      fence,
      encode('lw', { rd: 10, rs1: 5 }),
      ecall,
    ]);
    hart.setX(7, 0n);
    machine.call(codeAt + 0x80);
    assert.equal(hart.x(10), 1n);
    pte(leaf, 0, other, 'VRWAD');
    machine.call(codeAt + 0x88);
    assert.equal(hart.x(10), 2n, fence.toString(16));
  }
});

test('address spaces keep their translations apart', () => {
  const secondRoot = dataAt + 0x8000;
  pte(leaf, 0, page, 'VRWAD');
  attempt('S', 'load');
  guest.bytes(secondRoot, 4096).set(guest.bytes(root, 4096));
  pte(secondRoot, 1, dataAt + 0x9000, 'V');
  pte(dataAt + 0x9000, 0, dataAt + 0xa000, 'V');
  pte(dataAt + 0xa000, 0, page + 0x1000, 'VRWAD');
  guest.setU32(page, 1);
  guest.setU32(page + 0x1000, 2);
  machine.put(codeAt + 0x80, [
    ...[encode('csrrw', { imm: 0x180, rs1: 6 }), encode('lw', { rd: 10, rs1: 5 })],
    ...[encode('csrrw', { imm: 0x180, rs1: 7 }), encode('lw', { rd: 11, rs1: 5 }), ecall],
  ]);
  // More address spaces than there are short numbers for.
  for (let asid = 1n; asid < 600n; asid++) {
    hart.setX(6, sv39 | (asid << 44n));
    hart.setX(7, (8n << 60n) | ((asid + 1n) << 44n) | BigInt(secondRoot / 4096));
    machine.call(codeAt + 0x80);
    assert.deepEqual([hart.x(10), hart.x(11)], [1n, 2n], String(asid));
    asid++;
  }
});

test('memory protection denies S mode what its entries do not allow', () => {
  pte(leaf, 0, page, 'VRWAD');
  assert.equal(attempt('S', 'load'), 'done');
  machine.put(codeAt + 0x80, [encode('sd', { rs1: 5 }), ecall]);
  // The tested page read-only, then all of memory.
  hart.setCsr('pmpaddr0', (BigInt(page) >> 2n) | 0x1ffn);
  hart.setCsr('pmpaddr1', 0x3f_ffff_ffff_ffffn);
  hart.setCsr('pmpcfg0', 0x1f19n);
  hart.setPc(BigInt(codeAt + 0x80));
  assert.equal(hart.run(100), 'sbi');
  assert.equal(hart.csr('scause'), 7n);
});
