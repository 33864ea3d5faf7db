// npm run bench -- start: measures how fast containers start and all that goes with it, beside the kernel's floor and beside
// every peer found on this machine. docs: `npm run bench -- start --help`.
import { join } from 'node:path';
import { removeOldRemains, runEnclosed } from './enclosure.ts';
import { describeOptions, readOptions } from './options.ts';
import { installPeers } from './peers.ts';

try {
  process.exitCode = await bench(process.argv.slice(2));
} catch (error) {
  console.error(`holm: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}

async function bench([name, ...args]: readonly string[]): Promise<number> {
  const options = readOptions(args);
  if (name !== 'start' || options.help) {
    console.log(describeOptions());
    return options.help ? 0 : 2;
  }
  if (process.getuid?.() !== 0) throw new Error('Measuring takes root. Run: sudo npm run bench -- start');
  if (options.installPeers) await installPeers();
  await removeOldRemains();
  return await runEnclosed(join(import.meta.dirname, 'start/run.ts'), args);
}
