// A hub that machines of several processes share, over a unix socket: whoever has the hub serves it, every machine's
// process connects its card to it.
import { rm } from 'node:fs/promises';
import { createServer, Socket } from 'node:net';
import { HolmError, messageOf } from '../../base/error.ts';
import type { Hub } from '../../devices/net/hub.ts';
import type { Link } from '../../devices/net/link.ts';
import { StreamLink, serveLink } from '../../devices/net/stream-link.ts';
import { socketStream } from './socket-stream.ts';

export interface HubServer {
  /** Takes no more machines; those that are there stay. */
  close(): Promise<void>;
}

/** Plugs every process that connects to `path` into `hub`; a socket that a dead process left is replaced. */
export async function serveHub(hub: Hub, path: string): Promise<HubServer> {
  await rm(path, { force: true });
  const server = createServer((socket) => {
    socketStream(socket, (stream) => serveLink(hub.plug(), stream));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      reject(new HolmError('conflict', `Cannot listen on "${path}": ${messageOf(cause)}`, { cause }));
    });
    server.listen(path, resolve);
  });
  server.on('error', () => undefined);
  return {
    close: async () => {
      server.close();
      await rm(path, { force: true });
    },
  };
}

/** A link to the hub at `path`. `closed` is called when the hub is gone, or was never there: the cable is out. */
export function hubLink(path: string, closed: () => void): Link {
  const link = new StreamLink(closed);
  const socket = new Socket();
  link.join(socketStream(socket, link));
  socket.connect({ path });
  return link;
}
