// `holm explain run`: what the kernel would be asked for this container, step by step and why; nothing is run.
// POST /holm/explain with the body of containers/create, answered by an Explanation.
import type { Explanation } from '../../api/backend.ts';
import type { Invocation } from '../command.ts';
import { compileTemplate } from '../format/template.ts';
import { createBody } from '../run/body.ts';
import { windowSize } from '../terminal.ts';

export async function explainRun({ flags, positionals, client }: Invocation): Promise<number> {
  const size = flags.bool('tty') ? windowSize() : undefined;
  const detach = flags.bool('detach');
  const json = createBody(flags, positionals[0]!, positionals.slice(1), { detach, size });
  const query = { name: flags.has('name') ? flags.text('name') : undefined };
  const explanation = await client.json<Explanation>('POST', '/holm/explain', { query, json });
  const format = flags.text('format');
  if (format === 'json') process.stdout.write(`${JSON.stringify(explanation, undefined, 2)}\n`);
  else if (format !== '') process.stdout.write(`${compileTemplate(format)(explanation)}\n`);
  else process.stdout.write(formatExplanation(explanation, process.stdout.isTTY ? process.stdout.columns || 80 : 120));
  return 0;
}

/** Sections with numbered steps: the call, what it does, then why on a line of its own. */
export function formatExplanation({ sections }: Explanation, columns: number): string {
  const total = sections.reduce((sum, section) => sum + section.steps.length, 0);
  const callWidth = Math.min(
    20,
    Math.max(4, ...sections.flatMap(({ steps }) => steps.map((step) => step.call.length))),
  );
  const margin = String(total).length + 2;
  const indent = ' '.repeat(margin + callWidth + 2);
  const width = Math.max(30, columns - indent.length);
  let number = 0;
  const texts = sections.map(({ title, steps }) => {
    const lines = steps.map(({ call, what, why, tolerated }) => {
      number++;
      const head = `${`${number}.`.padStart(margin - 1)} ${call.padEnd(callWidth)}`;
      const notes = [why, tolerated === '' ? '' : `may fail with ${tolerated}`].filter((note) => note !== '');
      const first = wrap(what, width);
      const rest =
        notes.length === 0
          ? []
          : wrap(notes.join('; '), width - 2).map((line, at) => `${at === 0 ? '↳ ' : '  '}${line}`);
      return `${head}  ${[...first, ...rest].join(`\n${indent}`)}`.trimEnd();
    });
    return `${title}\n${lines.join('\n')}\n`;
  });
  return `${texts.join('\n')}\n${total} steps in ${sections.length} programs\n`;
}

/** Breaks at spaces; a word longer than a line stands alone. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/)) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  lines.push(line);
  return lines;
}
