import assert from 'node:assert/strict';
import { test } from 'node:test';
import { uart as place } from './address-map.ts';
import { SerialLine, type SerialSink } from './serial-line.ts';
import { uartWords } from './shared-map.ts';
import { Uart } from './uart.ts';
import { machineParts } from './virtio/device-under-test.ts';

const interruptPending = (plic: { read(offset: number): number }): boolean =>
  (plic.read(0x1000) & (1 << place.interrupt)) !== 0;

function port(sink: Partial<SerialSink> = {}): {
  uart: Uart;
  line: SerialLine;
  out: () => string;
  pending: () => boolean;
} {
  const { buffer, layout, plic } = machineParts();
  const uart = new Uart(buffer, layout, plic);
  let text = '';
  const write = (bytes: Uint8Array): void => {
    text += String.fromCharCode(...bytes);
  };
  const line = new SerialLine(buffer, layout, uart, { write, ...sink });
  plic.write(4 * place.interrupt, 1);
  plic.write(0x2000, 1 << place.interrupt);
  return { uart, line, out: () => text, pending: () => interruptPending(plic) };
}

const print = (uart: Uart, text: string): void => {
  for (const letter of text) uart.write(0, letter.charCodeAt(0));
};

test('characters written come out in order, at the next look', () => {
  const { uart, line, out } = port();
  assert.equal(uart.read(5), 0x60);
  print(uart, 'hello\n');
  assert.equal(out(), '');
  line.drain();
  assert.equal(out(), 'hello\n');
});

test('the driver of Linux finds a 16550A: scratch, FIFO bits, divisor, loop-back', () => {
  const { uart } = port();
  uart.write(7, 0xa5);
  assert.equal(uart.read(7), 0xa5);
  uart.write(2, 0x01);
  assert.equal(uart.read(2) & 0xc0, 0xc0);
  uart.write(3, 0x83);
  uart.write(0, 0x02);
  uart.write(1, 0x01);
  assert.deepEqual([uart.read(0), uart.read(1)], [0x02, 0x01]);
  uart.write(3, 0x03);
  assert.equal(uart.read(1), 0);
  assert.equal(uart.read(6), 0xb0);
  // Out 2 and RTS come back as carrier and clear to send.
  uart.write(4, 0x1a);
  assert.equal(uart.read(6) & 0xf0, 0x90);
  uart.write(0, 0x55);
  assert.equal(uart.read(5) & 1, 1);
  assert.equal(uart.read(0), 0x55);
  assert.equal(uart.read(5) & 1, 0);
});

test('"transmitter empty" interrupts at its enabling and after characters, until IIR told it', () => {
  const { uart, pending } = port();
  uart.write(1, 0x02);
  assert.equal(uart.read(2), 0x02);
  assert.equal(uart.read(2), 0x01);
  uart.write(1, 0x02);
  assert.equal(uart.read(2), 0x01, 'enabling it twice tells nothing new');
  print(uart, 'x');
  assert.ok(pending());
  assert.equal(uart.read(2), 0x02);
  uart.write(1, 0);
  uart.write(1, 0x02);
  assert.equal(uart.read(2), 0x02);
});

test('received bytes interrupt; IIR tells the trigger level or a time-out', () => {
  const { uart, line, pending } = port();
  uart.write(1, 0x01);
  uart.write(2, 0x81);
  assert.equal(line.receive(Uint8Array.of(1, 2, 3)), 3);
  assert.ok(pending());
  assert.equal(uart.read(2), 0xcc);
  line.receive(new Uint8Array(5));
  assert.equal(uart.read(2), 0xc4);
  assert.deepEqual([uart.read(0), uart.read(0), uart.read(0)], [1, 2, 3]);
  uart.write(2, 0x83);
  assert.equal(uart.read(2), 0xc1);
  assert.equal(uart.read(5), 0x60);
  assert.equal(uart.read(0), 0);
});

test('input that finds no room is refused, and wanted again later', () => {
  let ready = 0;
  const { uart, line } = port({ ready: () => ready++ });
  assert.equal(line.receive(new Uint8Array(uartWords.rxBytes + 9)), uartWords.rxBytes);
  line.drain();
  assert.equal(ready, 0);
  uart.read(0);
  line.drain();
  line.drain();
  assert.equal(ready, 1);
});

test('a slow sink gets nothing more until it is ready, and its ring no longer counts as empty', async () => {
  let release: (() => void) | undefined;
  const got: number[] = [];
  const { uart, line, pending } = port({
    write: (bytes) => {
      got.push(bytes.length);
      return new Promise((resolve) => {
        release = resolve;
      });
    },
  });
  print(uart, 'a');
  line.drain();
  uart.write(1, 0x02);
  while ((uart.read(5) & 0x20) !== 0) print(uart, '0123456789abcdef');
  line.drain();
  assert.deepEqual(got, [1]);
  assert.equal(uart.read(2), 0x01, 'the ring is full');
  release?.();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(got[1], uartWords.txBytes);
  assert.ok(pending());
  assert.equal(uart.read(2), 0x02, 'there is room again');
});

test('the last words reach a slow sink before it settles, and a sink that fails hangs nobody', async () => {
  let words = '';
  const { uart, line } = port({
    write: async (bytes) => {
      await new Promise((resolve) => setImmediate(resolve));
      words += String.fromCharCode(...bytes);
      if (words.length < 6) throw new Error('full');
    },
  });
  print(uart, 'power ');
  line.drain();
  print(uart, 'down');
  await line.settled();
  assert.equal(words, 'power down');
  const broken = port({
    write: () => {
      throw new Error('closed');
    },
  });
  print(broken.uart, 'x');
  broken.line.drain();
  assert.equal(broken.uart.read(5), 0x60);
});

test('save and load keep registers and what is in both rings', () => {
  const { uart, line } = port();
  uart.write(3, 0x13);
  uart.write(1, 0x03);
  print(uart, 'left over');
  line.receive(Uint8Array.of(65, 66));
  uart.read(0);
  const other = port();
  other.line.load(structuredClone(line.save()));
  assert.deepEqual(other.line.save(), line.save());
  assert.equal(other.uart.read(0), 66);
  assert.equal(other.uart.read(3), 0x13);
  other.line.drain();
  assert.equal(other.out(), 'left over');
});
