// What the file-system device needs of the directory that it shares: nothing named by a path, all by handles of nodes
// beneath the root. Every function throws FsError. src/machines/soft/host-directory.ts carries it out with Node.

/** A file, directory or link: the same object for the same inode until it is let go. */
export interface HostNode {
  readonly kind: 'file' | 'directory' | 'link' | 'other';
}

/** An open file. */
export interface HostFile {
  readonly node: HostNode;
}

export interface Attributes {
  readonly inode: bigint;
  readonly size: bigint;
  /** Of 512 bytes. */
  readonly blocks: bigint;
  readonly accessedNanos: bigint;
  readonly modifiedNanos: bigint;
  readonly changedNanos: bigint;
  /** Type and permissions. */
  readonly mode: number;
  readonly links: number;
  readonly uid: number;
  readonly gid: number;
  /** Of a device node. */
  readonly device: number;
  readonly blockBytes: number;
}

export interface AttributeChanges {
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly size?: number;
  /** Nanoseconds since 1970. */
  readonly accessed?: bigint | 'now';
  readonly modified?: bigint | 'now';
}

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** Where a node was last seen, for what the kernel does by name only. */
export interface Place {
  readonly parent: HostNode;
  readonly name: Uint8Array;
}

export interface Found {
  readonly node: HostNode;
  readonly attributes: Attributes;
}

export interface DirectoryEntry {
  readonly name: Uint8Array;
  /** As in `struct dirent`: DT_DIR and so on, 0 unknown. */
  readonly type: number;
}

export interface Space {
  readonly blocks: bigint;
  readonly freeBlocks: bigint;
  readonly availableBlocks: bigint;
  readonly files: bigint;
  readonly freeFiles: bigint;
  readonly blockBytes: number;
}

/** Flags of open(2) that a guest may pass on, as on the host: access mode, O_TRUNC, O_APPEND, O_DSYNC, O_SYNC. */
export const openFlags = {
  access: 3,
  writeOnly: 1,
  readWrite: 2,
  truncate: 0o1000,
  append: 0o2000,
  sync: 0o4010000,
} as const;

export interface HostDirectory {
  readonly root: HostNode;
  /** Undefined when there is nothing of that name. Names are single components, checked by the caller. */
  find(place: Place): Found | undefined;
  /** The node will not be used any more, but may be found again. */
  letGo(node: HostNode): void;
  attributes(node: HostNode): Attributes;
  /** `place` is needed for links. */
  change(node: HostNode, changes: AttributeChanges, place: Place | undefined): void;
  readLink(node: HostNode): Uint8Array;
  list(node: HostNode): DirectoryEntry[];
  open(node: HostNode, flags: number): HostFile;
  /** Fails if the name exists. */
  createFile(
    place: Place,
    flags: number,
    mode: number,
    owner: Owner,
  ): { readonly found: Found; readonly file: HostFile };
  createDirectory(place: Place, mode: number, owner: Owner): Found;
  createLink(place: Place, target: Uint8Array, owner: Owner): Found;
  /** One more name for `node`, which was last seen at `at`. */
  link(node: HostNode, at: Place, place: Place): Found;
  remove(place: Place): void;
  removeDirectory(place: Place): void;
  rename(from: Place, to: Place): void;
  /** Reads into the views in turn; fewer bytes at the end of the file. */
  read(file: HostFile, offset: number, into: readonly Uint8Array[]): number;
  write(file: HostFile, offset: number, from: readonly Uint8Array[]): number;
  sync(file: HostFile, dataOnly: boolean): void;
  close(file: HostFile): void;
  space(): Space;
  /** Lets all nodes and files go. */
  closeAll(): void;
}
