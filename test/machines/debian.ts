// Debian for riscv64 for the tests. Its packages and the disk of its first boot are made by the product itself, once, and kept
// in the user's cache (docs/machine-images.md), so that only the first run on a host waits for them.
import assert from 'node:assert/strict';
import { callLines } from '../../scripts/engine-client.ts';
import type { MachineHost } from './machine-host.ts';

export const debianImage = 'debian:machine';
const firstBootMs = 900_000;

/** Makes the image, and a first machine of it, so that every other one starts from a configured disk. */
export async function prepareDebian(host: MachineHost): Promise<void> {
  const query = `suite=trixie&arch=riscv64&kernel=1&tag=${debianImage}`;
  await callLines(host.daemon.socket, 'POST', `/holm/images/from-debian?${query}`, () => {});
  const made = await host.machine(['create', '--name', 'prepared', debianImage], { timeoutMs: firstBootMs });
  assert.equal(made.code, 0, made.output);
  await host.succeed(['rm', 'prepared']);
}
