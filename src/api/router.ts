// Finds the row of the route table for a method and a path. Rows are grouped by method and first segment, and compared
// segment by segment; a parameter written {name...} takes any number of segments, for image names hold slashes.
import type { Call } from './call.ts';
import type { Takeover } from './hijack.ts';

export type Route = {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE';
  /** "/containers/{name}/json". */
  readonly path: string;
} & (
  | { readonly handle: (call: Call) => Promise<void> | void }
  /** Takes the connection over and speaks raw bytes on it. */
  | { readonly takeOver: (takeover: Takeover) => Promise<void> }
);

interface Row {
  readonly route: Route;
  readonly segments: readonly string[];
  /** Where the greedy parameter stands, or -1. */
  readonly greedyAt: number;
}

export interface Match {
  readonly route: Route;
  readonly params: readonly string[];
}

export type Router = (method: string, segments: readonly string[]) => Match | undefined;

/** Compiles a table. Of two rows that fit, the earlier wins. */
export function createRouter(routes: readonly Route[]): Router {
  const groups = new Map<string, Row[]>();
  for (const route of routes) {
    const segments = route.path.split('/').slice(1);
    const row = { route, segments, greedyAt: segments.findIndex((segment) => segment.endsWith('...}')) };
    const key = `${route.method} ${segments[0]}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [row]);
    else group.push(row);
  }
  return (method, segments) => {
    for (const row of groups.get(`${method} ${segments[0]}`) ?? []) {
      const params = matchRow(row, segments);
      if (params !== undefined) return { route: row.route, params };
    }
    return undefined;
  };
}

function matchRow(row: Row, given: readonly string[]): readonly string[] | undefined {
  const { segments, greedyAt } = row;
  const extra = given.length - segments.length;
  if (greedyAt < 0 ? extra !== 0 : extra < 0) return undefined;
  const params: string[] = [];
  let at = 0;
  for (let row = 0; row < segments.length; row++) {
    const segment = segments[row]!;
    if (row === greedyAt) {
      params.push(given.slice(at, at + extra + 1).join('/'));
      at += extra + 1;
    } else {
      if (segment.charCodeAt(0) === 0x7b) params.push(given[at]!);
      else if (segment !== given[at]) return undefined;
      at++;
    }
  }
  return params;
}
