// `holm image from-debian`: holmd makes an image of a Debian suite with debootstrap; its progress is shown as it comes.
// POST /holm/images/from-debian?suite=&include=&arch=&init=&kernel=&tag=, answered by lines {"id","status","currentBytes","totalBytes"},
// then {"image": id} or {"error": text}.
import { HolmError } from '../../base/error.ts';
import type { Invocation } from '../command.ts';
import { ProgressLines, type ProgressStep } from '../format/progress.ts';

type Line = ProgressStep | { readonly image: string } | { readonly error: string };

export async function fromDebian({ flags, positionals, client }: Invocation): Promise<number> {
  const suite = positionals[0]!;
  const arch = flags.text('arch');
  const tag = flags.text('tag') || `debian:${suite}${arch === '' ? '' : `-${arch}`}`;
  const quiet = flags.bool('quiet');
  const include = flags.list('include').join(',');
  const query = {
    suite,
    tag,
    include: include || undefined,
    arch: arch || undefined,
    init: flags.text('init') || undefined,
    kernel: flags.bool('kernel') || undefined,
  };
  const progress = quiet ? undefined : new ProgressLines(process.stderr);
  let image: string | undefined;
  try {
    for await (const line of client.jsonLines<Line>('POST', '/holm/images/from-debian', { query })) {
      if ('error' in line) throw new HolmError('internal', `Error response from daemon: ${line.error}`);
      if ('image' in line) image = line.image;
      else progress?.show(line);
    }
  } finally {
    progress?.finish();
  }
  if (image === undefined)
    throw new HolmError('unavailable', `Cannot make image "${tag}": holmd closed the connection`);
  process.stdout.write(quiet ? `${image}\n` : `${image}\nTagged: ${tag}\n`);
  return 0;
}
