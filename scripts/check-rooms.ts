// Holds src/ to the table of rooms.ts, and ARCHITECTURE.md to src/. Files directly in src/ (the daemon, the package's
// index) stand above all rooms. Reads import declarations only; checkRooms() is pure.
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { type Room, rooms } from './rooms.ts';

export interface Tree {
  /** The TypeScript files below src/, by path from the project's root: their text. */
  readonly sources: ReadonlyMap<string, string>;
  /** The text of ARCHITECTURE.md. */
  readonly architecture: string;
  /** Whether a path from the project's root exists. */
  exists(path: string): boolean;
}

const importPattern =
  /(?:^|[;}\n])\s*(?:import|export)\b[^'"`;]*?\bfrom\s*['"]([^'"]+)['"]|\bimport\s*\(\s*['"]([^'"]+)['"]|(?:^|\n)\s*import\s*['"]([^'"]+)['"]/g;
const pathPattern = /`((?:src|native|scripts|test|bench|docs|bin)\/[^`\s]*)`/g;

/** What is wrong, a sentence each; none if all is well. */
export function checkRooms(tree: Tree, table: readonly Room[]): readonly string[] {
  if (tree.sources.size === 0) return ['There is no file below src/'];
  const byName = new Map(table.map((room) => [room.name, room]));
  const problems: string[] = [];
  for (const [path, text] of tree.sources) {
    const room = roomOf(path);
    if (room !== undefined && !byName.has(room))
      problems.push(`${path}: the room "${room}" is not in scripts/rooms.ts`);
    for (const specifier of importsOf(text)) {
      const problem = checkImport(path, specifier, byName, tree);
      if (problem !== undefined) problems.push(`${path}: ${problem}`);
    }
  }
  return [...new Set([...problems, ...checkArchitecture(tree)])];
}

/** The specifiers of all imports, static and dynamic, and of re-exports. */
export function importsOf(text: string): readonly string[] {
  return [...text.matchAll(importPattern)].map((match) => match[1] ?? match[2] ?? match[3] ?? '');
}

function checkImport(
  path: string,
  specifier: string,
  table: ReadonlyMap<string, Room>,
  tree: Tree,
): string | undefined {
  const from = roomOf(path);
  const room = from === undefined ? undefined : table.get(from);
  if (!specifier.startsWith('.')) {
    return room?.pure && specifier.startsWith('node:') && !path.endsWith('.test.ts')
      ? `the room "${room.name}" is pure and cannot import "${specifier}"`
      : undefined;
  }
  const target = normalize(join(dirname(path), specifier));
  if (!tree.sources.has(target) && !tree.exists(target)) return `there is no "${specifier}"`;
  if (!target.startsWith('src/')) return path.endsWith('.test.ts') ? undefined : `"${specifier}" is outside of src/`;
  const to = roomOf(target);
  if (room === undefined || to === from) return undefined;
  if (to === undefined) return `the room "${room.name}" cannot import "${specifier}", which stands above all rooms`;
  const other = table.get(to);
  if (other === undefined || other.floor < room.floor) return undefined;
  if (other.floor === room.floor && room.beside?.includes(to)) return undefined;
  const where = other.floor === room.floor ? 'beside it' : 'above it';
  return `the room "${room.name}" cannot import "${specifier}": "${to}" is ${where}`;
}

// Every path it names exists, and every room that exists is named: as `room` or `src/room/…`.
function checkArchitecture(tree: Tree): readonly string[] {
  const named = [...tree.architecture.matchAll(pathPattern)].map((match) => match[1] ?? '');
  const gone = named.filter((path) => !/[*<…{]/.test(path) && !tree.exists(path));
  const existing = new Set([...tree.sources.keys()].map(roomOf).filter((room) => room !== undefined));
  const isNamed = (room: string): boolean =>
    tree.architecture.includes(`\`${room}\``) || named.some((path) => path.startsWith(`src/${room}/`));
  return [
    ...gone.map((path) => `ARCHITECTURE.md names "${path}", which does not exist`),
    ...[...existing].filter((room) => !isNamed(room)).map((room) => `ARCHITECTURE.md does not name the room "${room}"`),
  ];
}

// src/kernel/wire.ts belongs to "kernel"; src/daemon.ts to none.
function roomOf(path: string): string | undefined {
  const parts = path.split('/');
  return parts.length > 2 ? parts[1] : undefined;
}

/** Reads the tree below a root. */
export function readTree(root: string): Tree {
  const paths = globSync('src/**/*.ts', { cwd: root });
  const architecture = join(root, 'ARCHITECTURE.md');
  return {
    sources: new Map(paths.map((path) => [path, readFileSync(join(root, path), 'utf8')])),
    architecture: existsSync(architecture) ? readFileSync(architecture, 'utf8') : '',
    exists: (path) => existsSync(join(root, path)),
  };
}

if (import.meta.main) {
  const tree = readTree(join(import.meta.dirname, '..'));
  const problems = checkRooms(tree, rooms);
  for (const problem of problems) console.error(problem);
  if (problems.length === 0) console.log(`${tree.sources.size} files keep to the table of rooms`);
  else process.exitCode = 1;
}
