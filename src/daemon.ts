// holmd: reads its configuration, opens the engine, opens the door, and leaves on SIGTERM or SIGINT. Guests stay.
import { writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { flushCompileCache } from 'node:module';
import { setFlagsFromString } from 'node:v8';
import { serve } from './api/server.ts';
import { fullMessageOf } from './base/error.ts';
import { log, setLogLevel } from './base/log.ts';
import { describeConfiguration, readConfiguration } from './engine/configuration.ts';
import { Engine } from './engine/engine.ts';

process.title = 'holmd';
// A mistake in one place must not end the engine of all guests.
process.on('unhandledRejection', (error) =>
  log('error', 'A failure that nobody awaited', { error: fullMessageOf(error) }),
);

/**
 * The heap is collected when it has grown by a fifth: 300 containers then take 86 to 96 MB and not 110 to 125. What was not
 * called for a while stays compiled: that saves a fourteenth of the CPU time of a container's life. Given to Node at its
 * start, these would have V8 refuse the code that Node and the cache bring compiled.
 */
const lastingFlags = ['--heap-growing-percent=20', '--no-flush-bytecode'] as const;

async function main(): Promise<void> {
  if (process.argv.includes('--help')) {
    process.stdout.write(describeConfiguration());
    return;
  }
  const configuration = readConfiguration(process.argv.slice(2), process.env);
  setLogLevel(configuration.logLevel);
  await using engine = await Engine.open(configuration, () => {
    log('error', 'holmd cannot go on: its keeper has left; guests go on');
    process.exit(1);
  });
  const server = await serve(engine, { socketPath: configuration.socketPath });
  const pidFile = `${configuration.runDirectory}/holmd.pid`;
  writeFileSync(pidFile, `${process.pid}\n`);
  log('info', 'holmd is ready', { socket: configuration.socketPath, state: configuration.stateDirectory });
  // Now, not at the exit: a daemon that is killed leaves a warm cache too.
  flushCompileCache();
  for (const flag of lastingFlags) setFlagsFromString(flag);
  const signal = await new Promise<string>((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, resolve);
  });
  log('info', 'holmd leaves; guests go on', { signal });
  await server.close();
  await rm(pidFile, { force: true });
}

// The connections to the guards of running guests would keep the process; nobody needs their ends here any more.
main().then(
  () => process.exit(0),
  (error: unknown) => {
    log('error', 'holmd cannot go on', { error: fullMessageOf(error) });
    process.exit(1);
  },
);
