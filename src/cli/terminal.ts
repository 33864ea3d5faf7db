// The user's terminal: its size, raw mode that is undone however the process ends, and changes of size.
export interface WindowSize {
  readonly rows: number;
  readonly columns: number;
}

/** The size of the terminal behind standard output, or undefined. */
export function windowSize(): WindowSize | undefined {
  const { isTTY, rows, columns } = process.stdout;
  return isTTY && rows > 0 && columns > 0 ? { rows, columns } : undefined;
}

/**
 * Switches standard input to raw mode when it is a terminal; the answer switches it back. The end of the process does too.
 * Node leaves the terminal's output processing on, which would turn each line feed of the guest into CR LF: stty ends that.
 */
export async function enterRawMode(): Promise<() => void> {
  const input = process.stdin;
  if (!input.isTTY) return () => undefined;
  const { spawnSync } = await import('node:child_process');
  const leave = () => {
    process.off('exit', leave);
    if (!input.destroyed) input.setRawMode(false);
  };
  process.on('exit', leave);
  input.setRawMode(true);
  spawnSync('stty', ['-opost'], { stdio: ['inherit', 'ignore', 'ignore'] });
  return leave;
}

/** Calls `send` with the size now and after each change; the answer ends that. */
export function followSize(send: (size: WindowSize) => Promise<unknown>): () => void {
  const tell = () => {
    const size = windowSize();
    if (size !== undefined) send(size).catch(() => undefined);
  };
  tell();
  process.on('SIGWINCH', tell);
  return () => process.off('SIGWINCH', tell);
}
