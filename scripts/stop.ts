// npm stop: ends holmd. Its guests run on, and the next holmd finds them; `npm stop -- --all` ends them first.
import { daemonPaths, findDaemon, stopDaemon } from './daemon-process.ts';
import { call, ping } from './engine-client.ts';
import { step } from './step.ts';

interface Guest {
  readonly name: string;
  /** What is asked of holmd to stop it. */
  readonly stop: string;
}

try {
  const pid = findDaemon();
  if (pid === undefined) {
    console.log('holmd does not run.');
  } else {
    const all = process.argv.includes('--all');
    const guests = await runningGuests();
    const names = guests.map(({ name }) => name);
    if (all && guests.length > 0) await step('guests', () => stopGuests(guests));
    await step('holmd', async () => {
      await stopDaemon(pid);
      return `${pid} ended`;
    });
    if (!all && names.length > 0) {
      console.log(
        `Still running: ${names.join(', ')}. \`npm start\` finds them again; \`npm stop -- --all\`, then, ends them too.`,
      );
    }
  }
} catch (error) {
  console.error(`holm: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}

// A daemon that does not answer can still be ended.
async function runningGuests(): Promise<readonly Guest[]> {
  if (!(await ping(daemonPaths.socket))) return [];
  const get = async (path: string): Promise<unknown> => (await call(daemonPaths.socket, 'GET', path)) ?? [];
  const containers = (await get('/containers/json')) as readonly { Id: string; Names: readonly string[] }[];
  const machines = (await get('/holm/machines')) as readonly { id: string; name: string; state: { is: string } }[];
  return [
    ...containers.map(({ Id, Names }) => ({
      name: Names[0]?.slice(1) ?? Id.slice(0, 12),
      stop: `/containers/${Id}/stop`,
    })),
    ...machines
      .filter(({ state }) => state.is === 'running' || state.is === 'paused')
      .map(({ id, name }) => ({ name: `machine ${name}`, stop: `/holm/machines/${id}/stop` })),
  ];
}

async function stopGuests(guests: readonly Guest[]): Promise<string> {
  // A machine has a minute to power off.
  await Promise.all(guests.map(({ stop }) => call(daemonPaths.socket, 'POST', stop, { timeoutMs: 120_000 })));
  return `stopped ${guests.map(({ name }) => name).join(', ')}`;
}
