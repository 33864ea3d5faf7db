// Serves the page on the loopback interface, with the headers that let its threads share memory (the HTML standard's cross-origin
// isolation), and the kernel and initial RAM disk that it starts with. Nothing but these few paths can be asked for.
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { HolmError, hasCode, messageOf } from '../base/error.ts';

/** A file that the page finds beside itself. */
export interface OfferedFile {
  /** Shown to a person. */
  readonly name: string;
  readonly content: Uint8Array;
}

export interface PageServerOptions {
  /** 0 for any that is free. */
  readonly port: number;
  readonly kernel?: OfferedFile;
  readonly initrd?: OfferedFile;
}

export interface PageServer {
  /** The page's address. */
  readonly url: string;
  close(): Promise<void>;
}

const directory = fileURLToPath(new URL('../../build/page/', import.meta.url));
const kinds: Readonly<Record<string, string>> = {
  'index.html': 'text/html; charset=utf-8',
  'page.js': 'text/javascript; charset=utf-8',
  'hart-worker.js': 'text/javascript; charset=utf-8',
  'page.css': 'text/css; charset=utf-8',
};
const headers = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Resource-Policy': 'same-origin',
  // The page compiles WebAssembly, its terminal sets styles, its icon is empty; all else comes from here.
  'Content-Security-Policy':
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src data:",
  'X-Content-Type-Options': 'nosniff',
  'Cache-Control': 'no-cache',
};

/** Serves until it is closed. Throws `unavailable` when the page is not built, `conflict` when the port is taken. */
export async function servePage(options: PageServerOptions): Promise<PageServer> {
  await stat(`${directory}index.html`).catch((cause: unknown) => {
    throw new HolmError('unavailable', `Cannot serve the page: it is not built, "npm run build" does that`, { cause });
  });
  const offered = new Map<string, OfferedFile>();
  if (options.kernel) offered.set('/machine/kernel', options.kernel);
  if (options.initrd) offered.set('/machine/initrd', options.initrd);
  const server = createServer((request, response) => {
    answer(request, response, offered).catch(() => response.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      const kind = hasCode(cause, 'EADDRINUSE') ? 'conflict' : 'unavailable';
      reject(new HolmError(kind, `Cannot serve the page at port ${options.port}: ${messageOf(cause)}`, { cause }));
    });
    server.listen(options.port, '127.0.0.1', resolve);
  });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : options.port;
  return {
    url: `http://127.0.0.1:${port}/`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  offered: ReadonlyMap<string, OfferedFile>,
): Promise<void> {
  const refuse = (status: number): void => {
    response.writeHead(status, headers).end();
  };
  // Another site's page whose name was made to lead here asks under that name.
  if (!/^(?:127\.0\.0\.1|localhost)(?::\d+)?$/.test(request.headers.host ?? '')) return refuse(403);
  const isHead = request.method === 'HEAD';
  if (!isHead && request.method !== 'GET') return refuse(405);
  const path = (request.url ?? '').replace(/\?.*$/, '');
  const file = offered.get(path);
  if (file !== undefined) {
    response.writeHead(200, {
      ...headers,
      'Content-Type': 'application/octet-stream',
      'Content-Length': file.content.length,
      'X-Holm-Name': encodeURIComponent(file.name),
    });
    response.end(isHead ? undefined : file.content);
    return;
  }
  // The page asks what there is; that there is nothing is no error.
  if (path === '/machine/kernel' || path === '/machine/initrd') return refuse(204);
  const name = path === '/' ? 'index.html' : path.slice(1);
  const kind = kinds[name];
  if (kind === undefined) return refuse(404);
  const { size } = await stat(directory + name);
  response.writeHead(200, { ...headers, 'Content-Type': kind, 'Content-Length': size });
  if (isHead) response.end();
  else await pipeline(createReadStream(directory + name), response);
}
