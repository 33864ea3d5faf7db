// Joins the user's stdin, stdout and stderr with a guest's streams on a hijacked connection.
import type { Socket } from 'node:net';
import { HolmError } from '../base/error.ts';
import { type Body, untilDrained } from './client.ts';
import { DetachWatch } from './detach-keys.ts';
import { FrameSplitter } from './frames.ts';
import { enterRawMode } from './terminal.ts';

export interface JoinOptions {
  /** Take the user's input. */
  readonly stdin: boolean;
  /** The guest has a terminal: no frames, and ours goes into raw mode if it is one. */
  readonly terminal: boolean;
  readonly detachKeys: string;
}

/** Copies both ways until the guest's output ends. "detached" when the user typed the detach keys. */
export async function joinStreams(socket: Socket, options: JoinOptions): Promise<'ended' | 'detached'> {
  const restore = options.stdin && options.terminal ? await enterRawMode() : () => undefined;
  try {
    const detached = options.stdin ? sendInput(socket, options) : new Promise<never>(() => undefined);
    const output = copyOutput(socket as AsyncIterable<Buffer>, !options.terminal);
    return await Promise.race([output.then(() => 'ended' as const), detached]);
  } finally {
    restore();
    if (options.stdin) process.stdin.destroy();
    socket.destroy();
  }
}

/** Resolves only when the user detaches; the end of input half-closes the connection. */
function sendInput(socket: Socket, options: JoinOptions): Promise<'detached'> {
  const watch = options.terminal ? new DetachWatch(options.detachKeys) : undefined;
  const input = process.stdin;
  return new Promise((resolve) => {
    input.on('data', (chunk: Buffer) => {
      const leaves = watch?.sees(chunk) === true;
      if (socket.writable && !socket.write(chunk)) {
        input.pause();
        untilDrained(socket).then(() => input.resume());
      }
      if (leaves) resolve('detached');
    });
    input.on('end', () => socket.end());
    input.on('error', () => socket.end());
  });
}

/** Writes a body to stdout, or its frames to stdout and stderr. */
export async function copyOutput(body: Body, framed: boolean): Promise<void> {
  const splitter = framed ? new FrameSplitter() : undefined;
  for await (const chunk of body) {
    if (splitter === undefined) await write(process.stdout, chunk);
    else
      for (const { stream, bytes } of splitter.split(chunk as Buffer)) {
        if (stream === 3) throw new HolmError('internal', `Error response from daemon: ${bytes.toString()}`);
        await write(stream === 2 ? process.stderr : process.stdout, bytes);
      }
  }
}

async function write(to: NodeJS.WriteStream, bytes: Uint8Array): Promise<void> {
  if (!to.write(bytes)) await untilDrained(to);
}
