// The devices of a software machine from its settings, with this host's files, sockets and directories behind them.
import { createHash, randomBytes } from 'node:crypto';
import { defaultMtu, UserStack } from '../../devices/net/user-stack.ts';
import { StoreDisk } from '../../devices/store-disk.ts';
import { Balloon, zeroPages } from '../../devices/virtio/balloon.ts';
import { Block } from '../../devices/virtio/block.ts';
import { Console } from '../../devices/virtio/console.ts';
import type { VirtioDevice } from '../../devices/virtio/device.ts';
import { Entropy } from '../../devices/virtio/entropy.ts';
import { FileSystem } from '../../devices/virtio/fs.ts';
import { NetworkCard } from '../../devices/virtio/net.ts';
import { Agent } from './agent.ts';
import { openFile } from './files.ts';
import { SharedDirectory } from './host-directory.ts';
import type { ProcessSettings } from './settings.ts';
import { hostSockets } from './sockets.ts';

export interface Devices {
  /** In the order of their slots. */
  readonly virtio: readonly VirtioDevice[];
  readonly agent: Agent;
  /** Writes what is under way to its files and closes them. */
  close(): Promise<void>;
}

/** Opens everything; throws where a file, a directory or a port cannot be had, leaving nothing open. */
export async function openDevices(settings: ProcessSettings, failed: (what: string) => void): Promise<Devices> {
  await using undo = new AsyncDisposableStack();
  const virtio: VirtioDevice[] = [];
  for (const { path, serial, readOnly } of settings.disks) {
    const store = openFile(path, readOnly ? 'readOnly' : 'readWrite');
    const backend = new StoreDisk(store, { readOnly });
    undo.defer(() => backend.close());
    const disk = new Block({
      backend,
      name: serial,
      serial,
      failed: (name, error) => failed(`disk "${name}": ${error}`),
    });
    undo.defer(() => disk.settled());
    virtio.push(disk);
  }
  if (settings.network) {
    const stack = new UserStack({ sockets: hostSockets(), hostName: settings.name });
    undo.defer(() => stack.close());
    for (const { protocol, hostAddress, hostPort, guestPort } of settings.network.ports) {
      await stack.forward(protocol, { host: hostAddress, port: hostPort }, { port: guestPort });
    }
    virtio.push(new NetworkCard({ mac: macOf(settings.name), mtu: defaultMtu, link: stack }));
  }
  const agent = new Agent();
  const console = new Console({ ports: [agent.port] });
  agent.connect(console);
  virtio.push(
    console,
    new Entropy((bytes) => randomBytes(bytes)),
    new Balloon({ give: zeroPages, reporting: false, ramBytes: settings.ramBytes }),
  );
  for (const { path, tag, readOnly } of settings.shares) {
    const directory = new SharedDirectory(path, { readOnly });
    virtio.push(new FileSystem({ tag, directory }));
  }
  const owned = undo.move();
  return { virtio, agent, close: () => owned.disposeAsync() };
}

/** A locally administered address (IEEE 802) that a machine keeps. */
function macOf(name: string): Uint8Array {
  const digest = createHash('sha256').update(name).digest();
  return Uint8Array.of(0x52, 0x54, 0x00, digest[0]!, digest[1]!, digest[2]!);
}
