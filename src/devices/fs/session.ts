// A mounted shared directory: answers FUSE requests (protocol 7.31), one after another. What is not here is ENOSYS, which
// the kernel remembers and then does itself or without: extended attributes, locks (those are the guest's own), holes.
import type { DeviceState } from '../device.ts';
import { errno, FsError } from './errno.ts';
import * as fuse from './fuse.ts';
import { type FuseHeader, FuseReader, fuseVersion, inHeaderBytes, initFlag, opcode, readHeader } from './fuse.ts';
import { Handles } from './handles.ts';
import { type Found, type HostDirectory, type HostNode, openFlags, type Place } from './host-directory.ts';
import { dots, encodeListing, isDots } from './listing.ts';
import { Nodes } from './nodes.ts';
import { readChanges } from './set-attributes.ts';

/** What one READ or WRITE moves at most. */
export const maxTransferBytes: number = 1 << 20;
const pageBytes = 4096;
/** Names and targets, with the largest fixed part before them. */
export const maxArgumentBytes = 12_288;
const typeBits = 0o170000;
const regularFile = 0o100000;
const passedFlags = openFlags.access | openFlags.append | openFlags.sync;

/** A request as the device took it from its queue. */
export interface FuseRequest {
  /** Header and arguments, a copy of at most `inHeaderBytes + maxArgumentBytes` bytes. */
  readonly head: Uint8Array;
  /** What follows the arguments of a WRITE: `bytes` bytes at `offset` of the request; fewer if it is too short. */
  data(offset: number, bytes: number): readonly Uint8Array[];
  /** Room for the payload of a READ's answer, at most `bytes`. */
  room(bytes: number): readonly Uint8Array[];
  /** The largest payload that an answer may have. */
  readonly roomBytes: number;
}

/** What to answer: bytes, or how many a READ put into its room. */
export type FuseAnswer = Uint8Array | number;

export interface SessionOptions {
  /** How long the guest may trust what it was told: 0 or 1 when the host changes files too, more if it does not. */
  readonly cacheSeconds?: number;
}

export class FuseSession {
  readonly #directory: HostDirectory;
  readonly #cacheSeconds: number;
  readonly #nodes: Nodes;
  readonly #handles: Handles;

  constructor(directory: HostDirectory, { cacheSeconds = 1 }: SessionOptions = {}) {
    this.#directory = directory;
    this.#cacheSeconds = cacheSeconds;
    this.#nodes = new Nodes(directory);
    this.#handles = new Handles(directory);
  }

  /** Nodes that the guest knows. */
  get nodes(): number {
    return this.#nodes.size;
  }

  /** The answer's header and payload; undefined when the request wants none. Never throws for what a guest sends. */
  serve(request: FuseRequest): { readonly head: Uint8Array; readonly answer: FuseAnswer } | undefined {
    const reader = new FuseReader(request.head);
    const header = readHeader(reader);
    if (reader.short) return { head: fuse.outHeader(0n, errno.EIO, 0), answer: 0 };
    try {
      const answer = this.#answer(header, reader, request);
      if (answer === undefined) return undefined;
      const bytes = typeof answer === 'number' ? answer : answer.length;
      if (bytes > request.roomBytes) throw new FsError(errno.EIO);
      return { head: fuse.outHeader(header.unique, 0, bytes), answer };
    } catch (error) {
      if (!(error instanceof FsError)) throw error;
      return { head: fuse.outHeader(header.unique, error.errno, 0), answer: 0 };
    }
  }

  reset(): void {
    this.#handles.clear();
    this.#nodes.clear();
  }

  save(): DeviceState {
    return { nodes: this.#nodes.save(), handles: this.#handles.save() };
  }

  load(state: DeviceState): void {
    this.#handles.clear();
    this.#nodes.load(state.nodes as DeviceState);
    this.#handles.load(state.handles as DeviceState, this.#nodes);
  }

  #answer(header: FuseHeader, reader: FuseReader, request: FuseRequest): FuseAnswer | undefined {
    switch (header.opcode) {
      case opcode.INIT:
        return this.#init(reader);
      case opcode.DESTROY:
        this.reset();
        return 0;
      case opcode.LOOKUP:
        return this.#lookup(header.node, reader);
      case opcode.FORGET:
        this.#nodes.forget(header.node, reader.number());
        return undefined;
      case opcode.BATCH_FORGET:
        this.#forgetAll(reader);
        return undefined;
      case opcode.GETATTR:
        return this.#attributes(header.node);
      case opcode.SETATTR:
        return this.#setAttributes(header.node, reader);
      case opcode.READLINK:
        return this.#directory.readLink(this.#nodes.get(header.node));
      case opcode.SYMLINK: {
        const place = this.#place(header.node, reader);
        const target = reader.name();
        if (target.length === 0) throw new FsError(errno.EINVAL);
        return this.#tell(this.#directory.createLink(place, target, header), header.node, place);
      }
      case opcode.MKNOD:
        return this.#makeNode(header, reader);
      case opcode.MKDIR: {
        const mode = reader.u32();
        reader.skip(4);
        const place = this.#place(header.node, reader);
        return this.#tell(this.#directory.createDirectory(place, mode & 0o7777, header), header.node, place);
      }
      case opcode.UNLINK:
        this.#directory.remove(this.#place(header.node, reader));
        return 0;
      case opcode.RMDIR:
        this.#directory.removeDirectory(this.#place(header.node, reader));
        return 0;
      case opcode.RENAME:
      case opcode.RENAME2:
        return this.#rename(header, reader);
      case opcode.LINK:
        return this.#link(header.node, reader);
      case opcode.OPEN:
        return this.#open(header.node, reader);
      case opcode.CREATE:
        return this.#create(header, reader);
      case opcode.READ:
        return this.#read(reader, request);
      case opcode.WRITE:
        return this.#write(reader, request);
      case opcode.FSYNC:
        this.#directory.sync(this.#handles.file(reader.number()), (reader.u32() & fuse.FSYNC_FDATASYNC) !== 0);
        return 0;
      case opcode.RELEASE:
      case opcode.RELEASEDIR:
        this.#handles.close(reader.number());
        return 0;
      case opcode.OPENDIR:
        return this.#openDirectory(header.node);
      case opcode.READDIR:
      case opcode.READDIRPLUS:
        return this.#readDirectory(header, reader, request.roomBytes);
      case opcode.FSYNCDIR:
        return 0;
      case opcode.STATFS:
        return fuse.encodeSpace(this.#directory.space());
      default:
        throw new FsError(errno.ENOSYS);
    }
  }

  #init(reader: FuseReader): FuseAnswer {
    const major = reader.u32();
    const minor = reader.u32();
    const maxReadAhead = reader.u32();
    const offered = reader.u32();
    if (reader.short || major < fuseVersion.major) throw new FsError(errno.EPROTO);
    this.reset();
    const wanted = Object.values(initFlag).reduce((all, flag) => all | flag, 0);
    return fuse.encodeInit({
      minor: Math.min(minor, fuseVersion.minor),
      maxReadAhead,
      flags: wanted & offered,
      maxWriteBytes: maxTransferBytes,
      maxPages: maxTransferBytes / pageBytes,
    });
  }

  #lookup(parent: number, reader: FuseReader): FuseAnswer {
    const place = this.#place(parent, reader);
    const found = this.#directory.find(place);
    if (found !== undefined) return this.#tell(found, parent, place);
    if (this.#cacheSeconds === 0) throw new FsError(errno.ENOENT);
    return fuse.encodeEntry(0, undefined, this.#cacheSeconds);
  }

  #forgetAll(reader: FuseReader): void {
    const count = reader.u32();
    reader.skip(4);
    for (let index = 0; index < count && !reader.short; index++) this.#nodes.forget(reader.number(), reader.number());
  }

  #attributes(id: number): FuseAnswer {
    return fuse.encodeAttributes(this.#directory.attributes(this.#nodes.get(id)), this.#cacheSeconds);
  }

  #setAttributes(id: number, reader: FuseReader): FuseAnswer {
    const node = this.#nodes.get(id);
    const changes = readChanges(reader);
    this.#directory.change(node, changes, this.#nodes.place(id));
    return this.#attributes(id);
  }

  /** Regular files only: Node can make no other node. */
  #makeNode(header: FuseHeader, reader: FuseReader): FuseAnswer {
    const mode = reader.u32();
    reader.skip(12);
    const place = this.#place(header.node, reader);
    const type = mode & typeBits;
    if (type !== regularFile && type !== 0) throw new FsError(errno.EPERM);
    const { found, file } = this.#directory.createFile(place, openFlags.writeOnly, mode & 0o7777, header);
    this.#directory.close(file);
    return this.#tell(found, header.node, place);
  }

  #rename(header: FuseHeader, reader: FuseReader): FuseAnswer {
    const target = reader.number();
    // RENAME_NOREPLACE and RENAME_EXCHANGE need a call that Node does not have.
    if (header.opcode === opcode.RENAME2 && reader.u64() % 2n ** 32n !== 0n) throw new FsError(errno.EINVAL);
    const from = this.#place(header.node, reader);
    const to = this.#place(target, reader);
    this.#directory.rename(from, to);
    const found = this.#tryFind(to);
    if (found !== undefined) this.#nodes.move(found, target, to.name);
    return 0;
  }

  #link(parent: number, reader: FuseReader): FuseAnswer {
    const id = reader.number();
    const node = this.#nodes.get(id);
    const at = this.#nodes.place(id);
    const place = this.#place(parent, reader);
    if (at === undefined) throw new FsError(errno.ESTALE);
    return this.#tell(this.#directory.link(node, at, place), parent, place);
  }

  #open(id: number, reader: FuseReader): FuseAnswer {
    const flags = reader.u32();
    const node = this.#nodes.get(id);
    this.#handles.check();
    const file = this.#directory.open(node, flags & (passedFlags | openFlags.truncate));
    const handle = this.#handles.add({ is: 'file', node: id, flags: flags & passedFlags, file });
    return fuse.encodeOpen(handle, fuse.FOPEN_KEEP_CACHE);
  }

  #create(header: FuseHeader, reader: FuseReader): FuseAnswer {
    const flags = reader.u32() & passedFlags;
    const mode = reader.u32();
    reader.skip(8);
    const place = this.#place(header.node, reader);
    this.#handles.check();
    const { found, file } = this.#directory.createFile(place, flags, mode & 0o7777, header);
    const entry = this.#tell(found, header.node, place);
    const node = Number(new DataView(entry.buffer).getBigUint64(0, true));
    const handle = this.#handles.add({ is: 'file', node, flags, file });
    const answer = new Uint8Array(entry.length + 16);
    answer.set(entry);
    answer.set(fuse.encodeOpen(handle, 0), entry.length);
    return answer;
  }

  #read(reader: FuseReader, request: FuseRequest): FuseAnswer {
    const file = this.#handles.file(reader.number());
    const offset = reader.number();
    const bytes = Math.min(reader.u32(), maxTransferBytes);
    return this.#directory.read(file, offset, request.room(bytes));
  }

  #write(reader: FuseReader, request: FuseRequest): FuseAnswer {
    const file = this.#handles.file(reader.number());
    const offset = reader.number();
    const bytes = Math.min(reader.u32(), maxTransferBytes);
    if (reader.short) throw new FsError(errno.EINVAL);
    return fuse.encodeWritten(this.#directory.write(file, offset, request.data(inHeaderBytes + 40, bytes)));
  }

  #openDirectory(id: number): FuseAnswer {
    const node = this.#nodes.get(id);
    if (node.kind !== 'directory') throw new FsError(errno.ENOTDIR);
    this.#handles.check();
    return fuse.encodeOpen(this.#handles.add({ is: 'directory', node: id, entries: undefined }), 0);
  }

  #readDirectory(header: FuseHeader, reader: FuseReader, roomBytes: number): FuseAnswer {
    const open = this.#handles.directory(reader.number());
    const offset = reader.number();
    const room = Math.min(reader.u32(), roomBytes, maxTransferBytes);
    const node = this.#nodes.get(open.node);
    if (offset === 0 || open.entries === undefined) open.entries = [...dots, ...this.#directory.list(node)];
    const tell = (name: Uint8Array) => {
      const found = this.#tryFind({ parent: node, name });
      return found && { found, id: this.#nodes.tell(found, open.node, name) };
    };
    return encodeListing({
      entries: open.entries,
      offset,
      roomBytes: room,
      validSeconds: this.#cacheSeconds,
      ...(header.opcode === opcode.READDIRPLUS ? { tell } : {}),
    });
  }

  #tryFind(place: Place): Found | undefined {
    try {
      return this.#directory.find(place);
    } catch (error) {
      if (error instanceof FsError) return undefined;
      throw error;
    }
  }

  #tell(found: Found, parent: number, { name }: Place): Uint8Array<ArrayBuffer> {
    const id = this.#nodes.tell(found, parent, name);
    return fuse.encodeEntry(id, found.attributes, this.#cacheSeconds) as Uint8Array<ArrayBuffer>;
  }

  /** A name in the arguments, beneath a directory that the guest knows. */
  #place(parent: number, reader: FuseReader): Place {
    const node: HostNode = this.#nodes.get(parent);
    const name = reader.name();
    if (node.kind !== 'directory') throw new FsError(errno.ENOTDIR);
    if (reader.short || name.length === 0 || isDots(name) || name.includes(slash)) throw new FsError(errno.EINVAL);
    if (name.length > 255) throw new FsError(errno.ENAMETOOLONG);
    return { parent: node, name };
  }
}

const slash = 0x2f;
