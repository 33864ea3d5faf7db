// Rows of Zicsr, Zifencei, the privileged instructions and Svinval: what the hart's runtime carries out
// (privileged architecture, section 3.3).
import type { Extension, Format, Instruction } from './instruction.ts';

const system = 0x73;

export const systemInstructions: readonly Instruction[] = [
  row('Zicsr', 'csrrw', 'csr', 0x707f, system | (1 << 12)),
  row('Zicsr', 'csrrs', 'csr', 0x707f, system | (2 << 12)),
  row('Zicsr', 'csrrc', 'csr', 0x707f, system | (3 << 12)),
  row('Zicsr', 'csrrwi', 'csrImmediate', 0x707f, system | (5 << 12)),
  row('Zicsr', 'csrrsi', 'csrImmediate', 0x707f, system | (6 << 12)),
  row('Zicsr', 'csrrci', 'csrImmediate', 0x707f, system | (7 << 12)),
  row('Zifencei', 'fence.i', 'none', 0x707f, 0x0000_100f),
  row('privileged', 'sret', 'none', 0xffff_ffff, 0x1020_0073),
  row('privileged', 'mret', 'none', 0xffff_ffff, 0x3020_0073),
  row('privileged', 'wfi', 'none', 0xffff_ffff, 0x1050_0073),
  row('privileged', 'sfence.vma', 'addressFence', 0xfe00_7fff, 0x1200_0073),
  row('Svinval', 'sinval.vma', 'addressFence', 0xfe00_7fff, 0x1600_0073),
  row('Svinval', 'sfence.w.inval', 'none', 0xffff_ffff, 0x1800_0073),
  row('Svinval', 'sfence.inval.ir', 'none', 0xffff_ffff, 0x1810_0073),
];

function row(extension: Extension, name: string, format: Format, mask: number, match: number): Instruction {
  return { name, extension, format, mask, match, ends: 'system', meaning: (m) => m.system() };
}
