// Makes an image of Debian's packages with debootstrap(8), from the archive that this host's apt uses. Packages of another
// architecture are unpacked only and configured at their first boot (foreign-root.ts). The same packages give the same digest:
// the root is cleaned, packed in the order of names, and nothing in it is younger than the suite's release file. The layer stays a plain tar: its blob is its diff, hashed once, and no compressor's version can change the digest.
// The finished image is kept, compressed, in a cache directory, so that making it again takes no time.
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
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
import { chooseSource, readAptSources } from './apt-sources.ts';
import { cleanRoot } from './clean-root.ts';
import { noDefaults } from './config.ts';
import { type DebianRelease, debootstrapEnvironment, fetchRelease, parseRelease } from './debian-release.ts';
import { type Bootstrap, debootstrap } from './debootstrap.ts';
import { addFirstBoot, addMachineSettings, addPackageSource, firstBootScript, machinePackages } from './first-boot.ts';
import { unpackRoot } from './foreign-root.ts';
import type { Image } from './image.ts';
import type { Images } from './images.ts';
import { initScript } from './machine/initramfs-script.ts';
import { addKernel } from './machine/machine-kernel.ts';
import { hostPlatform } from './platform.ts';

/** What one may ask for. */
export interface DebianRequest {
  readonly suite: string;
  /** Further packages. */
  readonly include?: readonly string[];
  /** As GOARCH has it; the host's when absent. */
  readonly architecture?: string;
  /** With a kernel and an initial RAM disk, so that a machine can start with it. */
  readonly kernel?: boolean;
  /** The package of the init, or "none"; when absent systemd-sysv with a kernel, else none. */
  readonly init?: string;
  /** The name to give. */
  readonly reference?: string;
}

export interface DebianImageOptions extends DebianRequest {
  /** The archive's address; the host's apt configuration tells when absent. */
  readonly mirror?: string;
  /** Where packages and finished images are kept; ~/.cache/holm/debian when absent. */
  readonly cacheDirectory?: string;
  /** Where the root is made; to be on a file system with devices and programs. */
  readonly workDirectory: string;
  readonly onProgress?: (status: string) => void;
  readonly signal?: AbortSignal;
}

interface Job extends Omit<Bootstrap, 'downloadOnly' | 'architecture'> {
  /** As GOARCH has it. */
  readonly architecture: string;
  readonly kernel: boolean;
  readonly init: string;
  readonly cacheDirectory: string;
  readonly workDirectory: string;
}

const debianNames: Readonly<Record<string, string>> = { arm: 'armhf', '386': 'i386', ppc64le: 'ppc64el' };
const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** To be raised when the way of making an image changes. */
const recipe = 1;
const foreignRecipe = 3;
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
  const kernel = options.kernel ?? false;
  const init = options.init || (kernel ? 'systemd-sysv' : 'none');
  const architecture = options.architecture ?? hostPlatform().architecture;
  const ofMachine = kernel ? machinePackages(init) : [];
  const include = [...new Set([...(options.include ?? []), ...(init === 'none' ? [] : [init]), ...ofMachine])].sort();
  if (!/^[a-z0-9][a-z0-9.-]*$/.test(options.suite))
    throw new HolmError('invalid', `Cannot make an image of "${options.suite}": it is not the name of a suite`);
  if (!/^[a-z0-9]+$/.test(architecture))
    throw new HolmError('invalid', `Cannot make an image for "${architecture}": it is not the name of an architecture`);
  if (kernel && architecture !== 'riscv64')
    throw new HolmError('unsupported', `Cannot add a kernel for "${architecture}": machines are riscv64`);
  const wrong = include.find((name) => !/^[a-z0-9][a-z0-9+.-]+$/.test(name));
  if (wrong !== undefined) throw new HolmError('invalid', `Cannot include "${wrong}": it is not the name of a package`);
  const source =
    options.mirror === undefined ? chooseSource(await readAptSources(), options.suite, await hostSuite()) : undefined;
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'holm', 'debian');
  const cacheDirectory = options.cacheDirectory ?? cache;
  return {
    suite: options.suite,
    include,
    architecture,
    kernel,
    init,
    mirror: (options.mirror ?? source?.uri ?? '').replace(/\/+$/, ''),
    source,
    cacheDirectory,
    packagesDirectory: join(cacheDirectory, 'packages'),
    workDirectory: options.workDirectory,
    onProgress: options.onProgress ?? (() => undefined),
    signal: options.signal,
  };
}

async function hostSuite(): Promise<string> {
  const text = await readFile('/etc/os-release', 'utf8').catch(() => '');
  return /^VERSION_CODENAME="?([\w.-]+)/m.exec(text)?.[1] ?? 'stable';
}

function cachePrefix(job: Job): string {
  const { suite, architecture, include, mirror, kernel, init } = job;
  const unpacked = isUnpackedOnly(job) ? [foreignRecipe, kernel, init, firstBootScript, initScript] : [];
  const asked = digestOf(JSON.stringify([recipe, include, mirror, ...unpacked]));
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
  const labels = isUnpackedOnly(job)
    ? await unpackForeign(job, release, root, work)
    : await installNative(job, release, root, work);
  await cleanRoot(root);
  job.onProgress('Packing the image');
  const include = job.include.length === 0 ? '' : ` --include=${job.include.join(',')}`;
  const image = await images.create(
    {
      layer: packDirectory(kernel, root, { mostTime: release.epoch }),
      defaults: { ...noDefaults, environment: [path], command: ['bash'], labels },
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

type Labels = Readonly<Record<string, string>>;

async function installNative(job: Job, release: DebianRelease, root: string, work: string): Promise<Labels> {
  await debootstrap({ ...job, architecture: debianNameOf(job), downloadOnly: false }, release, root, work);
  await checkRelease(root, release);
  return {};
}

/** Unpacks the packages, and adds what configures them in the guest; gives the image's labels. */
async function unpackForeign(job: Job, release: DebianRelease, root: string, work: string): Promise<Labels> {
  const architecture = debianNameOf(job);
  const fetched = join(work, 'fetched');
  await debootstrap({ ...job, architecture, downloadOnly: true }, release, fetched, work);
  await checkRelease(fetched, release);
  const archives = join(fetched, 'var/cache/apt/archives');
  const debs = (await readdir(archives)).filter((name) => name.endsWith('.deb')).map((name) => join(archives, name));
  await unpackRoot(root, debs, { ...job, work, architecture });
  await addPackageSource(root, job.mirror, job.suite);
  await addFirstBoot(root, architecture);
  if (!job.kernel) return {};
  await addMachineSettings(root, job.init);
  return await addKernel(root, await readIndex(fetched), { ...job, work, architecture });
}

async function readIndex(fetched: string): Promise<string> {
  const lists = join(fetched, 'var/lib/apt/lists');
  const name = (await readdir(lists)).find((candidate) => candidate.endsWith('_Packages'));
  if (name === undefined) throw new HolmError('internal', 'Cannot find the index of packages that debootstrap fetched');
  return await readFile(join(lists, name), 'utf8');
}

function debianNameOf({ architecture }: Job): string {
  return debianNames[architecture] ?? architecture;
}

/** Whether the packages are configured in the guest: a machine's, and those whose programs this host cannot run. */
function isUnpackedOnly({ architecture, kernel }: Job): boolean {
  const host = hostPlatform().architecture;
  if (kernel) return true;
  return architecture !== host && !(architecture === '386' && host === 'amd64');
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
    // Another process may be writing the same.
    for (const name of await readdir(directory))
      if (name.startsWith(prefix) && !name.endsWith('.new')) await rm(join(directory, name), { force: true });
    await pipeline([image.id], createWriteStream(`${file}.id`, { flush: true }));
    await rename(fresh, file);
    await syncDirectory(directory);
  } catch (error) {
    await rm(fresh, { force: true });
    throw error;
  }
}
