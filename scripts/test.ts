// npm test: everything, in order: what `npm run check` does, the keeper's tests (also under the sanitizers), the
// whole-system tests as root, and whether anything is left behind on the host. Nothing passes by being skipped:
// what is skipped is told by name. Needs no terminal and no standard input.
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { dockerClient } from '../test/harness/docker-client.ts';
import { busyboxImage } from '../test/harness/images.ts';
import { settleLeftovers, takeSnapshot } from '../test/harness/leftovers.ts';
import { buildKeeper } from './build-keeper.ts';
import { buildPrograms } from './build-programs.ts';
import { check } from './check.ts';
import { installMissing } from './debian.ts';
import { formatLine, formatSeconds, step } from './step.ts';
import { runTestFiles, type TestFilesOptions, type TestSum } from './test-files.ts';

const root = join(import.meta.dirname, '..');
const sanitizedKeeper = join(root, 'build/holm-keeper-asan');
const sum: TestSum = { passed: 0, failed: 0, skipped: 0, failures: [], skips: [] };

interface Group {
  readonly files: string;
  readonly concurrency: number;
  readonly fileTimeoutMs: number;
  readonly sanitized?: true;
}

/** In this order; the folders of test/ that are not named here come last, as the one before them. */
const groups: readonly Group[] = [
  { files: 'test/keeper/**/*.test.ts', concurrency: 2, fileTimeoutMs: 120_000 },
  { files: 'test/keeper/**/*.test.ts', concurrency: 2, fileTimeoutMs: 180_000, sanitized: true },
  // A machine without KVM takes both processors.
  { files: 'test/v2/**/*.test.ts', concurrency: 1, fileTimeoutMs: 360_000 },
  // Makes an image twice, of a hundred packages.
  { files: 'test/images/riscv64.test.ts', concurrency: 1, fileTimeoutMs: 480_000 },
  // On a host where this never ran Debian's packages are configured in a machine first, which takes minutes.
  { files: 'test/machines/debian.test.ts', concurrency: 1, fileTimeoutMs: 1_200_000 },
  // Boots what that left in the cache.
  { files: 'test/start/*.test.ts', concurrency: 1, fileTimeoutMs: 900_000 },
  { files: 'test/*/**/*.test.ts', concurrency: 2, fileTimeoutMs: 240_000 },
];

try {
  if (process.getuid?.() !== 0) throw new Error('The whole-system tests take root. Without: npm run check');
  const startedAt = performance.now();
  await step('Debian packages', installPackages);
  await step('docker client', dockerClient);
  await step('image busybox:test', busyboxImage);
  await runCheck();
  await build();
  const before = await takeSnapshot();
  await runGroups();
  await countTest('nothing is left behind on the host', async () => {
    const left = await settleLeftovers(before);
    if (left.length > 0) throw new Error(left.join('\n'));
  });
  tellSum(performance.now() - startedAt);
} catch (error) {
  console.error(`\nholm: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}

async function installPackages(): Promise<string> {
  const installed = await installMissing([
    { package: 'gcc', provides: 'gcc', for: 'the keeper' },
    { package: 'libc6-dev', provides: '/usr/lib/*/libc.a', for: "the keeper (the C library's static files)" },
    { package: 'debootstrap', provides: 'debootstrap', for: 'images from Debian packages' },
    { package: 'kmod', provides: 'depmod', for: "the kernel of machines' images" },
    { package: 'xz-utils', provides: 'xz', for: 'reading its modules' },
    { package: 'erofs-utils', provides: 'mkfs.erofs', for: "machines' disks" },
    { package: 'cpio', provides: 'cpio', for: "reading machines' initial RAM disks as others do" },
    { package: 'skopeo', provides: 'skopeo', for: "reading holm's content store as others do" },
    { package: 'umoci', provides: 'umoci', for: 'making images as others do' },
    { package: 'nftables', provides: 'nft', for: 'reading the firewall rules as others do' },
    { package: 'iproute2', provides: 'ip', for: 'reading links and routes as others do' },
    { package: 'procps', provides: 'ps', for: 'docker top' },
    { package: 'zsh', provides: 'zsh', for: "holm's completion" },
    { package: 'fish', provides: 'fish', for: "holm's completion" },
    { package: 'bsdutils', provides: 'script', for: 'terminals' },
    { package: 'qemu-system-x86', provides: 'qemu-system-x86_64', for: 'a machine with cgroup v2 alone' },
    { package: 'chromium', provides: 'chromium', for: 'a machine in a page' },
    { package: 'e2fsprogs', provides: 'mke2fs', for: 'the disk of that machine' },
  ]);
  return installed.length === 0 ? 'all there' : `installed ${installed.join(', ')}`;
}

async function runCheck(): Promise<void> {
  const { failed, unitTests } = await check();
  sum.passed += unitTests.passed;
  sum.skipped += unitTests.skipped.length;
  sum.skips.push(...unitTests.skipped.map((name) => `unit tests: ${name}`));
  const others = failed.filter((part) => part !== 'unit tests');
  sum.failed += others.length + unitTests.failed;
  sum.failures.push(...failed.map((part) => `check: ${part}`));
}

// The sanitizers' libraries do not link statically; that keeper serves all but `--init`, which runs in the guest's root.
async function build(): Promise<void> {
  const options = ['-O1', '-g', '-fno-omit-frame-pointer', '-fsanitize=address,undefined', '-fno-sanitize-recover=all'];
  await step('keeper', buildKeeper);
  await step('programs', async () => (await buildPrograms()).join(', '));
  await step('keeper, sanitized', () => buildKeeper({ path: sanitizedKeeper, options }));
}

async function runGroups(): Promise<void> {
  const done = new Set<string>();
  for (const group of groups) {
    const files = globSync(group.files, { cwd: root }).sort();
    const { concurrency, fileTimeoutMs } = group;
    const options: TestFilesOptions = { root, concurrency, fileTimeoutMs };
    if (group.sanitized) {
      const env = { HOLM_KEEPER: sanitizedKeeper };
      await runTestFiles(files, { ...options, env, note: 'sanitized' }, sum);
    } else {
      const fresh = files.filter((file) => !done.has(file));
      for (const file of fresh) done.add(file);
      await runTestFiles(fresh, options, sum);
    }
  }
  if (done.size === 0) throw new Error('There is no test file below test/');
}

async function countTest(name: string, work: () => Promise<void>): Promise<void> {
  const startedAt = performance.now();
  try {
    await work();
    sum.passed++;
    console.log(formatLine('✓', performance.now() - startedAt, name, ''));
  } catch (error) {
    sum.failed++;
    sum.failures.push(name);
    console.log(formatLine('✗', performance.now() - startedAt, name, ''));
    console.log(error instanceof Error ? error.message : error);
  }
}

function tellSum(milliseconds: number): void {
  if (sum.skips.length > 0) console.log(`\nSkipped:\n${sum.skips.map((name) => `  ${name}`).join('\n')}`);
  if (sum.failures.length > 0) console.log(`\nFailed:\n${sum.failures.map((name) => `  ${name}`).join('\n')}`);
  console.log(`\nAll took ${formatSeconds(milliseconds)}.`);
  console.log(`${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`);
  if (sum.failed > 0) process.exitCode = 1;
}
