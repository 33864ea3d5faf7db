// The order in which a region's blocks become structured control flow: dominator tree (Cooper, Harvey and Kennedy, "A Simple,
// Fast Dominance Algorithm") and what Ramsey's "Beyond Relooper" reads from it. Node 0 is the way in: it chooses among the
// entries. An edge that would make a loop with two headers goes through node 0 instead, so every graph can be structured.

/** What a region's nodes are to each other. Nodes 1… are blocks; `successors` holds their edges within the region. */
export interface Order {
  /** Nodes in reverse postorder, by number; unreachable nodes are missing. */
  readonly sequence: readonly number[];
  readonly position: Int32Array;
  /** Children in the dominator tree, in descending order of position. */
  readonly children: readonly (readonly number[])[];
  /** Reached by more than one forward edge, or chosen by node 0: gets a label of its own. */
  readonly isMerge: Uint8Array;
  /** Reached by a back-edge. */
  readonly isLoop: Uint8Array;
  /** Whom node 0 chooses among. */
  readonly entries: readonly number[];
  /** Whether the edge goes through node 0. */
  throughDispatch(from: number, to: number): boolean;
}

/**
 * Orders the graph whose node n has the successors `successors[n]`, entered at any of `entries` (never empty). Nodes are added
 * to the entries until every loop has one header.
 */
export function order(successors: readonly (readonly number[])[], entries: readonly number[]): Order {
  const chosen = new Set(entries);
  const detours = new Set<number>();
  const count = successors.length;
  for (;;) {
    const out = successors.map((list, node) =>
      node === 0 ? [...chosen] : list.filter((to) => !detours.has(node * count + to)),
    );
    const sequence = reversePostorder(out);
    const position = new Int32Array(count).fill(-1);
    for (let i = 0; i < sequence.length; i++) position[sequence[i]!] = i;
    const predecessors: number[][] = out.map(() => []);
    for (const node of sequence) for (const to of out[node]!) predecessors[to]!.push(node);
    const dominator = dominators(sequence, position, predecessors);
    let again = false;
    for (const node of sequence) {
      for (const to of out[node]!) {
        if (position[to]! > position[node]! || dominates(dominator, position, to, node)) continue;
        detours.add(node * count + to);
        chosen.add(to);
        again = true;
      }
    }
    if (again) continue;
    const isMerge = new Uint8Array(count);
    const isLoop = new Uint8Array(count);
    const children: number[][] = out.map(() => []);
    for (let i = sequence.length - 1; i > 0; i--) {
      const node = sequence[i]!;
      children[dominator[node]!]!.push(node);
      let forward = 0;
      for (const from of predecessors[node]!) {
        if (position[from]! < i) forward++;
        else isLoop[node] = 1;
      }
      if (forward > 1 || (chosen.size > 1 && chosen.has(node))) isMerge[node] = 1;
    }
    return {
      sequence,
      position,
      children,
      isMerge,
      isLoop,
      entries: [...chosen],
      throughDispatch: (from, to) => detours.has(from * count + to),
    };
  }
}

function reversePostorder(out: readonly (readonly number[])[]): number[] {
  const seen = new Uint8Array(out.length);
  const next = new Int32Array(out.length);
  const stack = [0];
  const finished: number[] = [];
  seen[0] = 1;
  while (stack.length > 0) {
    const node = stack.at(-1)!;
    const to = out[node]![next[node]!++];
    if (to === undefined) {
      finished.push(node);
      stack.pop();
    } else if (seen[to] === 0) {
      seen[to] = 1;
      stack.push(to);
    }
  }
  return finished.reverse();
}

function dominators(
  sequence: readonly number[],
  position: Int32Array,
  predecessors: readonly (readonly number[])[],
): Int32Array {
  const dominator = new Int32Array(position.length).fill(-1);
  dominator[0] = 0;
  for (let changed = true; changed; ) {
    changed = false;
    for (let i = 1; i < sequence.length; i++) {
      const node = sequence[i]!;
      let best = -1;
      for (const from of predecessors[node]!) {
        if (dominator[from] === -1) continue;
        best = best === -1 ? from : intersect(dominator, position, from, best);
      }
      if (dominator[node] !== best) {
        dominator[node] = best;
        changed = true;
      }
    }
  }
  return dominator;
}

function intersect(dominator: Int32Array, position: Int32Array, a: number, b: number): number {
  let left = a;
  let right = b;
  while (left !== right) {
    while (position[left]! > position[right]!) left = dominator[left]!;
    while (position[right]! > position[left]!) right = dominator[right]!;
  }
  return left;
}

function dominates(dominator: Int32Array, position: Int32Array, above: number, below: number): boolean {
  let node = below;
  while (position[node]! > position[above]!) node = dominator[node]!;
  return node === above;
}
