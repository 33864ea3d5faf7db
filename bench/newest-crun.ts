// The crun of Debian's sid beside the installed one: its package and the libraries that it names, unpacked and not installed,
// laid over /usr in the one mount namespace where it runs.
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { command, output } from '../scripts/command.ts';
import { chooseSource, readAptSources } from '../src/images/apt-sources.ts';

/** Kept between runs. Below it stands usr/bin/crun. */
const kept = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'holm/bench/newest-crun');
const suite = 'sid';

export interface NewestCrun {
  readonly version: string;
  /** Shell command that lays it over /usr. */
  readonly setUp: string;
}

/** What was unpacked earlier, if it runs here; undefined otherwise. */
export async function findNewestCrun(): Promise<NewestCrun | undefined> {
  if (!existsSync(join(kept, 'usr/bin/crun'))) return undefined;
  const setUp = `mount -t overlay overlay -o 'lowerdir=${kept}/usr:/usr' /usr`;
  const script = `${setUp} && crun --version`;
  const { code, stdout } = await command(['unshare', '--mount', '--propagation', 'private', 'sh', '-c', script]);
  const version = /version (\S+)/.exec(stdout)?.[1];
  return code === 0 && version !== undefined ? { version, setUp } : undefined;
}

/** Fetches and unpacks it, with an apt configuration of its own; does nothing if that was done. */
export async function fetchNewestCrun(): Promise<void> {
  if (existsSync(kept)) return;
  const directory = `${kept}.new`;
  rmSync(directory, { recursive: true, force: true });
  for (const made of ['lists/partial', 'cache/archives/partial', 'packages', 'content']) {
    mkdirSync(join(directory, made), { recursive: true });
  }
  const options = await writeAptConfiguration(directory);
  await output(['apt-get', ...options, 'update', '-qq']);
  const shown = await output(['apt-cache', ...options, 'show', `crun/${suite}`]);
  const depends = /^Depends: (.*)$/m.exec(shown)?.[1] ?? '';
  const names = ['crun', ...depends.split(',').map((one) => one.trim().split(/[ :(]/)[0] ?? '')].filter(Boolean);
  const packages = join(directory, 'packages');
  await output(['apt-get', ...options, 'download', '-qq', ...names], { cwd: packages });
  const unpack = 'for package in *.deb; do dpkg-deb -x "$package" ../content; done';
  await output(['sh', '-ec', unpack], { cwd: packages });
  renameSync(join(directory, 'content'), kept);
  rmSync(directory, { recursive: true });
}

// The host's own archive of Debian, for another suite; the host's lists and caches stay as they are.
async function writeAptConfiguration(directory: string): Promise<readonly string[]> {
  const codename = /^VERSION_CODENAME=(\w+)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'stable';
  const source = chooseSource(await readAptSources(), suite, codename);
  const list = join(directory, 'sources.list');
  const signed = source.signedBy.startsWith('/') ? `[signed-by=${source.signedBy}] ` : '';
  writeFileSync(list, `deb ${signed}${source.uri} ${suite} main\n`);
  const settings = {
    'Dir::Etc::sourcelist': list,
    'Dir::Etc::sourceparts': '-',
    'Dir::State::lists': join(directory, 'lists'),
    'Dir::Cache': join(directory, 'cache'),
    'APT::Sandbox::User': 'root',
    'Acquire::Languages': 'none',
  };
  return Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
}
