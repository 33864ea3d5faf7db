import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { opcode, outHeaderBytes } from '../../devices/fs/fuse.ts';
import { FileSystem } from '../../devices/virtio/fs.ts';
import { TransportFixture } from '../../devices/virtio/transport-fixture.ts';
import { SharedDirectory, type SharedDirectoryOptions } from './host-directory.ts';

const made: string[] = [];
after(() => {
  for (const path of made) fs.rmSync(path, { recursive: true, force: true });
});

class Answer {
  readonly error: number;
  readonly body: Buffer;

  constructor(bytes: Uint8Array) {
    const all = Buffer.from(bytes);
    assert.equal(all.readUInt32LE(0), all.length, 'the length that the header says');
    this.error = 0 - all.readInt32LE(4);
    this.body = all.subarray(outHeaderBytes);
  }

  /** The first word: a node or a handle. */
  get id(): bigint {
    assert.equal(this.error, 0, `error ${this.error}`);
    return this.body.readBigUInt64LE(0);
  }
}

const name = (text: string): Buffer => Buffer.from(`${text}\0`);
const words = (...values: number[]): Buffer => {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [index, value] of values.entries()) bytes.writeUInt32LE(value >>> 0, index * 4);
  return bytes;
};
const long = (value: bigint | number): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
};

/** A kernel that mounted a fresh directory. */
class Mount {
  readonly path: string;
  readonly directory: SharedDirectory;
  readonly device: FileSystem;
  readonly transport: TransportFixture;

  constructor(options?: SharedDirectoryOptions, path?: string) {
    this.path = path ?? fs.mkdtempSync(join(tmpdir(), 'holm-share-'));
    made.push(this.path);
    this.directory = new SharedDirectory(this.path, options);
    this.device = new FileSystem({ tag: 'share', directory: this.directory });
    this.transport = new TransportFixture(this.device);
    this.ask(opcode.INIT, 0, [words(7, 38, 65_536, 0xffff_ffff)]);
  }

  ask(code: number, node: bigint | number, args: Buffer[], room = 4096): Answer {
    const head = Buffer.concat([
      words(0, code),
      long(77),
      long(node),
      words(process.getuid!(), process.getgid!(), 1, 0),
    ]);
    const bytes = this.transport.drivers[1]!.request([head, ...args.filter(({ length }) => length > 0)], [16, room]);
    assert.notEqual(bytes, undefined, 'a request without an answer');
    return new Answer(bytes!);
  }

  find(text: string, parent: bigint | number = 1): bigint {
    return this.ask(opcode.LOOKUP, parent, [name(text)]).id;
  }

  create(text: string, content: string, mode = 0o644): bigint {
    const created = this.ask(opcode.CREATE, 1, [words(2, mode, 0, 0), name(text)]);
    const handle = created.body.readBigUInt64LE(128);
    assert.equal(this.write(handle, 0, Buffer.from(content)).body.readUInt32LE(0), content.length);
    this.ask(opcode.RELEASE, created.id, [long(handle), long(0), long(0)]);
    return created.id;
  }

  open(node: bigint, flags = 0): bigint {
    return this.ask(opcode.OPEN, node, [words(flags, 0)]).id;
  }

  read(handle: bigint, offset: number, bytes: number): Answer {
    return this.ask(opcode.READ, 0, [long(handle), long(offset), words(bytes, 0), long(0), words(0, 0)], bytes);
  }

  write(handle: bigint, offset: number, data: Buffer): Answer {
    return this.ask(opcode.WRITE, 0, [long(handle), long(offset), words(data.length, 0), long(0), words(0, 0), data]);
  }

  attributes(node: bigint): { size: number; mode: number; modified: bigint } {
    const { body } = this.ask(opcode.GETATTR, node, [long(0), long(0)]);
    return { size: Number(body.readBigUInt64LE(24)), mode: body.readUInt32LE(76), modified: body.readBigInt64LE(48) };
  }

  change(node: bigint, valid: number, values: { size?: number; mode?: number; modified?: number }): Answer {
    const { size = 0, mode = 0, modified = 0 } = values;
    const times = [long(0), long(modified), long(0), words(0, 500_000_000, 0)];
    return this.ask(opcode.SETATTR, node, [
      words(valid, 0),
      long(0),
      long(size),
      long(0),
      ...times,
      words(mode, 0, 0, 0, 0),
    ]);
  }

  list(node: bigint, plus: boolean): string[] {
    const handle = this.ask(opcode.OPENDIR, node, [words(0, 0)]).id;
    const names: string[] = [];
    for (let offset = 0n, more = true; more; ) {
      const args = [long(handle), long(offset), words(512, 0), long(0), words(0, 0)];
      const { body, error } = this.ask(plus ? opcode.READDIRPLUS : opcode.READDIR, node, args, 512);
      assert.equal(error, 0);
      more = body.length > 0;
      for (let at = 0; at < body.length; ) {
        if (plus) at += 128;
        const length = body.readUInt32LE(at + 16);
        offset = body.readBigUInt64LE(at + 8);
        names.push(body.toString('latin1', at + 24, at + 24 + length));
        at += (24 + length + 7) & ~7;
      }
    }
    return names.sort();
  }
}

describe('a shared directory', () => {
  it('makes, reads, writes, changes and removes files', () => {
    const mount = new Mount();
    const node = mount.create('file', 'hello', 0o4755);
    assert.equal(fs.readFileSync(join(mount.path, 'file'), 'utf8'), 'hello');
    assert.equal(fs.statSync(join(mount.path, 'file')).mode & 0o7777, 0o4755);
    const handle = mount.open(node, 2);
    assert.equal(mount.read(handle, 1, 100).body.toString(), 'ello');
    mount.write(handle, 5, Buffer.from(' there'));
    assert.equal(mount.ask(opcode.FSYNC, node, [long(handle), words(1, 0)]).error, 0);
    assert.equal(mount.attributes(node).size, 11);
    assert.equal(mount.change(node, 8 | 1 | 32, { size: 3, mode: 0o600, modified: 1_000_000_000 }).error, 0);
    const { size, mode, modified } = mount.attributes(node);
    assert.deepEqual([size, mode, modified], [3, 0o100600, 1_000_000_000n]);
    assert.equal(fs.statSync(join(mount.path, 'file')).mtimeMs, 1_000_000_000_500);
    assert.equal(mount.ask(opcode.UNLINK, 1, [name('file')]).error, 0);
    assert.equal(mount.find('file'), 0n, 'a name that the guest may remember as missing');
    assert.equal(mount.read(handle, 0, 10).body.toString(), 'hel', 'an open file outlives its name');
  });

  it('moves a megabyte at a time', () => {
    const mount = new Mount();
    const data = Buffer.alloc(1 << 20, 'holm ');
    const node = mount.create('large', '');
    const handle = mount.open(node, 2);
    assert.equal(mount.write(handle, 0, data).body.readUInt32LE(0), data.length);
    assert.deepEqual(mount.read(handle, 0, data.length).body, data);
    assert.equal(mount.write(handle, 2 ** 60, Buffer.from('x')).error, 22);
  });

  it('makes directories, links and further names, and lists them', () => {
    const mount = new Mount();
    const made = mount.ask(opcode.MKDIR, 1, [words(0o1777, 0), name('dir')]).id;
    assert.equal(mount.attributes(made).mode, 0o41777);
    const link = mount.ask(opcode.SYMLINK, made, [name('link'), name('../file')]).id;
    assert.equal(mount.ask(opcode.READLINK, link, []).body.toString(), '../file');
    const file = mount.create('file', 'content');
    const other = mount.ask(opcode.LINK, made, [long(file), name('other')]).id;
    assert.equal(other, file, 'one inode is one node');
    assert.equal(mount.ask(opcode.RENAME, 1, [long(made), name('file'), name('moved')]).error, 0);
    assert.equal(mount.ask(opcode.LINK, 1, [long(file), name('again')]).id, file);
    for (let index = 0; index < 40; index++) fs.writeFileSync(join(mount.path, 'dir', `entry ${index}`), '');
    const names = fs.readdirSync(join(mount.path, 'dir'));
    for (const plus of [false, true]) assert.deepEqual(mount.list(made, plus), ['.', '..', ...names].sort());
    assert.equal(mount.ask(opcode.RMDIR, 1, [name('dir')]).error, 39);
    assert.ok(mount.ask(opcode.STATFS, 1, []).body.readBigUInt64LE(0) > 0n);
  });

  it('lets no name and no link lead out of it', () => {
    const mount = new Mount();
    fs.symlinkSync('/etc', join(mount.path, 'etc'));
    fs.symlinkSync('/etc/passwd', join(mount.path, 'passwd'));
    const [etc, passwd] = [mount.find('etc'), mount.find('passwd')];
    assert.equal(mount.ask(opcode.LOOKUP, etc, [name('passwd')]).error, 20);
    assert.equal(mount.ask(opcode.OPEN, passwd, [words(0, 0)]).error, 13);
    assert.equal(mount.ask(opcode.CREATE, 1, [words(2, 0o644, 0, 0), name('passwd')]).error, 17);
    assert.equal(mount.change(passwd, 8, { size: 0 }).error, 22);
    assert.equal(mount.change(passwd, 1, { mode: 0o777 }).error, 0);
    assert.notEqual(fs.statSync('/etc/passwd').mode & 0o777, 0o777);
    for (const bad of ['..', '.', '', 'a/b', '/etc/passwd', '../x']) {
      assert.equal(mount.ask(opcode.LOOKUP, 1, [name(bad)]).error, 22, bad);
      assert.equal(mount.ask(opcode.MKDIR, 1, [words(0o755, 0), name(bad)]).error, 22, bad);
    }
    assert.equal(mount.ask(opcode.LOOKUP, 1, [name('x'.repeat(256))]).error, 36);
    // The host swaps a directory for a link while the guest holds it: the guest keeps what it held.
    const made = mount.ask(opcode.MKDIR, 1, [words(0o755, 0), name('dir')]).id;
    fs.renameSync(join(mount.path, 'dir'), join(mount.path, 'old'));
    fs.symlinkSync('/etc', join(mount.path, 'dir'));
    assert.equal(mount.find('passwd', made), 0n);
    mount.ask(opcode.MKDIR, made, [words(0o755, 0), name('inside')]);
    assert.ok(fs.existsSync(join(mount.path, 'old/inside')));
  });

  it('refuses device nodes and pipes, and does not wait for one of the host', () => {
    const mount = new Mount();
    assert.equal(mount.ask(opcode.MKNOD, 1, [words(0o020666, 0x103, 0, 0), name('null')]).error, 1);
    assert.equal(mount.ask(opcode.MKNOD, 1, [words(0o100640, 0, 0, 0), name('plain')]).error, 0);
    assert.equal(mount.attributes(mount.find('plain')).mode, 0o100640);
  });

  it('changes nothing when it is read-only', () => {
    const path = fs.mkdtempSync(join(tmpdir(), 'holm-share-'));
    fs.writeFileSync(join(path, 'file'), 'content');
    const mount = new Mount({ readOnly: true }, path);
    const file = mount.find('file');
    assert.equal(mount.read(mount.open(file), 0, 100).body.toString(), 'content');
    const answers = [
      mount.ask(opcode.OPEN, file, [words(1, 0)]),
      mount.ask(opcode.OPEN, file, [words(0o1000, 0)]),
      mount.ask(opcode.CREATE, 1, [words(2, 0o644, 0, 0), name('new')]),
      mount.ask(opcode.MKDIR, 1, [words(0o755, 0), name('new')]),
      mount.ask(opcode.MKNOD, 1, [words(0o100644, 0, 0, 0), name('new')]),
      mount.ask(opcode.SYMLINK, 1, [name('new'), name('x')]),
      mount.ask(opcode.LINK, 1, [long(file), name('new')]),
      mount.ask(opcode.UNLINK, 1, [name('file')]),
      mount.ask(opcode.RMDIR, 1, [name('file')]),
      mount.ask(opcode.RENAME, 1, [long(1), name('file'), name('new')]),
      mount.change(file, 8, { size: 0 }),
    ];
    assert.deepEqual(
      answers.map(({ error }) => error),
      answers.map(() => 30),
    );
    assert.deepEqual(fs.readdirSync(path), ['file']);
  });

  it('shows the owners of the host, or as root what is its own', () => {
    const path = fs.mkdtempSync(join(tmpdir(), 'holm-share-'));
    fs.writeFileSync(join(path, 'file'), '');
    const own = process.getuid!();
    for (const [owners, uid] of [
      ['kept', own],
      ['mapped', 0],
    ] as const) {
      const mount = new Mount({ owners }, path);
      const node = mount.find('file');
      assert.equal(mount.ask(opcode.GETATTR, node, [long(0), long(0)]).body.readUInt32LE(84), uid, owners);
    }
    const mapped = new Mount({ owners: 'mapped' }, path);
    const times = [long(0), long(0), long(0), words(0, 0, 0)];
    const give = (uid: number): number => {
      const args = [words(2, 0), long(0), long(0), long(0), ...times, words(0, 0, uid, 0, 0)];
      return mapped.ask(opcode.SETATTR, mapped.find('file'), args).error;
    };
    assert.deepEqual([give(0), give(1000)], [0, 1]);
  });

  it('forgets, and gives every descriptor back', () => {
    const descriptors = (): number => fs.readdirSync('/proc/self/fd').length;
    const before = descriptors();
    const mount = new Mount();
    for (let index = 0; index < 20; index++) mount.create(`file ${index}`, 'x');
    assert.equal(descriptors(), before + 21);
    for (let index = 0; index < 20; index++) {
      const node = mount.find(`file ${index}`);
      const head = Buffer.concat([words(0, opcode.FORGET), long(0), long(node), words(0, 0, 0, 0)]);
      const forgotten = mount.transport.drivers[0]!.request([head, long(2)], []);
      assert.equal(forgotten?.length, 0);
      assert.equal(mount.ask(opcode.GETATTR, node, [long(0), long(0)]).error, 116);
    }
    assert.equal(descriptors(), before + 1);
    mount.device.reset();
    mount.directory.closeAll();
    assert.equal(descriptors(), before);
  });

  it('finds its nodes and open files again after a load', () => {
    const mount = new Mount();
    const made = mount.ask(opcode.MKDIR, 1, [words(0o755, 0), name('dir')]).id;
    const file = mount.create('file', 'content');
    mount.ask(opcode.RENAME, 1, [long(made), name('file'), name('moved')]);
    const handle = mount.open(file);
    const gone = mount.create('gone', 'x');
    const state = structuredClone(mount.device.save());
    fs.unlinkSync(join(mount.path, 'gone'));
    const later = new Mount(undefined, mount.path);
    later.device.load(state);
    assert.equal(later.read(handle, 0, 100).body.toString(), 'content');
    assert.equal(later.attributes(file).size, 7);
    assert.equal(later.ask(opcode.GETATTR, gone, [long(0), long(0)]).error, 116);
    assert.ok(later.create('new', '') > gone, 'no number is given twice');
  });

  it('answers every message of a hostile guest, and stays inside', () => {
    const around = fs.mkdtempSync(join(tmpdir(), 'holm-share-'));
    made.push(around);
    fs.mkdirSync(join(around, 'root'));
    fs.symlinkSync('..', join(around, 'root/up'));
    const mount = new Mount(undefined, join(around, 'root'));
    mount.create('file', 'content');
    mount.ask(opcode.MKDIR, 1, [words(0o755, 0), name('dir')]);
    let seed = 12_345;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
      return Math.floor((seed / 2 ** 32) * below);
    };
    const codes = [...Object.values(opcode), 99];
    const names = ['file', 'dir', 'new', '..', 'up/x', 'up'];
    for (let turn = 0; turn < 2000; turn++) {
      const code = codes[random(codes.length)]!;
      const fields = Array.from(
        { length: random(12) },
        () => [0, 1, 2, 3, 8, 0o100644, 2 ** 32 - 1, random(1000)][random(8)]!,
      );
      const args = Buffer.concat([words(...fields), name(names[random(6)]!), name(names[random(6)]!)]);
      const head = Buffer.concat([words(0, code), long(turn), long(random(6)), words(0, 0, 0, 0)]);
      const whole = Buffer.concat([head, args]);
      const cut = whole.subarray(0, random(10) === 0 ? 1 + random(whole.length - 1) : whole.length);
      const bytes = mount.transport.drivers[random(2)]!.request(
        [cut],
        random(8) === 0 ? [random(30) + 1] : [16, 1 + random(5000)],
      );
      assert.notEqual(bytes, undefined, `request ${turn} of ${code} hangs`);
    }
    assert.equal(mount.transport.failure, undefined);
    assert.deepEqual(fs.readdirSync(around), ['root']);
  });
});
