// What measuring machines needs from Debian: QEMU, a compiler for the guests' programs, iperf3, and what makes a Debian.
import { findProgram, installMissing, type Need } from '../../scripts/debian.ts';

const needs: readonly Need[] = [
  { package: 'qemu-system-misc', provides: 'qemu-system-riscv64', for: 'the machine to compare with' },
  { package: 'opensbi', provides: '/usr/share/qemu/opensbi-riscv64-generic-fw_dynamic.bin', for: "QEMU's firmware" },
  { package: 'gcc-riscv64-linux-gnu', provides: 'riscv64-linux-gnu-gcc', for: "the guests' programs" },
  { package: 'libc6-dev-riscv64-cross', provides: '/usr/riscv64-linux-gnu/lib/libc.a', for: "the guests' programs" },
  { package: 'iperf3', provides: 'iperf3', for: 'the other end of the network' },
  { package: 'iproute2', provides: 'ip', for: 'the network' },
  { package: 'debootstrap', provides: 'debootstrap', for: "the guests' Debian" },
  { package: 'kmod', provides: 'depmod', for: "the kernel's modules" },
  { package: 'xz-utils', provides: 'xz', for: "the kernel's modules" },
  { package: 'erofs-utils', provides: 'mkfs.erofs', for: "the guests' read-only disk" },
  { package: 'e2fsprogs', provides: 'mkfs.ext4', for: "the guests' writable disk" },
];

export async function installPeers(): Promise<void> {
  const installed = await installMissing(needs);
  if (installed.length > 0) console.log(`Installed ${installed.join(', ')}`);
}

/** Throws with the packages that are missing; nothing is installed. */
export function requirePeers(): void {
  const missing = needs.filter(({ provides }) => !provides.startsWith('/') && findProgram(provides) === undefined);
  if (missing.length === 0) return;
  const names = missing.map((need) => need.package).join(' ');
  throw new Error(`Measuring machines needs these Debian packages (apt-get install, or --install-peers): ${names}`);
}
