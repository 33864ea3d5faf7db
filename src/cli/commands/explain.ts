// `holm explain run`: what the kernel would be asked for this container, step by step and why; nothing is run.
// POST /holm/explain with the body of containers/create, answered by an Explanation.
import type { Explanation } from '../../engine/explain.ts';
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

/** Sections of numbered steps: in words, then the call itself, then why and which failure is none. */
export function formatExplanation({ sections }: Explanation, columns: number): string {
  const total = sections.reduce((sum, section) => sum + section.steps.length, 0);
  const margin = String(total).length + 2;
  const indent = ' '.repeat(margin);
  const width = Math.max(30, columns - margin);
  let number = 0;
  const texts = sections.map(({ title, steps }) => {
    const lines = steps.flatMap(({ call, what, why, tolerated }) => {
      number++;
      const reason = [why, tolerated].filter((note) => note !== '').join('; ');
      const [first = '', ...rest] = wrap(what, width);
      return [
        `${`${number}.`.padStart(margin - 1)} ${first}`,
        ...[...rest, ...wrap(call, width - 4).map((line) => `    ${line}`)].map((line) => indent + line),
        ...(reason === ''
          ? []
          : wrap(reason, width - 2).map((line, at) => `${indent}${at === 0 ? '↳ ' : '  '}${line}`)),
      ];
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
