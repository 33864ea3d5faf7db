// The guest's console on this process's terminal. Node's raw mode leaves the terminal's ONLCR on: it sends a carriage return
// before each line feed, so the guest's own one before it is left out, lest logs have two. (A line feed alone gets one too.)

const carriageReturn = 13;
const lineFeed = 10;
/** How long a carriage return at the end of what was said waits for a line feed. */
const patienceMs = 5;

export class ConsoleOutput {
  readonly #terminal: NodeJS.WriteStream;
  #heldBack = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(terminal: NodeJS.WriteStream) {
    this.#terminal = terminal;
  }

  /** Writes the bytes; a promise when more should wait until it resolves. */
  write(bytes: Uint8Array): void | Promise<void> {
    clearTimeout(this.#timer);
    if (this.#terminal.write(this.#terminal.isTTY ? this.#translate(bytes) : bytes)) return;
    return new Promise((resolve) => {
      this.#terminal.once('drain', resolve);
    });
  }

  #translate(bytes: Uint8Array): Uint8Array {
    const out = new Uint8Array(bytes.length + 1);
    let length = 0;
    for (const byte of bytes) {
      if (this.#heldBack && byte !== lineFeed) out[length++] = carriageReturn;
      this.#heldBack = byte === carriageReturn;
      if (!this.#heldBack) out[length++] = byte;
    }
    if (this.#heldBack) this.#timer = setTimeout(() => this.#release(), patienceMs);
    return out.subarray(0, length);
  }

  #release(): void {
    if (!this.#heldBack) return;
    this.#heldBack = false;
    this.#terminal.write('\r');
  }
}
