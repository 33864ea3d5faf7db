// The terminal on which the serial port is shown and typed at. A serial line tells its guest no size: programs take 80 by 24
// for granted, so that is what it has.
import { Terminal } from '@xterm/xterm';

export interface Screen {
  /** Shows bytes of the guest; settles when they are on the screen, so that a guest that writes much is held back. */
  readonly show: (bytes: Uint8Array) => Promise<void>;
  /** Writes a line of the page's own, for a person. */
  readonly tell: (line: string) => void;
  readonly clear: () => void;
  readonly focus: () => void;
}

/** Puts a terminal in the element; `typed` gets what a person types or pastes, as bytes for the guest. */
export function openScreen(element: HTMLElement, typed: (bytes: Uint8Array) => void): Screen {
  const terminal = new Terminal({
    cols: 80,
    rows: 24,
    scrollback: 5000,
    fontFamily: 'ui-monospace, "DejaVu Sans Mono", monospace',
    fontSize: 15,
    theme: { background: '#11151c', foreground: '#d8dee9', cursor: '#8fbcbb' },
  });
  terminal.open(element);
  const encoder = new TextEncoder();
  terminal.onData((text) => typed(encoder.encode(text)));
  terminal.onBinary((text) => typed(Uint8Array.from(text, (letter) => letter.charCodeAt(0))));
  return {
    show: (bytes) => new Promise((resolve) => terminal.write(bytes, resolve)),
    tell: (line) => terminal.write(`\r\n\x1b[36m${line}\x1b[0m\r\n`),
    clear: () => terminal.reset(),
    focus: () => terminal.focus(),
  };
}
