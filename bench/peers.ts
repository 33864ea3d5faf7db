// The peers: other engines and runtimes, as found on PATH. None is needed; what is missing is named with how to get it.
import { existsSync } from 'node:fs';
import { chmod, rm, writeFile } from 'node:fs/promises';
import { command, output } from '../scripts/command.ts';
import { findProgram, updatePackageLists } from '../scripts/debian.ts';
import { fetchNewestCrun, findNewestCrun } from './newest-crun.ts';

/** A program of others and the Debian package that brings it. */
interface Peer {
  readonly name: string;
  readonly package: string;
  /** Programs it cannot do without. */
  readonly needs: readonly string[];
  /** systemd units that its package would have started at every boot. */
  readonly units: readonly string[];
}

const peers: readonly Peer[] = [
  {
    name: 'dockerd',
    package: 'docker.io',
    needs: ['containerd', 'runc', 'iptables'],
    units: ['docker.service', 'docker.socket', 'containerd.service'],
  },
  {
    name: 'podman',
    package: 'podman',
    needs: ['conmon'],
    units: [
      'podman.service',
      'podman.socket',
      'podman-restart.service',
      'podman-auto-update.service',
      'podman-auto-update.timer',
    ],
  },
  { name: 'runc', package: 'runc', needs: [], units: [] },
  { name: 'crun', package: 'crun', needs: [], units: [] },
];

/** Further packages without which the above do not get far. */
const companions = ['netavark', 'iptables'];

/** crun as Debian will have it, beside the installed one. */
const newest = 'crun-sid';

export interface FoundPeer {
  readonly name: string;
  readonly path: string;
  readonly version: string;
  /** Shell command before it runs, in a mount namespace of its own. */
  readonly setUp?: string;
}

export interface Peers {
  readonly found: readonly FoundPeer[];
  /** A sentence for each that is missing. */
  readonly missing: readonly string[];
}

/** Looks for the peers; `only` limits which. */
export async function findPeers(only?: readonly string[]): Promise<Peers> {
  const found: FoundPeer[] = [];
  const missing: string[] = [];
  for (const peer of peers.filter(({ name }) => only === undefined || only.includes(name))) {
    const path = findProgram(peer.name);
    const lacking = [peer.name, ...peer.needs].filter((name) => findProgram(name) === undefined);
    if (path !== undefined && lacking.length === 0) {
      const { stdout } = await command([path, '--version'], { timeoutMs: 10_000 });
      found.push({ name: peer.name, path, version: /\d+\.\d+(\.\d+)*/.exec(stdout)?.[0] ?? '' });
    } else {
      missing.push(
        `${peer.name} is not measured: ${lacking.join(', ')} not found (apt-get install ${peer.package}, or --install-peers)`,
      );
    }
  }
  if (only === undefined || only.includes(newest)) {
    const crun = await findNewestCrun();
    if (crun !== undefined) found.push({ name: newest, path: 'crun', ...crun });
    else missing.push(`${newest} is not measured: not fetched yet (--install-peers)`);
  }
  return { found, missing };
}

const policy = '/usr/sbin/policy-rc.d';

/** Installs the peers from Debian's packages; no service of theirs is started, now or at the next boot. */
export async function installPeers(): Promise<void> {
  await installPackages();
  await fetchNewestCrun().catch((error: unknown) => {
    console.log(`crun of sid cannot be fetched: ${error instanceof Error ? error.message : error}`);
  });
}

async function installPackages(): Promise<void> {
  const missing = peers.filter((peer) => [peer.name, ...peer.needs].some((name) => findProgram(name) === undefined));
  if (missing.length === 0) return;
  console.log(`Installing ${missing.map((peer) => peer.package).join(', ')} …`);
  const hadPolicy = existsSync(policy);
  try {
    if (!hadPolicy) {
      // Asked by every package before it starts a service; 101 is "forbidden".
      await writeFile(policy, '#!/bin/sh\nexit 101\n');
      await chmod(policy, 0o755);
    }
    await updatePackageLists();
    const names = missing.map((peer) => peer.package);
    const options = ['-y', '-qq', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=120'];
    await output(['apt-get', 'install', ...options, ...names, ...companions], {
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C.UTF-8' },
    });
  } finally {
    if (!hadPolicy) await rm(policy, { force: true });
  }
  const units = missing.flatMap((peer) => peer.units);
  if (findProgram('systemctl') !== undefined && units.length > 0) await command(['systemctl', 'disable', ...units]);
}
