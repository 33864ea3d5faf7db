// Makes the page in which a machine runs, build/page/: the page's script and its workers' joined from src/console/page, with
// the terminal from npm, so that the page asks nothing of any other server.
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

const root = join(import.meta.dirname, '..');
const source = join(root, 'src/console/page');

/** Builds the page; gives its directory. */
export async function buildPage(): Promise<string> {
  const outdir = join(root, 'build/page');
  mkdirSync(outdir, { recursive: true });
  await build({
    entryPoints: ['page.ts', 'hart-worker.ts', 'page.css'].map((name) => join(source, name)),
    outdir,
    bundle: true,
    minify: true,
    platform: 'browser',
    target: 'es2022',
    format: 'esm',
    tsconfig: join(source, 'tsconfig.json'),
    logLevel: 'warning',
  });
  copyFileSync(join(source, 'index.html'), join(outdir, 'index.html'));
  return outdir;
}

if (import.meta.main) console.log(await buildPage());
