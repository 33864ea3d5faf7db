// Bodies of requests: read whole with a limit, and JSON out of them. Long ones (archives) are streams, not read here.
import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { HolmError, messageOf } from '../base/error.ts';
import { Fields, noFields } from './fields.ts';

/** More than any request of Docker's clients; create requests have a few KiB. */
const longestJsonBytes = 4 * 1024 * 1024;

/** All bytes of a stream; throws `invalid` beyond the limit. */
export async function readBytes(stream: Readable, longest: number = longestJsonBytes): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > longest) throw new HolmError('invalid', `Cannot read the request's body: longer than ${longest} bytes`);
    chunks.push(chunk);
  }
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
}

/** The JSON object of a body; nothing asked when the body is empty. */
export function parseJsonBody(bytes: Buffer): Fields {
  if (bytes.length === 0) return noFields;
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw new HolmError('invalid', `invalid JSON: ${messageOf(cause)}`);
  }
  return value === null ? noFields : new Fields(value);
}

/** The JSON object of a request. */
export async function readJson(request: IncomingMessage): Promise<Fields> {
  const length = request.headers['content-length'];
  if (length === '0' || (length === undefined && request.headers['transfer-encoding'] === undefined)) return noFields;
  const type = request.headers['content-type'];
  if (type !== undefined && !/^application\/json\s*(;|$)/i.test(type))
    throw new HolmError('invalid', `unsupported Content-Type header (${type}): must be 'application/json'`);
  return parseJsonBody(await readBytes(request));
}
