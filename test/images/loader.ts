// A process that loads one archive into the stores of a directory, over and over, until it is killed. For kill.test.ts.
import { createReadStream } from 'node:fs';
import { TestStores } from './stores.ts';

const [directory, ...archives] = process.argv.slice(2);
const stores = await TestStores.open(directory);
process.stdout.write('open\n');
for (let round = 0; ; round++) {
  const names = await stores.images.load(createReadStream(archives[round % archives.length]!), () => undefined);
  if (round % 2 === 1) for (const name of names) await stores.images.remove(name, { force: true, prune: true });
  process.stdout.write('turn\n');
}
