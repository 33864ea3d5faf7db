// npm stop: ends holmd. Its guests run on, and the next holmd finds them; `npm stop -- --all` ends them first.
import { daemonPaths, findDaemon, stopDaemon } from './daemon-process.ts';
import { call, ping } from './engine-client.ts';
import { step } from './step.ts';

interface Guest {
  readonly Id: string;
  readonly Names: readonly string[];
}

try {
  const pid = findDaemon();
  if (pid === undefined) {
    console.log('holmd does not run.');
  } else {
    const all = process.argv.includes('--all');
    const guests = await runningGuests();
    const names = guests.map((guest) => guest.Names[0]?.slice(1) ?? guest.Id.slice(0, 12));
    if (all && guests.length > 0) await step('guests', () => stopGuests(guests, names));
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
  return ((await call(daemonPaths.socket, 'GET', '/containers/json')) ?? []) as readonly Guest[];
}

async function stopGuests(guests: readonly Guest[], names: readonly string[]): Promise<string> {
  await Promise.all(guests.map(({ Id }) => call(daemonPaths.socket, 'POST', `/containers/${Id}/stop`)));
  return `stopped ${names.join(', ')}`;
}
