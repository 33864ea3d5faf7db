// Reads along what a guest says on its console, to tell a panic from an ordinary reboot.

const marker = 'Kernel panic - not syncing';

export class ConsoleWatch {
  #tail = '';
  #panicked = false;
  readonly #decoder = new TextDecoder('latin1');

  see(bytes: Uint8Array): void {
    const text = this.#tail + this.#decoder.decode(bytes);
    if (text.includes(marker)) this.#panicked = true;
    this.#tail = text.slice(1 - marker.length);
  }

  /** Whether the kernel said that it panicked. A program can say so too: it counts only when the machine then reboots. */
  get panicked(): boolean {
    return this.#panicked;
  }
}
