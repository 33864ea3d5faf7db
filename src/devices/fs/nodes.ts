// The nodes that the guest knows, by number, and how often it was told of each: it says FORGET as often. Where a node
// was last seen is kept for a load, and for what the host does by name only.
import type { DeviceState, StateValue } from '../device.ts';
import { errno, FsError } from './errno.ts';
import { rootId } from './fuse.ts';
import type { Found, HostDirectory, HostNode, Place } from './host-directory.ts';

export interface Known {
  readonly id: number;
  readonly node: HostNode;
  lookups: number;
  parent: number;
  /** Undefined when its name was removed. */
  name: Uint8Array | undefined;
}

/** More would take more descriptors than a process may have. */
const maxNodes = 500_000;

export class Nodes {
  readonly #directory: HostDirectory;
  readonly #byId = new Map<number, Known>();
  readonly #byNode = new Map<HostNode, Known>();
  #nextId = rootId + 1;

  constructor(directory: HostDirectory) {
    this.#directory = directory;
    this.clear();
  }

  get size(): number {
    return this.#byId.size;
  }

  /** Throws FsError ESTALE when the guest does not know `id`, or a load did not find it again. */
  get(id: number): HostNode {
    const known = this.#byId.get(id);
    if (known === undefined) throw new FsError(errno.ESTALE);
    return known.node;
  }

  /** The number by which the guest is told of a node, once more; lets the node go when there are too many. */
  tell(found: Found, parent: number, name: Uint8Array): number {
    let known = this.#byNode.get(found.node);
    if (known === undefined) {
      if (this.#byId.size >= maxNodes) {
        this.#directory.letGo(found.node);
        throw new FsError(errno.ENFILE);
      }
      known = this.#add({ id: this.#nextId++, node: found.node, lookups: 0, parent, name: undefined });
    }
    known.lookups++;
    if (known.id !== rootId) {
      known.parent = parent;
      known.name = name.slice();
    }
    return known.id;
  }

  /** A node has another name now, whether the guest knows it or not. */
  move(found: Found, parent: number, name: Uint8Array): void {
    const known = this.#byNode.get(found.node);
    if (known === undefined) {
      this.#directory.letGo(found.node);
      return;
    }
    known.parent = parent;
    known.name = name.slice();
  }

  forget(id: number, lookups: number): void {
    const known = this.#byId.get(id);
    if (known === undefined || id === rootId) return;
    known.lookups -= lookups;
    if (known.lookups > 0) return;
    this.#byId.delete(id);
    this.#byNode.delete(known.node);
    this.#directory.letGo(known.node);
  }

  /** Where a node was last seen. */
  place(id: number): Place | undefined {
    const known = this.#byId.get(id);
    const parent = known === undefined ? undefined : this.#byId.get(known.parent);
    return known?.name === undefined || parent === undefined ? undefined : { parent: parent.node, name: known.name };
  }

  clear(): void {
    for (const { id, node } of this.#byId.values()) if (id !== rootId) this.#directory.letGo(node);
    this.#byId.clear();
    this.#byNode.clear();
    this.#add({ id: rootId, node: this.#directory.root, lookups: 1, parent: rootId, name: undefined });
  }

  save(): DeviceState {
    const nodes: StateValue[] = [];
    for (const { id, lookups, parent, name } of this.#byId.values()) {
      if (id !== rootId && name !== undefined) nodes.push([id, lookups, parent, name]);
    }
    return { nextId: this.#nextId, nodes };
  }

  /** Finds the nodes again by name; those that are gone stay unknown, and what the guest asks of them is ESTALE. */
  load(state: DeviceState): void {
    this.clear();
    this.#nextId = state.nextId as number;
    const rows = new Map((state.nodes as SavedNode[]).map((row) => [row[0], row]));
    const visit = (id: number): Known | undefined => {
      const known = this.#byId.get(id);
      const row = rows.get(id);
      if (known !== undefined || row === undefined) return known;
      // Taken out first: a circle of parents in a damaged state ends here.
      rows.delete(id);
      const [, lookups, parentId, name] = row;
      const parent = visit(parentId);
      const found = parent === undefined ? undefined : this.#find({ parent: parent.node, name });
      if (found === undefined || this.#byNode.has(found.node)) return undefined;
      return this.#add({ id, node: found.node, lookups, parent: parentId, name });
    };
    for (const id of [...rows.keys()]) visit(id);
  }

  #find(place: Place): Found | undefined {
    try {
      return this.#directory.find(place);
    } catch {
      return undefined;
    }
  }

  #add(known: Known): Known {
    this.#byId.set(known.id, known);
    this.#byNode.set(known.node, known);
    return known;
  }
}

type SavedNode = readonly [id: number, lookups: number, parent: number, name: Uint8Array];
