// The first boot of an image, in a machine that lives no longer: it runs the packages' scripts and powers off.
import { rename } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { HolmError } from '../base/error.ts';
import { readLog } from '../containers/log-file.ts';
import { configuredDiskBytes } from './configured-disks.ts';
import type { Creation } from './creation.ts';
import { directoryOf } from './facilities.ts';
import { endReasonOf, type Machine } from './machine.ts';

/** What the script of the first boot says of each package (src/images/first-boot.ts). */
const step = /^holm: first boot: (\d+ of \d+: \S+)/;
const mib = 2 ** 20;
const linesTold = 12;
/** A guest that never powers off must not hold up all who want a machine of that image. */
const mostMs = 30 * 60_000;

/** Boots a machine like `machine`, made by `make`, until the packages are configured, and leaves its disk as the file `fresh`. */
export async function configureImage(
  creation: Creation,
  machine: Machine,
  make: (helper: Machine) => Promise<Machine>,
  fresh: string,
): Promise<void> {
  const { facilities, onProgress } = creation;
  const tooLate = AbortSignal.timeout(mostMs);
  const signal = AbortSignal.any([creation.signal, tooLate]);
  await using undo = new AsyncDisposableStack();
  const helper = await make({
    ...machine,
    isForImage: true,
    config: {
      ...machine.config,
      cpus: 1,
      memoryBytes: 512 * mib,
      diskBytes: configuredDiskBytes,
      commandLine: 'holm.first-boot-only',
      network: 'none',
      ports: [],
      shares: [],
      restart: { name: 'no' },
      labels: {},
    },
  });
  undo.defer(() => creation.erase(helper));
  onProgress('Configuring the packages of the image, once');
  const process = helper.containerId!;
  await facilities.containers.start(process, {});
  const ended = facilities.containers.wait(process, 'not-running', { signal });
  const log = facilities.containers.find(process)!.logPath;
  const { last, code } = await follow(log, ended, signal, onProgress).catch((error: unknown) => {
    if (!tooLate.aborted) throw error;
    throw new HolmError(
      'timeout',
      `Cannot configure the packages of image "${machine.config.image}": it took too long`,
    );
  });
  if (code !== 0) {
    const why = endReasonOf(code, false);
    throw new HolmError(
      'internal',
      `Cannot configure the packages of image "${machine.config.image}": its machine ended by ${why}; it said last:\n${last.join('\n')}`,
    );
  }
  await rename(`${directoryOf(facilities, helper)}/disk`, fresh);
}

async function follow(
  log: string,
  ended: Promise<{ code: number }>,
  signal: AbortSignal,
  onProgress: (what: string) => void,
): Promise<{ last: string[]; code: number }> {
  const last = await readProgress(log, ended, signal, onProgress);
  return { last, code: (await ended).code };
}

/** Tells the steps of the first boot as the console shows them; gives the console's last lines. */
async function readProgress(
  path: string,
  ended: Promise<unknown>,
  signal: AbortSignal,
  onProgress: (what: string) => void,
): Promise<string[]> {
  const settled = ended.catch(() => undefined);
  const log = readLog(path, { stdout: true, stderr: true, timestamps: false, framed: false }, settled, signal);
  let last: string[] = [];
  for await (const line of createInterface({ input: log })) {
    const text = line.trimEnd();
    const found = step.exec(text);
    if (found) onProgress(`Configuring the packages of the image, once: ${found[1]}`);
    if (text !== '') last = [...last, text].slice(-linesTold);
  }
  return last;
}
