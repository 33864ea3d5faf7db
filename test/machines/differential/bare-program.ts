// What bare programs in M mode have in common: where the devices are, and how a number is printed.
import type { Assembler } from './assembler.ts';

export const uart = 0x1000_0000;
export const syscon = 0x10_0000;
const lineStatus = 5;
const transmitterEmpty = 0x20;
/** Registers that printing spoils. */
const [port, shift, digit, limit] = [21, 22, 23, 24] as const;

/** Prints a register (but x21 to x24) as 16 hexadecimal digits and one character more. */
export function print(a: Assembler, register: number, behind: number): void {
  const label = `print.${a.at}`;
  a.li(port, uart);
  a.emit('addi', { rd: shift, imm: 60 });
  a.label(label);
  a.emit('srl', { rd: digit, rs1: register, rs2: shift });
  a.emit('andi', { rd: digit, rs1: digit, imm: 15 });
  a.emit('addi', { rd: limit, imm: 10 });
  a.emit('addi', { rd: digit, rs1: digit, imm: 48 });
  a.emit('addi', { rd: limit, rs1: limit, imm: 48 });
  a.to(`${label}.small`, 'blt', { rs1: digit, rs2: limit });
  a.emit('addi', { rd: digit, rs1: digit, imm: 39 });
  a.label(`${label}.small`);
  send(a, `${label}.digit`);
  a.emit('addi', { rd: shift, rs1: shift, imm: -4 });
  a.to(label, 'bge', { rs1: shift });
  a.emit('addi', { rd: digit, imm: behind });
  send(a, `${label}.end`);
}

/** Sends `digit` when the port is ready for it. */
function send(a: Assembler, label: string): void {
  a.label(label);
  a.emit('lbu', { rd: limit, rs1: port, imm: lineStatus });
  a.emit('andi', { rd: limit, rs1: limit, imm: transmitterEmpty });
  a.to(label, 'beq', { rs1: limit });
  a.emit('sb', { rs1: port, rs2: digit });
}
