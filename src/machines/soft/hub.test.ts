import assert from 'node:assert/strict';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, it } from 'node:test';
import { type Frame, gather } from '../../devices/net/frame.ts';
import { at, GuestFixture } from '../../devices/net/guest-fixture.ts';
import { SocketsFixture } from '../../devices/net/host-fixture.ts';
import { Hub } from '../../devices/net/hub.ts';
import { UserStack } from '../../devices/net/user-stack.ts';
import { hubLink, serveHub } from './hub.ts';

const directory = fs.mkdtempSync(join(tmpdir(), 'holm-hub-'));
const path = join(directory, 'hub');
after(() => fs.rmSync(directory, { recursive: true, force: true }));

async function until(done: () => boolean, turn: () => void = () => undefined): Promise<void> {
  for (const end = performance.now() + 5000; !done(); ) {
    assert.ok(performance.now() < end, 'nothing moves any more');
    await new Promise(setImmediate);
    turn();
  }
}

it('joins machines of several processes, and the user-mode stack, at one hub', async () => {
  const hub = new Hub();
  const sockets = new SocketsFixture();
  const stack = new UserStack({ sockets });
  const part = hub.join(stack);
  const server = await serveHub(hub, path);
  let parted = 0;
  const link = hubLink(path, () => parted++);
  const guest = new GuestFixture(link);
  const heard: Frame[] = [];
  let room = false;
  const other = hubLink(path, () => parted++);
  other.attach({
    deliver: (frame) => {
      if (room) heard.push(frame);
      return room;
    },
  });
  const turn = (): void => guest.flush();
  const tcp = guest.connect(40_000, at('198.51.100.7', 80));
  await until(() => sockets.streams.length === 1, turn);
  sockets.streams[0]!.events.connected();
  await until(() => tcp.state === 'open', turn);
  const sent = new Uint8Array(300_000).map((_, at) => at * 3 + (at >> 8));
  sockets.streams[0]!.events.received(sent);
  await until(() => tcp.receivedBytes === sent.length, turn);
  assert.deepEqual(Buffer.concat(tcp.received), Buffer.from(sent), 'segments stay whole, with their work left undone');
  room = true;
  other.resume();
  assert.equal(gather(heard[0]!).length > 0, true, 'the first frame was for everybody, and waited');
  assert.equal(heard.length, 1, 'the rest was between two');
  const stranger = connect(path);
  stranger.on('error', () => undefined);
  stranger.resume();
  stranger.write('GET / HTTP/1.1\r\n\r\n');
  await once(stranger, 'close');
  assert.equal(parted, 0);
  part();
  stack.close();
  link.close();
  other.close();
  await server.close();
  const late = hubLink(path, () => parted++);
  await until(() => parted === 1);
  late.close();
});
