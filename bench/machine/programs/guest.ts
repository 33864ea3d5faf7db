// Runs one program on a hart and tells what it cost: `guest.ts FILE interpreter|translator [INSTRUCTIONS]` prints a line of
// JSON; it stops early after so many instructions. A process of its own, so that its CPU time, with all of V8's threads, is the program's.
import { readFileSync } from 'node:fs';
import { control, hartWord, layout, ramStart } from '../../../src/memory/layout.ts';
import { createHart } from '../../../src/vcpu/hart.ts';
import { timebaseHertz } from '../../../src/vcpu/mmio.ts';
import { loadSegments } from './elf.ts';

const serialPort = 0x1000_0000;
const finisher = 0x10_0000;
const ramBytes = 32 * 2 ** 20;

const [file, engine, most = 'Infinity'] = process.argv.slice(2);
if (file === undefined || (engine !== 'interpreter' && engine !== 'translator')) {
  throw new Error('Usage: guest.ts FILE interpreter|translator [INSTRUCTIONS]');
}
const map = layout(1, ramBytes);
const pages = map.totalBytes / 0x1_0000;
const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
loadSegments(readFileSync(file), (address, bytes) => {
  new Uint8Array(memory.buffer).set(bytes, map.ram + address - ramStart);
});

const words = new Int32Array(memory.buffer);
const stop = control.stop >> 2;
let output = '';
const hart = createHart({
  ...{ memory, layout: map, index: 0, engine, supervisorCalls: 'firmware' },
  clock: () => Math.floor((performance.now() / 1000) * timebaseHertz),
  mmio: {
    has: (address) => address === serialPort || address === finisher,
    read: () => 0,
    write: (address, _, value) => {
      if (address === serialPort) {
        output += String.fromCharCode(value);
      } else {
        Atomics.store(words, stop, 1);
        Atomics.store(words, (map.hart(0) + hartWord.attention) >> 2, 1);
      }
    },
  },
});
hart.reset(ramStart, 3, 0, 0);
const before = process.cpuUsage();
for (let done = 0; Atomics.load(words, stop) === 0 && done < Number(most); done = Number(hart.csr('instret'))) {
  hart.run(Math.min(2 ** 30, Number(most) - done));
}
const { user, system } = process.cpuUsage(before);
console.log(
  JSON.stringify({
    output: output.trim(),
    cpuSeconds: (user + system) / 1e6,
    instructions: Number(hart.csr('instret')),
  }),
);
