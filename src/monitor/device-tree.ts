// The device tree of holm's machine, from the address map and what the machine was asked to have. Bindings: Linux's
// Documentation/devicetree/bindings (riscv/cpus, interrupt-controller/sifive,plic, serial/8250, virtio/mmio, power/reset).
import { clint, plic, rtc, syscon, uart, virtioSlot, type Window } from '../devices/address-map.ts';
import { ramStart } from '../memory/layout.ts';
import { timebaseHertz } from '../vcpu/mmio.ts';
import type { Property, TreeNode } from './flattened-tree.ts';

export interface TreeOptions {
  readonly harts: number;
  readonly ramBytes: number;
  readonly commandLine: string;
  /** Extensions beyond the base, in the order of the specification: `i`, `m`, …, `sstc`. */
  readonly extensions: readonly string[];
  /** First and last-but-one guest-physical address of the initial RAM disk. */
  readonly initrd?: { readonly start: number; readonly end: number };
  /** Slots of virtio over MMIO that hold a device. */
  readonly virtioSlots: readonly number[];
  /** Random bytes for the kernel's generator (property rng-seed). */
  readonly seed: Uint8Array;
  /** Shows the core-local interruptor, which only firmware in M mode uses. */
  readonly firmware: boolean;
}

const supervisorExternal = 9;
const machineExternal = 11;
const machineSoftware = 3;
const machineTimer = 7;
const plicHandle = 0x10;
const sysconHandle = 0x11;
const hartHandle = (hart: number): number => 1 + hart;

/** The tree of a machine; encode it with `encodeTree`. */
export function machineTree(options: TreeOptions): TreeNode {
  return node(
    '',
    [
      ['#address-cells', [2]],
      ['#size-cells', [2]],
      ['compatible', 'riscv-virtio'],
      ['model', 'holm,soft'],
    ],
    [
      chosen(options),
      node(`memory@${ramStart.toString(16)}`, [
        ['device_type', 'memory'],
        reg({ start: ramStart, bytes: options.ramBytes }),
      ]),
      node(
        'cpus',
        [
          ['#address-cells', [1]],
          ['#size-cells', [0]],
          ['timebase-frequency', [timebaseHertz]],
        ],
        range(options.harts).map((hart) => cpu(hart, options.extensions)),
      ),
      node(
        'soc',
        [
          ['#address-cells', [2]],
          ['#size-cells', [2]],
          ['compatible', 'simple-bus'],
          ['ranges', true],
        ],
        [
          interruptController(options.harts),
          ...(options.firmware ? [localInterruptor(options.harts)] : []),
          device('serial', uart, ['ns16550a'], uart.interrupt, [['clock-frequency', [3_686_400]]]),
          device('rtc', rtc, ['google,goldfish-rtc'], rtc.interrupt),
          device('syscon', syscon, ['syscon'], undefined, [['phandle', [sysconHandle]]]),
          ...options.virtioSlots.map((slot) =>
            device('virtio_mmio', virtioSlot(slot), ['virtio,mmio'], virtioSlot(slot).interrupt),
          ),
        ],
      ),
      power('poweroff', syscon.powerOff),
      power('reboot', syscon.reboot),
    ],
  );
}

function chosen(options: TreeOptions): TreeNode {
  const properties: Property[] = [
    ['bootargs', options.commandLine],
    ['stdout-path', `/soc/serial@${uart.start.toString(16)}`],
    ['rng-seed', options.seed],
  ];
  if (options.initrd) {
    properties.push(
      ['linux,initrd-start', cells(options.initrd.start)],
      ['linux,initrd-end', cells(options.initrd.end)],
    );
  }
  return node('chosen', properties);
}

function cpu(hart: number, extensions: readonly string[]): TreeNode {
  const single = extensions.filter((name) => name.length === 1).join('');
  const long = extensions.filter((name) => name.length > 1);
  return node(
    `cpu@${hart}`,
    [
      ['device_type', 'cpu'],
      ['reg', [hart]],
      ['status', 'okay'],
      ['compatible', 'riscv'],
      ['riscv,isa', [`rv64${single}`, ...long].join('_')],
      ['riscv,isa-base', 'rv64i'],
      ['riscv,isa-extensions', extensions],
      ['mmu-type', 'riscv,sv39'],
    ],
    [
      node('interrupt-controller', [
        ['#interrupt-cells', [1]],
        ['interrupt-controller', true],
        ['compatible', 'riscv,cpu-intc'],
        ['phandle', [hartHandle(hart)]],
      ]),
    ],
  );
}

function interruptController(harts: number): TreeNode {
  return device('plic', plic, ['sifive,plic-1.0.0', 'riscv,plic0'], undefined, [
    ['#address-cells', [0]],
    ['#interrupt-cells', [1]],
    ['interrupt-controller', true],
    ['riscv,ndev', [plic.sources - 1]],
    ['phandle', [plicHandle]],
    [
      'interrupts-extended',
      range(harts).flatMap((hart) => [hartHandle(hart), machineExternal, hartHandle(hart), supervisorExternal]),
    ],
  ]);
}

function localInterruptor(harts: number): TreeNode {
  return device('clint', clint, ['sifive,clint0', 'riscv,clint0'], undefined, [
    [
      'interrupts-extended',
      range(harts).flatMap((hart) => [hartHandle(hart), machineSoftware, hartHandle(hart), machineTimer]),
    ],
  ]);
}

function device(
  name: string,
  window: Window,
  compatible: readonly string[],
  interrupt?: number,
  more: readonly Property[] = [],
): TreeNode {
  const properties: Property[] = [['compatible', compatible], reg(window)];
  if (interrupt !== undefined) properties.push(['interrupts', [interrupt]], ['interrupt-parent', [plicHandle]]);
  return node(`${name}@${window.start.toString(16)}`, [...properties, ...more]);
}

function power(name: 'poweroff' | 'reboot', value: number): TreeNode {
  return node(name, [
    ['compatible', `syscon-${name}`],
    ['regmap', [sysconHandle]],
    ['offset', [0]],
    ['value', [value]],
  ]);
}

function node(name: string, properties: readonly Property[], children: readonly TreeNode[] = []): TreeNode {
  return { name, properties, children };
}

function reg(window: Window): Property {
  return ['reg', [...cells(window.start), ...cells(window.bytes)]];
}

/** Two cells: a 64-bit number, high half first. */
function cells(value: number): readonly [number, number] {
  return [Math.floor(value / 2 ** 32), value >>> 0];
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}
