// A probe of a health check: an exec without input whose output is kept, cut as docker does, and which is forgotten at its end.
import type { Execs } from './execs.ts';

/** Bytes of output that are kept (moby, daemon/health.go). */
const mostOutputBytes = 4096;

/** A probe that has been started. */
export interface Probe {
  /** Settles with its exit code, once its output is whole. */
  readonly ended: Promise<number>;
  /** What it wrote so far, both streams in order. */
  output(): string;
  /** Kills it and what it started; `ended` settles soon after. */
  kill(): void;
}

/** Starts a command in a running container, as its user and in its directory; rejects if it cannot be executed. */
export async function startProbe(execs: Execs, containerId: string, argv: readonly string[]): Promise<Probe> {
  const id = execs.create(containerId, {
    argv,
    environment: [],
    user: '',
    workingDirectory: '',
    terminal: false,
    privileged: false,
    attachStdin: false,
    attachStdout: true,
    attachStderr: true,
    detachKeys: '',
  });
  try {
    const stream = await execs.start(id, { detach: false, terminal: false, framed: false });
    const output = new ShortOutput();
    const { promise: whole, resolve } = Promise.withResolvers<void>();
    stream?.on('data', (chunk: Buffer) => output.add(chunk));
    stream?.on('end', resolve);
    const ended = Promise.all([execs.ended(id), whole]).then(([code]) => code);
    return {
      ended: ended.finally(() => execs.forget(id)),
      output: () => output.toString(),
      kill: () => execs.kill(id),
    };
  } catch (error) {
    execs.forget(id);
    throw error;
  }
}

/** The beginning of a stream; what more there was is told by dots. */
class ShortOutput {
  readonly #kept = Buffer.alloc(mostOutputBytes);
  #bytes = 0;
  #isCut = false;

  add(chunk: Buffer): void {
    this.#isCut ||= chunk.length > mostOutputBytes - this.#bytes;
    this.#bytes += chunk.copy(this.#kept, this.#bytes);
  }

  toString(): string {
    return this.#kept.toString('utf8', 0, this.#bytes) + (this.#isCut ? '...' : '');
  }
}
