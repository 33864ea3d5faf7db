// Compiles the keeper (native/*.c) into build/holm-keeper with one call of the C compiler, if a source is newer than it.
// CC chooses the compiler (default cc). The binary is static: it must run in any guest's root.
import { execFile } from 'node:child_process';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HolmError } from '../src/base/error.ts';

const root: string = dirname(dirname(fileURLToPath(import.meta.url)));
const nativeDirectory = join(root, 'native');
const binaryPath = join(root, 'build', 'holm-keeper');
const warnings = ['-Wall', '-Wextra', '-Werror'];

export interface KeeperBuild {
  /** The compiler; default: the variable CC, or cc. */
  readonly compiler?: string;
  /** Where the binary goes; default build/holm-keeper. */
  readonly path?: string;
  /** Options in place of -O2 -static, such as those of a sanitizer. */
  readonly options?: readonly string[];
}

/** Compiles the keeper where that is needed; gives the binary's path. */
export async function buildKeeper(build: KeeperBuild = {}): Promise<string> {
  const path = build.path ?? binaryPath;
  const sources = await keeperSources();
  if (await isCurrent(path, sources)) return path;
  await mkdir(dirname(path), { recursive: true });
  const unfinished = `${path}.${process.pid}`;
  const units = sources.filter((source) => source.endsWith('.c'));
  try {
    await compile(build.compiler ?? process.env.CC ?? 'cc', [
      '-std=gnu11',
      ...(build.options ?? ['-O2', '-static']),
      ...warnings,
      ...units,
      '-o',
      unfinished,
    ]);
    await rename(unfinished, path);
  } finally {
    await rm(unfinished, { force: true });
  }
  return path;
}

/** All sources and headers of the keeper, as absolute paths. */
export async function keeperSources(): Promise<string[]> {
  const names = (await readdir(nativeDirectory)).filter((name) => /\.[ch]$/.test(name)).sort();
  return names.map((name) => join(nativeDirectory, name));
}

async function isCurrent(path: string, sources: readonly string[]): Promise<boolean> {
  const times = await Promise.all(
    [path, ...sources].map((file) =>
      stat(file).then(
        (found) => found.mtimeMs,
        () => 0,
      ),
    ),
  );
  const [built = 0, ...changed] = times;
  return built > 0 && changed.every((time) => time < built);
}

function compile(compiler: string, args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    execFile(compiler, args, { env: { ...process.env, LC_ALL: 'C' } }, (error, _stdout, stderr) => {
      if (error === null) resolve();
      else reject(compileError(compiler, error, stderr));
    });
  });
}

function compileError(compiler: string, cause: Error & { code?: unknown }, stderr: string): HolmError {
  if (cause.code === 'ENOENT') {
    return new HolmError(
      'unavailable',
      `Cannot compile the keeper: there is no C compiler "${compiler}"; install gcc`,
      { cause },
    );
  }
  if (/cannot find -lc\b|unable to find library -lc\b/.test(stderr)) {
    return new HolmError(
      'unavailable',
      "Cannot compile the keeper: the C library's static files are missing; install libc6-dev",
      {
        cause,
      },
    );
  }
  if (/fatal error: '?(linux|sys|stdio|errno|string|stdint)/.test(stderr)) {
    return new HolmError(
      'unavailable',
      "Cannot compile the keeper: the C library's headers are missing; install libc6-dev",
      {
        cause,
      },
    );
  }
  return new HolmError('internal', `Cannot compile the keeper: ${stderr.trim().slice(0, 4000)}`, { cause });
}

if (import.meta.main) console.log(await buildKeeper());
