// Makes an image of Debian's packages with debootstrap(8), from the archive that this host's apt uses. The same packages give
// the same digest: the root is cleaned, packed in the order of names, and nothing in it is younger than the suite's release
// file. The layer stays a plain tar: its blob is its diff, hashed once, and no compressor's version can change the digest.
// The finished image is kept, compressed, in a cache directory, so that making it again takes no time.
import { spawn } from 'node:child_process';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pipeline } from 'node:stream/promises';
import { createZstdCompress } from 'node:zlib';
import { type Digest, digestOf, hexOf } from '../base/digest.ts';
import { HolmError, hasCode } from '../base/error.ts';
import { Locks } from '../base/locks.ts';
import { log } from '../base/log.ts';
import { syncDirectory } from '../content/durable.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { packDirectory } from '../layers/packing.ts';
import { removeTree } from '../layers/unpacking.ts';
import { type AptSource, chooseSource, readAptSources } from './apt-sources.ts';
import { cleanRoot } from './clean-root.ts';
import { noDefaults } from './config.ts';
import {
  type DebianRelease,
  debootstrapEnvironment,
  fetchRelease,
  keyringArguments,
  parseRelease,
} from './debian-release.ts';
import type { Image } from './image.ts';
import type { Images } from './images.ts';
import { hostPlatform } from './platform.ts';

export interface DebianImageOptions {
  readonly suite: string;
  /** Further packages. */
  readonly include?: readonly string[];
  /** As GOARCH has it; the host's when absent. Another one needs the kernel to run its programs (binfmt_misc). */
  readonly architecture?: string;
  /** The archive's address; the host's apt configuration tells when absent. */
  readonly mirror?: string;
  /** The name to give. */
  readonly reference?: string;
  /** Where packages and finished images are kept; ~/.cache/holm/debian when absent. */
  readonly cacheDirectory?: string;
  /** Where the root is made; to be on a file system with devices and programs. */
  readonly workDirectory: string;
  readonly onProgress?: (status: string) => void;
  readonly signal?: AbortSignal;
}

interface Job extends Required<Omit<DebianImageOptions, 'mirror' | 'reference' | 'signal'>> {
  readonly mirror: string;
  readonly source: AptSource | undefined;
  readonly signal: AbortSignal | undefined;
}

const debianNames: Readonly<Record<string, string>> = { arm: 'armhf', '386': 'i386', ppc64le: 'ppc64el' };
const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** To be raised when the way of making an image changes. */
const recipe = 1;
const locks = new Locks();

/** Makes the image, or takes it from the cache, or only names it when it is there already. */
export async function createDebianImage(
  images: Images,
  kernel: Kernel,
  options: DebianImageOptions,
): Promise<{ image: Image; cached: boolean }> {
  const job = await jobOf(options);
  const prefix = cachePrefix(job);
  return await locks.hold(join(job.cacheDirectory, prefix), async () => {
    const directory = join(job.cacheDirectory, 'images');
    await mkdir(directory, { recursive: true });
    job.onProgress(`Asking for the state of ${job.suite}`);
    const release = await fetchRelease(job.mirror, job.suite, await debootstrapEnvironment(), job.signal).catch(
      async (error: unknown) => {
        const known = await newestOf(directory, prefix);
        if (known === undefined) throw error;
        log('warn', 'Cannot ask the archive; the image made last is taken', { suite: job.suite, error });
        return known;
      },
    );
    const name = typeof release === 'string' ? release : `${prefix}${hexOf(release.digest).slice(0, 16)}.tar.zst`;
    const file = join(directory, name);
    const known = await loadCached(images, file, job);
    const image =
      known ?? (await makeImage(images, kernel, job, typeof release === 'string' ? undefined : release, file));
    if (options.reference !== undefined) await images.tag(image.id, options.reference);
    return { image: images.get(image.id), cached: known !== undefined };
  });
}

async function jobOf(options: DebianImageOptions): Promise<Job> {
  const include = [...new Set(options.include ?? [])].sort();
  if (!/^[a-z0-9][a-z0-9.-]*$/.test(options.suite))
    throw new HolmError('invalid', `Cannot make an image of "${options.suite}": it is not the name of a suite`);
  const wrong = include.find((name) => !/^[a-z0-9][a-z0-9+.-]+$/.test(name));
  if (wrong !== undefined) throw new HolmError('invalid', `Cannot include "${wrong}": it is not the name of a package`);
  const source =
    options.mirror === undefined ? chooseSource(await readAptSources(), options.suite, await hostSuite()) : undefined;
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'holm', 'debian');
  return {
    suite: options.suite,
    include,
    architecture: options.architecture ?? hostPlatform().architecture,
    mirror: (options.mirror ?? source?.uri ?? '').replace(/\/+$/, ''),
    source,
    cacheDirectory: options.cacheDirectory ?? cache,
    workDirectory: options.workDirectory,
    onProgress: options.onProgress ?? (() => undefined),
    signal: options.signal,
  };
}

async function hostSuite(): Promise<string> {
  const text = await readFile('/etc/os-release', 'utf8').catch(() => '');
  return /^VERSION_CODENAME="?([\w.-]+)/m.exec(text)?.[1] ?? 'stable';
}

function cachePrefix({ suite, architecture, include, mirror }: Job): string {
  const asked = digestOf(JSON.stringify([recipe, include, mirror]));
  return `${suite}_${architecture}_${hexOf(asked).slice(0, 16)}_`;
}

async function newestOf(directory: string, prefix: string): Promise<string | undefined> {
  return (await readdir(directory)).find((name) => name.startsWith(prefix) && name.endsWith('.tar.zst'));
}

async function loadCached(images: Images, file: string, job: Job): Promise<Image | undefined> {
  try {
    const id = await readFile(`${file}.id`, 'utf8');
    const present = images.find(id as Digest);
    if (present !== undefined) return present;
    job.onProgress('Loading the image from the cache');
    const [loaded] = await images.load(createReadStream(file, { highWaterMark: 1024 * 1024 }), () => undefined);
    return loaded === undefined ? undefined : images.get(loaded);
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) log('warn', 'Cannot use a cached image; it is made anew', { file, error });
    return undefined;
  }
}

async function makeImage(
  images: Images,
  kernel: Kernel,
  job: Job,
  release: DebianRelease | undefined,
  file: string,
): Promise<Image> {
  if (release === undefined)
    throw new HolmError('unavailable', `Cannot make an image of "${job.suite}": its archive does not answer`);
  await mkdir(job.workDirectory, { recursive: true });
  await using undo = new AsyncDisposableStack();
  const work = await mkdtemp(join(job.workDirectory, 'debian-'));
  undo.defer(() => removeTree(work));
  const root = join(work, 'root');
  await debootstrap(job, release, root, work);
  await checkRelease(root, release);
  await cleanRoot(root);
  job.onProgress('Packing the image');
  const include = job.include.length === 0 ? '' : ` --include=${job.include.join(',')}`;
  const image = await images.create(
    {
      layer: packDirectory(kernel, root, { mostTime: release.epoch }),
      defaults: { ...noDefaults, environment: [path], command: ['bash'] },
      platform: { os: 'linux', architecture: job.architecture },
      createdAt: BigInt(release.epoch) * 1_000_000_000n,
      createdBy: `debootstrap --variant=minbase${include} ${job.suite}`,
    },
    'import',
  );
  job.onProgress('Keeping the image in the cache');
  await keepInCache(images, image, file, cachePrefix(job));
  return image;
}

/** Runs debootstrap in mount and process namespaces of its own: when it ends or is killed, nothing of it is left. */
async function debootstrap(job: Job, release: DebianRelease, root: string, work: string): Promise<void> {
  const packages = join(job.cacheDirectory, 'packages');
  await mkdir(packages, { recursive: true });
  const child = spawn(
    'unshare',
    [
      ...['--mount', '--pid', '--fork', '--kill-child', '--mount-proc', '--propagation', 'private', '--'],
      ...['debootstrap', '--variant=minbase', `--arch=${debianNames[job.architecture] ?? job.architecture}`],
      `--cache-dir=${packages}`,
      ...(await keyringArguments(job.source, work)),
      ...(job.include.length === 0 ? [] : [`--include=${job.include.join(',')}`]),
      ...[job.suite, root, job.mirror],
    ],
    {
      env: await debootstrapEnvironment(release.epoch),
      stdio: ['ignore', 'pipe', 'pipe'],
      cwd: '/',
      ...(job.signal === undefined ? {} : { signal: job.signal }),
    },
  );
  const said: string[] = [];
  const hear = (line: string): void => {
    said.push(line);
    if (said.length > 20) said.shift();
    job.onProgress(line.replace(/^[IWE]: /, ''));
  };
  createInterface(child.stdout).on('line', hear);
  createInterface(child.stderr).on('line', hear);
  const { promise, resolve, reject } = Promise.withResolvers<number | null>();
  child.on('error', reject).on('close', resolve);
  const code = await promise.catch((cause: unknown) => {
    const isAbsent = hasCode(cause, 'ENOENT');
    throw new HolmError(isAbsent ? 'unavailable' : 'cancelled', 'Cannot run debootstrap', { cause });
  });
  if (code === 0) return;
  const why = said.filter((line) => /^E: /.test(line)).join('; ') || said.slice(-3).join('; ');
  const isAbsent = code === 127 || /debootstrap: No such file/.test(why);
  throw new HolmError(
    isAbsent ? 'unavailable' : 'internal',
    isAbsent
      ? `Cannot make an image of "${job.suite}": debootstrap is not installed`
      : `Cannot make an image of "${job.suite}": debootstrap failed: ${why}`,
  );
}

/** The release that debootstrap has verified must be the one that the image is dated and cached by. */
async function checkRelease(root: string, release: DebianRelease): Promise<void> {
  const lists = join(root, 'var/lib/apt/lists');
  for (const name of await readdir(lists)) {
    if (!name.endsWith('_InRelease')) continue;
    if (parseRelease(await readFile(join(lists, name))).digest === release.digest) return;
  }
  throw new HolmError('unavailable', 'Cannot make the image: the archive changed meanwhile; try again');
}

async function keepInCache(images: Images, image: Image, file: string, prefix: string): Promise<void> {
  const directory = join(file, '..');
  const fresh = `${file}.${process.pid}.new`;
  try {
    await pipeline(await images.save([image.id]), createZstdCompress(), createWriteStream(fresh, { flush: true }));
    for (const name of await readdir(directory))
      if (name.startsWith(prefix) && !fresh.endsWith(name)) await rm(join(directory, name));
    await pipeline([image.id], createWriteStream(`${file}.id`, { flush: true }));
    await rename(fresh, file);
    await syncDirectory(directory);
  } catch (error) {
    await rm(fresh, { force: true });
    throw error;
  }
}
