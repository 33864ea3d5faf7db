// Files of the host as disks of a machine. Reads and writes are done at once, on the device thread: from the host's cache
// that is four times as fast as asking a thread; only flushing, which waits for the medium, is left to one.
import { closeSync, fdatasync, fstatSync, openSync, readSync, readvSync, writeSync, writevSync } from 'node:fs';
import { HolmError } from '../../base/error.ts';
import type { ByteStore } from '../../devices/block-backend.ts';
import { slice, totalBytes } from '../../devices/buffers.ts';

export type FileMode = 'readOnly' | 'readWrite' | 'create';

const flags = { readOnly: 'r', readWrite: 'r+', create: 'wx+' } as const;

/** Opens a file of the host as a byte store; 'create' wants that there is none yet. Throws 'notFound', 'conflict', 'denied'. */
export function openFile(path: string, mode: FileMode): FileStore {
  let fd: number;
  try {
    fd = openSync(path, flags[mode], 0o600);
  } catch (cause) {
    throw new HolmError(kindOfFailure(cause), `Cannot open the disk "${path}"`, { cause });
  }
  return new FileStore(path, fd);
}

export class FileStore implements ByteStore {
  readonly #path: string;
  readonly #fd: number;
  #bytes: number;

  constructor(path: string, fd: number) {
    this.#path = path;
    this.#fd = fd;
    this.#bytes = fstatSync(fd).size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  read(offset: number, into: readonly Uint8Array[]): void {
    const wanted = totalBytes(into);
    let done = 0;
    while (done < wanted) {
      const left = done === 0 ? into : slice(into, done, wanted - done);
      const got = this.#tried('read', () => readOnce(this.#fd, left, offset + done));
      if (got === 0) break;
      done += got;
    }
    // Beyond the end, as in a hole, there are zeros.
    if (done < wanted) for (const rest of slice(into, done, wanted - done)) rest.fill(0);
  }

  write(offset: number, from: readonly Uint8Array[]): void {
    const wanted = totalBytes(from);
    let done = 0;
    while (done < wanted) {
      const left = done === 0 ? from : slice(from, done, wanted - done);
      done += this.#tried('write', () => writeOnce(this.#fd, left, offset + done));
    }
    this.#bytes = Math.max(this.#bytes, offset + wanted);
  }

  flush(): Promise<void> {
    return new Promise((resolve, reject) => {
      fdatasync(this.#fd, (cause) => (cause ? reject(this.#failure('flush', cause)) : resolve()));
    });
  }

  close(): void {
    closeSync(this.#fd);
  }

  #tried(verb: string, work: () => number): number {
    try {
      return work();
    } catch (cause) {
      throw this.#failure(verb, cause);
    }
  }

  #failure(verb: string, cause: unknown): HolmError {
    return new HolmError(kindOfFailure(cause), `Cannot ${verb} the disk "${this.#path}"`, { cause });
  }
}

function readOnce(fd: number, into: readonly Uint8Array[], offset: number): number {
  if (into.length === 1) return readSync(fd, into[0]!, 0, into[0]!.length, offset);
  return readvSync(fd, into, offset);
}

function writeOnce(fd: number, from: readonly Uint8Array[], offset: number): number {
  if (from.length === 1) return writeSync(fd, from[0]!, 0, from[0]!.length, offset);
  return writevSync(fd, from, offset);
}

function kindOfFailure(cause: unknown): 'notFound' | 'conflict' | 'denied' | 'internal' {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  if (code === 'ENOENT') return 'notFound';
  if (code === 'EEXIST') return 'conflict';
  return code === 'EACCES' || code === 'EPERM' ? 'denied' : 'internal';
}
