// What the doctor reads of a host. Tests give another one, made of plain objects.
import { execFile } from 'node:child_process';
import { existsSync, readFileSync, statfsSync } from 'node:fs';
import { release } from 'node:os';
import { dirname } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { Client } from '../client.ts';

export interface Host {
  readonly kernelRelease: string;
  readonly nodeVersion: string;
  readonly architecture: string;
  /** A file's text; '' when it cannot be read. */
  read(path: string): string;
  exists(path: string): boolean;
  /** What a program prints on both outputs; undefined when it is not there. */
  run(program: string, args: readonly string[]): Promise<string | undefined>;
  /** Free bytes and the nearest directory that exists. */
  freeSpace(path: string): { bytes: number; directory: string };
  /** The version of the daemon that answers; throws when none does. */
  daemonVersion(): Promise<string>;
}

/** The host that this runs on; `address` is holmd's. */
export function thisHost(address: string): Host {
  return {
    kernelRelease: release(),
    nodeVersion: process.versions.node,
    architecture: process.arch,
    read: readText,
    exists: existsSync,
    run: runProgram,
    freeSpace(path) {
      let directory = path;
      while (!existsSync(directory)) directory = dirname(directory);
      const { bavail, bsize } = statfsSync(directory);
      return { bytes: bavail * bsize, directory };
    },
    async daemonVersion() {
      const options = { signal: AbortSignal.timeout(3000) };
      return (await new Client(address).json<{ Version: string }>('GET', '/version', options)).Version;
    },
  };
}

function readText(path: string): string {
  try {
    const bytes = readFileSync(path);
    return path.endsWith('.gz') ? gunzipSync(bytes).toString() : bytes.toString();
  } catch {
    return '';
  }
}

function runProgram(program: string, args: readonly string[]): Promise<string | undefined> {
  const path = `${process.env.PATH ?? ''}:/usr/local/sbin:/usr/sbin:/sbin`;
  const options = { timeout: 5000, env: { ...process.env, PATH: path, LC_ALL: 'C' } };
  return new Promise((resolve) => {
    execFile(program, args, options, (error, stdout, stderr) => {
      const missing = error !== null && 'code' in error && error.code === 'ENOENT';
      resolve(missing ? undefined : `${stdout}${stderr}`);
    });
  });
}

/** Whether the kernel has something: built in, loaded, or as a module; undefined when that cannot be told. */
export function kernelHas(
  host: Host,
  names: { readonly config: string; readonly module: string; readonly symbol: string },
): 'built in' | 'loaded' | 'module' | 'absent' | undefined {
  const { config, module, symbol } = names;
  const file = new RegExp(`/${module.replaceAll('_', '[_-]')}\\.ko`, 'm');
  const modules = `/lib/modules/${host.kernelRelease}`;
  if (new RegExp(`^${module} `, 'm').test(host.read('/proc/modules'))) return 'loaded';
  if (file.test(host.read(`${modules}/modules.builtin`))) return 'built in';
  if (file.test(host.read(`${modules}/modules.dep`))) return 'module';
  const configuration = host.read('/proc/config.gz') || host.read(`/boot/config-${host.kernelRelease}`);
  const setting = new RegExp(`^CONFIG_${config}=([ym])$`, 'm').exec(configuration)?.[1];
  if (setting === 'y') return 'built in';
  if (configuration !== '') return 'absent';
  const symbols = host.read('/proc/kallsyms');
  if (symbols === '') return undefined;
  return new RegExp(` ${symbol}$`, 'm').test(symbols) ? 'built in' : 'absent';
}
