// One line of comma-separated values (RFC 4180): fields may be quoted, "" is a quote within quotes.
import { HolmError } from '../../base/error.ts';

export function parseCsv(line: string): string[] {
  const fields: string[] = [];
  let at = 0;
  for (;;) {
    let field: string;
    if (line[at] === '"') {
      const match = /"((?:[^"]|"")*)"(?=,|$)/y;
      match.lastIndex = at;
      const found = match.exec(line);
      if (found === null) throw new HolmError('invalid', `Cannot read "${line}": unbalanced quotes`);
      field = found[1]!.replaceAll('""', '"');
      at += found[0].length;
    } else {
      const end = line.indexOf(',', at);
      field = line.slice(at, end < 0 ? undefined : end);
      at += field.length;
    }
    fields.push(field);
    if (at >= line.length) return fields;
    at++;
  }
}
