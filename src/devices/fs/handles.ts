// Open files and directories of the guest, by number.
import type { DeviceState, StateValue } from '../device.ts';
import { errno, FsError } from './errno.ts';
import type { DirectoryEntry, HostDirectory, HostFile } from './host-directory.ts';
import type { Nodes } from './nodes.ts';

export interface OpenFile {
  readonly is: 'file';
  readonly node: number;
  readonly flags: number;
  readonly file: HostFile;
}

export interface OpenDirectory {
  readonly is: 'directory';
  readonly node: number;
  /** As they were when reading began; read anew when the guest begins again. */
  entries: readonly DirectoryEntry[] | undefined;
}

const maxHandles = 65_536;

export class Handles {
  readonly #directory: HostDirectory;
  readonly #open = new Map<number, OpenFile | OpenDirectory>();
  #next = 1;

  constructor(directory: HostDirectory) {
    this.#directory = directory;
  }

  /** Throws FsError ENFILE when there are too many; then nothing was opened. */
  check(): void {
    if (this.#open.size >= maxHandles) throw new FsError(errno.ENFILE);
  }

  add(handle: OpenFile | OpenDirectory): number {
    this.#open.set(this.#next, handle);
    return this.#next++;
  }

  file(handle: number): HostFile {
    const open = this.#open.get(handle);
    if (open?.is !== 'file') throw new FsError(errno.EBADF);
    return open.file;
  }

  directory(handle: number): OpenDirectory {
    const open = this.#open.get(handle);
    if (open?.is !== 'directory') throw new FsError(errno.EBADF);
    return open;
  }

  close(handle: number): void {
    const open = this.#open.get(handle);
    this.#open.delete(handle);
    if (open?.is === 'file') this.#directory.close(open.file);
  }

  clear(): void {
    for (const handle of [...this.#open.keys()]) this.close(handle);
  }

  save(): DeviceState {
    const rows: StateValue[] = [];
    for (const [handle, open] of this.#open) rows.push([handle, open.node, open.is === 'file' ? open.flags : -1]);
    return { next: this.#next, rows };
  }

  /** Opens again what can be; the rest answers EBADF. */
  load(state: DeviceState, nodes: Nodes): void {
    this.clear();
    this.#next = state.next as number;
    for (const [handle, node, flags] of state.rows as (readonly [number, number, number])[]) {
      try {
        const host = nodes.get(node);
        if (flags < 0) this.#open.set(handle, { is: 'directory', node, entries: undefined });
        else this.#open.set(handle, { is: 'file', node, flags, file: this.#directory.open(host, flags) });
      } catch (error) {
        if (!(error instanceof FsError)) throw error;
      }
    }
  }
}
