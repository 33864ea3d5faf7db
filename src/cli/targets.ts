// Commands that do the same to each of their arguments: each is tried, a failure is told and the rest goes on.
import { messageOf } from '../base/error.ts';

/** Prints the argument, or what `work` gives for it, as each ends; exit code 1 if any failed. */
export async function forEach(
  targets: readonly string[],
  work: (target: string) => Promise<unknown>,
  print: (target: string, result: unknown) => string = (target) => target,
): Promise<number> {
  let code = 0;
  const started = targets.map((target) =>
    work(target).then(
      (result) => ({ target, result }),
      (error: unknown) => ({ target, error }),
    ),
  );
  for (const pending of started) {
    const done = await pending;
    if ('error' in done) {
      process.stderr.write(`${messageOf(done.error)}\n`);
      code = 1;
    } else process.stdout.write(`${print(done.target, done.result)}\n`);
  }
  return code;
}
