// Reading the log that a guard writes: docker's json-file lines, {"log":"…","stream":"stdout","time":"…Z"}, in files
// `log.N` … `log.1`, `log` (oldest first). Lines without escapes are cut out of the bytes as they stand; that is nearly all.
import { closeSync, existsSync, fstatSync, openSync, readSync, statSync, watch } from 'node:fs';
import { Readable } from 'node:stream';
import { formatTime, parseTime } from '../base/clock.ts';

export interface LogQuery {
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly timestamps: boolean;
  readonly since?: bigint;
  readonly until?: bigint;
  /** Lines from the end; undefined for all. */
  readonly tail?: number;
  /** Each line in docker's 8-byte frame. */
  readonly framed: boolean;
}

const chunkBytes = 256 * 1024;
const newline = 10;
const backslash = 92;
const prefix = Buffer.from('{"log":"');
const stdoutMark = Buffer.from('","stream":"stdout","time":"');
const stderrMark = Buffer.from('","stream":"stderr","time":"');
const pollMs = 1000;

/** The lines of a log that fit the query, ready to send. With `follow` it goes on until that settles and all is read. */
export function readLog(
  path: string,
  query: LogQuery,
  follow: Promise<unknown> | undefined,
  signal: AbortSignal,
): Readable {
  return Readable.from(lines(path, query, follow, signal), { objectMode: false, highWaterMark: 1 << 20 });
}

async function* lines(
  path: string,
  query: LogQuery,
  follow: Promise<unknown> | undefined,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const format = new LineFormat(query);
  const files = logFiles(path);
  const from = query.tail === undefined ? { file: 0, offset: 0 } : tailPosition(files, query);
  let current: number | undefined;
  try {
    for (const [at, file] of files.entries()) {
      if (at < from.file) continue;
      const fd = openSync(file, 'r');
      if (at === files.length - 1) current = fd;
      const cursor = { fd, offset: at === from.file ? from.offset : 0, rest: Buffer.alloc(0) as Buffer };
      try {
        yield* readRest(cursor, format, signal);
        if (at === files.length - 1 && follow !== undefined) yield* followFile(path, cursor, format, follow, signal);
      } finally {
        closeSync(cursor.fd);
        current = undefined;
      }
      if (format.isPast || signal.aborted) return;
    }
    if (files.length === 0 && follow !== undefined) {
      await Promise.race([follow, aborted(signal)]);
      yield* lines(path, query, undefined, signal);
    }
  } finally {
    if (current !== undefined) closeSync(current);
  }
}

interface Cursor {
  fd: number;
  offset: number;
  rest: Buffer;
}

async function* readRest(cursor: Cursor, format: LineFormat, signal: AbortSignal): AsyncGenerator<Buffer> {
  for (;;) {
    if (signal.aborted) return;
    const chunk = Buffer.allocUnsafe(chunkBytes);
    const length = readSync(cursor.fd, chunk, 0, chunkBytes, cursor.offset);
    if (length === 0) return;
    cursor.offset += length;
    const bytes =
      cursor.rest.length === 0 ? chunk.subarray(0, length) : Buffer.concat([cursor.rest, chunk.subarray(0, length)]);
    const end = bytes.lastIndexOf(newline) + 1;
    cursor.rest = bytes.subarray(end);
    const out = format.convert(bytes.subarray(0, end));
    if (out.length > 0) yield out;
    if (format.isPast) return;
  }
}

async function* followFile(
  path: string,
  cursor: Cursor,
  format: LineFormat,
  follow: Promise<unknown>,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  let ended = false;
  let wake = Promise.withResolvers<void>();
  const ring = () => wake.resolve();
  const end = () => {
    ended = true;
    ring();
  };
  follow.then(end, end);
  signal.addEventListener('abort', end, { once: true });
  const watcher = watch(path, ring);
  watcher.on('error', ring);
  // Rotation renames the file, so a watch on the name alone may miss what comes after it.
  const timer = setInterval(ring, pollMs);
  try {
    for (;;) {
      const last = ended;
      yield* readRest(cursor, format, signal);
      const next = rotated(path, cursor);
      if (next !== undefined) {
        closeSync(cursor.fd);
        Object.assign(cursor, { fd: next, offset: 0, rest: Buffer.alloc(0) });
        continue;
      }
      if (last || format.isPast || signal.aborted) return;
      await wake.promise;
      wake = Promise.withResolvers<void>();
    }
  } finally {
    clearInterval(timer);
    watcher.close();
    signal.removeEventListener('abort', end);
  }
}

/** A descriptor of the newer file if the log was rotated under the cursor, which has read its own to the end. */
function rotated(path: string, cursor: Cursor): number | undefined {
  const now = statSync(path, { throwIfNoEntry: false });
  if (now === undefined || now.ino === fstatSync(cursor.fd).ino) return undefined;
  return openSync(path, 'r');
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** All files of a log, oldest first. */
export function logFiles(path: string): string[] {
  const files = existsSync(path) ? [path] : [];
  for (let number = 1; existsSync(`${path}.${number}`); number++) files.unshift(`${path}.${number}`);
  return files;
}

/** Turns whole json lines to what a client gets. Keeps what one line leaves for the next. */
class LineFormat {
  readonly #query: LogQuery;
  readonly #line = new LineCursor();
  /** A line later than `until` was seen. */
  isPast = false;

  constructor(query: LogQuery) {
    this.#query = query;
  }

  convert(bytes: Buffer): Buffer {
    const { framed, timestamps } = this.#query;
    const line = this.#line;
    const out = Buffer.allocUnsafe(bytes.length + 64);
    let to = 0;
    let at = 0;
    while (at < bytes.length && !this.isPast) {
      const end = bytes.indexOf(newline, at);
      const isLine = line.read(bytes, at, end);
      at = end + 1;
      if (!isLine || !this.#isWanted(line)) continue;
      const length = line.length + (timestamps ? timeBytes + 1 : 0);
      if (framed) to = writeFrame(out, to, line.isStderr ? 2 : 1, length);
      if (timestamps) {
        to += out.write(line.time(), to, 'latin1');
        out[to++] = space;
      }
      to = line.writeText(out, to);
    }
    return out.subarray(0, to);
  }

  #isWanted(line: LineCursor): boolean {
    const { stdout, stderr, since, until } = this.#query;
    if (!(line.isStderr ? stderr : stdout)) return false;
    if (since === undefined && until === undefined) return true;
    const time = parseTime(line.time()) ?? 0n;
    if (until !== undefined && time > until) {
      this.isPast = true;
      return false;
    }
    return since === undefined || time >= since;
  }
}

/** docker's frame header: the stream, three zeros, the length. */
function writeFrame(out: Buffer, at: number, stream: number, length: number): number {
  out[at] = stream;
  out[at + 1] = 0;
  out[at + 2] = 0;
  out[at + 3] = 0;
  out[at + 4] = length >>> 24;
  out[at + 5] = length >>> 16;
  out[at + 6] = length >>> 8;
  out[at + 7] = length;
  return at + 8;
}

const space = 32;
const quote = 34;
const letterE = 101;
const letterN = 110;
const letterO = 111;
const closingBrace = 125;
/** The text of what precedes the time is as long for both streams. */
const middle = Buffer.from('","stream":"stdout","time":"');
const streamAt = '","stream":"std'.length;
const timeBytes = '2026-01-31T12:00:00.123456789Z'.length;
const tailBytes = middle.length + timeBytes + 2;
/** A native copy costs more than so many bytes by hand. */
const shortText = 24;

/** One json line, read in place. The guard's own lines have a tail of fixed length; any other form goes through JSON.parse. */
class LineCursor {
  isStderr = false;
  length = 0;
  #bytes: Buffer = Buffer.alloc(0);
  #start = 0;
  #escapedEnd = false;
  #timeAt = 0;
  #slowTime: string | undefined;

  /** Takes the line between two offsets; false if it is none. */
  read(bytes: Buffer, start: number, end: number): boolean {
    const mark = end - tailBytes;
    const textStart = start + prefix.length;
    if (mark < textStart || bytes[end - 1] !== closingBrace || !this.#hasMiddle(bytes, mark)) {
      return this.#readSlowly(bytes.toString('utf8', start, end));
    }
    // The usual line has nothing escaped but its end.
    const firstEscape = bytes.indexOf(backslash, textStart);
    const plainEnd = firstEscape === -1 || firstEscape >= mark ? mark : firstEscape;
    this.#escapedEnd = plainEnd === mark - 2 && bytes[mark - 1] === letterN;
    if (plainEnd !== mark && !this.#escapedEnd) return this.#readSlowly(bytes.toString('utf8', start, end));
    this.isStderr = bytes[mark + streamAt] === letterE;
    this.length = plainEnd - textStart + (this.#escapedEnd ? 1 : 0);
    this.#bytes = bytes;
    this.#start = textStart;
    this.#timeAt = mark + middle.length;
    this.#slowTime = undefined;
    return true;
  }

  /** Quotes within the text are escaped, so these can only be the record's own. */
  #hasMiddle(bytes: Buffer, mark: number): boolean {
    const stream = bytes[mark + streamAt];
    return (
      bytes[mark] === quote &&
      bytes[mark + 2] === quote &&
      bytes[mark + 9] === quote &&
      bytes[mark + 11] === quote &&
      (stream === letterO || stream === letterE) &&
      bytes[mark + middle.length - 1] === quote
    );
  }

  #readSlowly(text: string): boolean {
    const line = parseSlowly(text);
    if (line === undefined) return false;
    this.isStderr = line.stderr;
    this.length = line.text.length;
    this.#bytes = line.text;
    this.#start = 0;
    this.#escapedEnd = false;
    this.#slowTime = line.time;
    return true;
  }

  time(): string {
    return this.#slowTime ?? this.#bytes.toString('latin1', this.#timeAt, this.#timeAt + timeBytes);
  }

  /** Writes the text; gives the offset behind it. */
  writeText(out: Buffer, at: number): number {
    const copied = this.#escapedEnd ? this.length - 1 : this.length;
    if (copied > shortText) this.#bytes.copy(out, at, this.#start, this.#start + copied);
    else for (let i = 0; i < copied; i++) out[at + i] = this.#bytes[this.#start + i]!;
    if (this.#escapedEnd) out[at + copied] = newline;
    return at + this.length;
  }
}

function parseSlowly(text: string): { text: Buffer; stderr: boolean; time: string } | undefined {
  try {
    const { log, stream, time } = JSON.parse(text) as Record<string, unknown>;
    if (typeof log !== 'string' || typeof stream !== 'string' || typeof time !== 'string') return undefined;
    const nanos = parseTime(time);
    return nanos === undefined
      ? undefined
      : { text: Buffer.from(log), stderr: stream === 'stderr', time: formatTime(nanos) };
  } catch {
    return undefined;
  }
}

/** Where the last `tail` lines begin that the query wants. */
function tailPosition(files: readonly string[], query: LogQuery): { file: number; offset: number } {
  let wanted = query.tail ?? 0;
  if (wanted <= 0) return { file: files.length - 1, offset: sizeOf(files.at(-1)) };
  const onlyOne = query.stdout !== query.stderr;
  const unwanted = query.stdout ? stderrMark : stdoutMark;
  for (let file = files.length - 1; file >= 0; file--) {
    const fd = openSync(files[file]!, 'r');
    try {
      let end = fstatSync(fd).size;
      let rest: Buffer = Buffer.alloc(0);
      while (end > 0) {
        const start = Math.max(0, end - chunkBytes);
        const chunk = Buffer.allocUnsafe(end - start);
        readSync(fd, chunk, 0, chunk.length, start);
        const bytes = Buffer.concat([chunk, rest]);
        let lineEnd = bytes.lastIndexOf(newline);
        while (lineEnd >= 0) {
          const before = lineEnd === 0 ? -1 : bytes.lastIndexOf(newline, lineEnd - 1);
          if (before === -1 && start > 0) break;
          const line = bytes.subarray(before + 1, lineEnd);
          if (!(onlyOne && line.includes(unwanted)) && --wanted === 0) return { file, offset: start + before + 1 };
          lineEnd = before;
        }
        rest = bytes.subarray(0, lineEnd + 1);
        end = start;
      }
    } finally {
      closeSync(fd);
    }
  }
  return { file: 0, offset: 0 };
}

function sizeOf(path: string | undefined): number {
  return path === undefined ? 0 : statSync(path).size;
}
