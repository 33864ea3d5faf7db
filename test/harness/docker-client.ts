// The unmodified docker client for the tests: the one on PATH, or else the one in Debian's packages (the program only;
// no daemon is installed or started). It is kept for the next run.
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { findProgram, takeFromPackage } from '../../scripts/debian.ts';

/** Kept between runs: the docker client, images made for the tests. Nothing here is needed but for speed. */
export const cacheDirectory: string = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'holm/tests');

/** Path of a docker client, which is fetched if there is none. */
export async function dockerClient(): Promise<string> {
  const installed = findProgram('docker');
  if (installed !== undefined) return installed;
  const kept = join(cacheDirectory, 'docker');
  if (!existsSync(kept)) await takeFromPackage(['docker-cli', 'docker.io'], 'usr/bin/docker', kept);
  return kept;
}
