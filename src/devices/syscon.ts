// Power-off and reboot by a system controller register (device-tree bindings "syscon-poweroff" and "syscon-reboot").
import { syscon } from './address-map.ts';
import type { Device, DeviceState } from './device.ts';

export type PowerRequest = 'powerOff' | 'reboot';

export class Syscon implements Device {
  readonly name = 'syscon';
  readonly #asked: (request: PowerRequest) => void;

  /** `asked` is called on the device thread when the guest wants its power off, or to begin anew. */
  constructor(asked: (request: PowerRequest) => void) {
    this.#asked = asked;
  }

  read(): number {
    return 0;
  }

  write(offset: number, _bytes: number, value: number): void {
    if (offset !== 0) return;
    if (value === syscon.powerOff) this.#asked('powerOff');
    else if (value === syscon.reboot) this.#asked('reboot');
  }

  save(): DeviceState {
    return {};
  }

  load(): void {}
}
