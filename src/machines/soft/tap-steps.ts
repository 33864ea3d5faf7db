// The steps by which the keeper gives a machine's process a tap, before its execve: in the machine's network namespace,
// and before the change of root, as /dev/net/tun is the host's. tap.ts takes the descriptor over.
import { AT_FDCWD, O_RDWR } from '../../kernel/constants.ts';
import { type Program, type Registers, step } from '../../kernel/steps.ts';
import { openHow } from '../../mounts/overlay.ts';

/** linux/if_tun.h. */
const TUNSETIFF = 0x4004_54ca;
const TUNSETOFFLOAD = 0x4004_54d0;
const TUNSETVNETHDRSZ = 0x4004_54d8;
const IFF_TAP = 0x0002;
const IFF_NO_PI = 0x1000;
const IFF_VNET_HDR = 0x4000;
const TUN_F_CSUM = 1;
const TUN_F_TSO4 = 2;
const TUN_F_TSO6 = 4;
/** `struct ifreq`: a name of 16 bytes, then flags. */
const ifreqBytes = 40;
const nameBytes = 16;
/** The header of virtio 1 with num_buffers. */
const headerBytes = 12;

/** Makes the tap `name` and leaves it open as descriptor `fd`, which survives the execve. It is down until set up. */
export function tapSteps(name: string, fd: number, registers: Registers): Program {
  const request = new Uint8Array(ifreqBytes);
  request.set(new TextEncoder().encode(name).subarray(0, nameBytes - 1));
  const flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
  new DataView(request.buffer).setUint16(nameBytes, flags, true);
  const tap = registers.acquire();
  const how = openHow(O_RDWR);
  const program: Program = [
    step('openat2', [AT_FDCWD, '/dev/net/tun', how, how.length], 'open "/dev/net/tun"', { result: tap }),
    step('ioctl', [tap, TUNSETIFF, request], `make the tap "${name}"`),
    step('ioctl', [tap, TUNSETVNETHDRSZ, Uint8Array.of(headerBytes, 0, 0, 0)], `set the header of the tap "${name}"`),
    step('ioctl', [tap, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6], `set the offloads of the tap "${name}"`),
    step('dup3', [tap, fd, 0], `keep the tap "${name}"`),
    step('close', [tap], 'close the first descriptor of the tap'),
  ];
  registers.release(tap);
  return program;
}
