// A directory of the host, shared by the file-system device. Every node is held by an O_PATH descriptor, and a name is
// only ever resolved as "/proc/self/fd/N/NAME" without following a link: no name leads out of the root, whatever the
// guest or a program of the host makes of the tree meanwhile. Needs /proc of this process.
import * as fs from 'node:fs';
import { errno, FsError } from '../../devices/fs/errno.ts';
import {
  type AttributeChanges,
  type Attributes,
  type DirectoryEntry,
  type Found,
  type HostDirectory,
  type HostFile,
  type HostNode,
  type Owner,
  openFlags,
  type Place,
  type Space,
} from '../../devices/fs/host-directory.ts';
import {
  attempt,
  canChangeOwners,
  fail,
  keyOf,
  kindOf,
  type Node,
  pathOf,
  positionOf,
  secondsOf,
  selfPath,
  targetOf,
  typeOf,
} from './host-node.ts';

const O_PATH = 0o10000000;
const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NOCTTY, O_NONBLOCK } = fs.constants;
const setUserId = 0o4000;
const setGroupId = 0o2000;

export interface SharedDirectoryOptions {
  readonly readOnly?: boolean;
  /**
   * kept: owners are those of the host, and the guest may choose them, which needs the capability CAP_CHOWN. mapped: what
   * belongs to this process is root's in the guest, and all that the guest makes is. Kept if this process can, unless said.
   */
  readonly owners?: 'kept' | 'mapped';
}

interface File extends HostFile {
  readonly node: Node;
  readonly fd: number;
}

export class SharedDirectory implements HostDirectory {
  readonly root: Node;
  readonly #readOnly: boolean;
  readonly #mapped: boolean;
  readonly #uid: number = process.getuid?.() ?? 0;
  readonly #gid: number = process.getgid?.() ?? 0;
  readonly #nodes = new Map<string, Node>();
  readonly #files = new Set<File>();

  /** Opens `path`; a link there is followed, beneath it none is. Throws Node's error when it is no directory. */
  constructor(path: string, { readOnly = false, owners }: SharedDirectoryOptions = {}) {
    this.#readOnly = readOnly;
    this.#mapped = (owners ?? (canChangeOwners() ? 'kept' : 'mapped')) === 'mapped';
    const fd = fs.openSync(path, O_PATH | O_DIRECTORY);
    this.root = { fd, key: keyOf(fs.fstatSync(fd, { bigint: true })), kind: 'directory', target: undefined };
    this.#nodes.set(this.root.key, this.root);
  }

  find(place: Place): Found | undefined {
    return attempt(() => {
      const path = pathOf(place);
      // One call for what is known or not there; a new node is opened, and looked at again as it may be another by now.
      const seen = fs.lstatSync(path, { bigint: true, throwIfNoEntry: false });
      if (seen === undefined) return undefined;
      const known = this.#nodes.get(keyOf(seen));
      if (known !== undefined) return { node: known, attributes: this.#seen(seen) };
      return this.#hold(fs.openSync(path, O_PATH | O_NOFOLLOW), path);
    });
  }

  letGo(node: HostNode): void {
    const { fd, key } = node as Node;
    if (node === this.root || this.#nodes.get(key) !== node) return;
    this.#nodes.delete(key);
    fs.closeSync(fd);
  }

  attributes(node: HostNode): Attributes {
    return attempt(() => this.#seen(fs.fstatSync((node as Node).fd, { bigint: true })));
  }

  change(node: HostNode, changes: AttributeChanges, place: Place | undefined): void {
    const { mode, uid, gid, size, accessed, modified } = changes;
    this.#mustWrite();
    attempt(() => {
      const isLink = node.kind === 'link';
      const path = isLink ? this.#pathOfLink(node as Node, place) : selfPath(node as Node);
      if (uid !== undefined || gid !== undefined) this.#changeOwner(path, node as Node, uid, gid);
      if (mode !== undefined && !isLink) fs.chmodSync(path, this.#allowed(mode, node.kind));
      if (size !== undefined) {
        if (node.kind !== 'file') throw new FsError(errno.EINVAL);
        fs.truncateSync(path, size);
      }
      if (accessed === undefined && modified === undefined) return;
      const before = fs.fstatSync((node as Node).fd, { bigint: true });
      const times = [secondsOf(accessed ?? before.atimeNs), secondsOf(modified ?? before.mtimeNs)] as const;
      if (isLink) fs.lutimesSync(path, ...times);
      else fs.utimesSync(path, ...times);
    });
  }

  readLink(node: HostNode): Uint8Array {
    if (node.kind !== 'link') throw new FsError(errno.EINVAL);
    return (node as Node).target ?? fail(errno.ESTALE);
  }

  list(node: HostNode): DirectoryEntry[] {
    return attempt(() => {
      const entries = fs.readdirSync(selfPath(node as Node), { encoding: 'buffer', withFileTypes: true });
      return entries.map((entry) => ({ name: entry.name, type: typeOf(entry) }));
    });
  }

  open(node: HostNode, flags: number): HostFile {
    if (node.kind === 'directory') throw new FsError(errno.EISDIR);
    if (node.kind !== 'file') throw new FsError(errno.EACCES);
    if ((flags & (openFlags.access | openFlags.truncate)) !== 0) this.#mustWrite();
    return attempt(() =>
      this.#opened(node as Node, fs.openSync(selfPath(node as Node), flags | O_NOCTTY | O_NONBLOCK)),
    );
  }

  createFile(
    place: Place,
    flags: number,
    asked: number,
    owner: Owner,
  ): { readonly found: Found; readonly file: HostFile } {
    this.#mustWrite();
    const mode = this.#allowed(asked, 'file');
    return attempt(() => {
      const path = pathOf(place);
      const fd = fs.openSync(path, flags | O_CREAT | O_EXCL | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, mode);
      try {
        this.#own(place, owner, (uid, gid) => fs.fchownSync(fd, uid, gid));
        // After the owner, whose change takes set-user-id away; and this process' umask is not the guest's.
        if ((Number(fs.fstatSync(fd).mode) & 0o7777) !== mode) fs.fchmodSync(fd, mode);
        const found = this.#hold(fs.openSync(`/proc/self/fd/${fd}`, O_PATH), path);
        return { found, file: this.#opened(found.node as Node, fd) };
      } catch (error) {
        fs.closeSync(fd);
        throw error;
      }
    });
  }

  /**
   * The permission bits that the guest may give. Where owners are not its own, a set-user-id file would be this process' own
   * on the host: nobody else's to make.
   */
  #allowed(mode: number, kind: HostNode['kind']): number {
    if (!this.#mapped) return mode;
    return mode & ~(kind === 'directory' ? setUserId : setUserId | setGroupId);
  }

  createDirectory(place: Place, mode: number, owner: Owner): Found {
    this.#mustWrite();
    return attempt(() => {
      fs.mkdirSync(pathOf(place), mode);
      const { node } = this.find(place) ?? fail(errno.ENOENT);
      if (node.kind !== 'directory') throw new FsError(errno.ENOTDIR);
      const path = selfPath(node as Node);
      this.#own(place, owner, (uid, gid) => fs.chownSync(path, uid, gid));
      const inherited = Number(fs.fstatSync((node as Node).fd).mode) & setGroupId;
      fs.chmodSync(path, this.#allowed(mode | inherited, 'directory'));
      return { node, attributes: this.attributes(node) };
    });
  }

  createLink(place: Place, target: Uint8Array, owner: Owner): Found {
    this.#mustWrite();
    return attempt(() => {
      fs.symlinkSync(Buffer.from(target), pathOf(place));
      this.#own(place, owner, (uid, gid) => fs.lchownSync(pathOf(place), uid, gid));
      return this.find(place) ?? fail(errno.ENOENT);
    });
  }

  link(node: HostNode, at: Place, place: Place): Found {
    this.#mustWrite();
    return attempt(() => {
      fs.linkSync(this.#pathOfSame(node as Node, at), pathOf(place));
      return this.find(place) ?? fail(errno.ENOENT);
    });
  }

  remove(place: Place): void {
    this.#mustWrite();
    attempt(() => fs.unlinkSync(pathOf(place)));
  }

  removeDirectory(place: Place): void {
    this.#mustWrite();
    attempt(() => fs.rmdirSync(pathOf(place)));
  }

  rename(from: Place, to: Place): void {
    this.#mustWrite();
    attempt(() => fs.renameSync(pathOf(from), pathOf(to)));
  }

  read(file: HostFile, offset: number, into: readonly Uint8Array[]): number {
    return attempt(() => fs.readvSync((file as File).fd, into, positionOf(offset)));
  }

  write(file: HostFile, offset: number, from: readonly Uint8Array[]): number {
    return attempt(() => fs.writevSync((file as File).fd, from, positionOf(offset)));
  }

  sync(file: HostFile, dataOnly: boolean): void {
    attempt(() => (dataOnly ? fs.fdatasyncSync((file as File).fd) : fs.fsyncSync((file as File).fd)));
  }

  close(file: HostFile): void {
    if (this.#files.delete(file as File)) fs.closeSync((file as File).fd);
  }

  space(): Space {
    return attempt(() => {
      const space = fs.statfsSync(selfPath(this.root), { bigint: true });
      const { blocks, bfree: freeBlocks, bavail: availableBlocks, files, ffree: freeFiles } = space;
      return { blocks, freeBlocks, availableBlocks, files, freeFiles, blockBytes: Number(space.bsize) };
    });
  }

  closeAll(): void {
    for (const file of [...this.#files]) this.close(file);
    for (const node of [...this.#nodes.values()]) this.letGo(node);
    this.#nodes.clear();
    fs.closeSync(this.root.fd);
  }
  /** Takes an O_PATH descriptor: the node that is known already, or a new one. `path` is where it was opened. */
  #hold(fd: number, path: Buffer): Found {
    try {
      const stats = fs.fstatSync(fd, { bigint: true });
      const key = keyOf(stats);
      let node = this.#nodes.get(key);
      if (node === undefined) {
        const kind = kindOf(stats);
        node = { fd, key, kind, target: kind === 'link' ? targetOf(path, key) : undefined };
        this.#nodes.set(key, node);
      } else fs.closeSync(fd);
      return { node, attributes: this.#seen(stats) };
    } catch (error) {
      fs.closeSync(fd);
      throw error;
    }
  }

  #opened(node: Node, fd: number): File {
    const file = { node, fd };
    this.#files.add(file);
    return file;
  }

  #seen(stats: fs.BigIntStats): Attributes {
    const [uid, gid] = [Number(stats.uid), Number(stats.gid)];
    return {
      inode: stats.ino,
      size: stats.size,
      blocks: stats.blocks,
      accessedNanos: stats.atimeNs,
      modifiedNanos: stats.mtimeNs,
      changedNanos: stats.ctimeNs,
      mode: Number(stats.mode),
      links: Number(stats.nlink),
      uid: this.#mapped && uid === this.#uid ? 0 : uid,
      gid: this.#mapped && gid === this.#gid ? 0 : gid,
      device: Number(stats.rdev),
      blockBytes: Number(stats.blksize),
    };
  }

  /** Gives what was just made to whom the guest made it for; a set-group-id directory has chosen the group already. */
  #own({ parent }: Place, { uid, gid }: Owner, give: (uid: number, gid: number) => void): void {
    if (this.#mapped || (uid === this.#uid && gid === this.#gid)) return;
    const inherits = (Number(fs.fstatSync((parent as Node).fd).mode) & setGroupId) !== 0;
    give(uid, inherits ? -1 : gid);
  }

  #changeOwner(path: string | Buffer, node: Node, uid: number | undefined, gid: number | undefined): void {
    if (!this.#mapped) (node.kind === 'link' ? fs.lchownSync : fs.chownSync)(path, uid ?? -1, gid ?? -1);
    else if ((uid ?? 0) !== 0 || (gid ?? 0) !== 0) throw new FsError(errno.EPERM);
  }

  #mustWrite(): void {
    if (this.#readOnly) throw new FsError(errno.EROFS);
  }

  #pathOfLink(node: Node, place: Place | undefined): Buffer {
    return place === undefined ? fail(errno.ESTALE) : this.#pathOfSame(node, place);
  }

  /** The path of a place, if `node` is what stands there. */
  #pathOfSame(node: Node, place: Place): Buffer {
    const path = pathOf(place);
    const stats = fs.lstatSync(path, { bigint: true, throwIfNoEntry: false });
    return stats !== undefined && keyOf(stats) === node.key ? path : fail(errno.ESTALE);
  }
}
