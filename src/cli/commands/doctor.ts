// `holm doctor`: looks at this host without the daemon. Exit code 1 only when something required is lacking.
import type { Invocation } from '../command.ts';
import type { Check, Finding } from '../doctor/check.ts';
import { thisHost } from '../doctor/host.ts';
import { kernelChecks } from '../doctor/kernel-checks.ts';
import { programChecks } from '../doctor/program-checks.ts';
import { storageChecks } from '../doctor/storage-checks.ts';

type Row = Check & Finding;

const sections: Readonly<Record<Check['section'], string>> = {
  host: 'Host',
  kernel: 'Kernel',
  network: 'Network',
  storage: 'Storage',
  machines: 'Machines',
  programs: 'Programs',
};

const green = 32;
const yellow = 33;
const red = 31;

export async function doctor({ flags, host }: Invocation): Promise<number> {
  const facts = thisHost(host);
  const checks = [...kernelChecks, ...storageChecks, ...programChecks];
  const rows = await Promise.all(
    checks.map(async (check): Promise<Row> => ({ ...check, ...(await check.look(facts)) })),
  );
  const lacking = rows.filter((row) => row.required && row.state === 'lacks');
  if (flags.text('format') === 'json') {
    const shown = rows.map(({ look: _look, ...row }) => row);
    process.stdout.write(`${JSON.stringify(shown, undefined, 2)}\n`);
  } else process.stdout.write(formatRows(rows, process.stdout.isTTY === true));
  return lacking.length > 0 ? 1 : 0;
}

/** One line a check, with what it is for; what is not ok is followed by how to get it. */
export function formatRows(rows: readonly Row[], coloured: boolean): string {
  const nameWidth = Math.max(...rows.map((row) => row.name.length)) + 2;
  const paint = ({ state, required }: Row) => {
    const colour = state === 'ok' ? green : state === 'lacks' && required ? red : yellow;
    return coloured ? `\x1b[${colour}m${state.padEnd(5)}\x1b[0m` : state.padEnd(5);
  };
  const indent = ' '.repeat(2 + 5 + 2 + nameWidth);
  const texts = (Object.keys(sections) as Check['section'][]).map((section) => {
    const lines = rows
      .filter((row) => row.section === section)
      .map((row) => {
        const help = row.state === 'ok' ? '' : `\n${indent}get it: ${row.remedy}`;
        return `  ${paint(row)}  ${row.name.padEnd(nameWidth)}${row.detail} (for ${row.purpose})${help}`;
      });
    return `${sections[section]}\n${lines.join('\n')}\n`;
  });
  const lacking = rows.filter((row) => row.required && row.state === 'lacks').map((row) => row.name);
  const verdict =
    lacking.length === 0 ? 'This host can run containers.' : `This host cannot run containers: ${lacking.join(', ')}.`;
  return `${texts.join('\n')}\n${verdict}\n`;
}
