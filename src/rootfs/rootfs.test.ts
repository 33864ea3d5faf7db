import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { resolveUser } from './users.ts';
import { RootView } from './view.ts';

const accounts = {
  passwd: 'root:x:0:0:root:/root:/bin/sh\n# comment\nweb:x:33:33:web:/var/www:/bin/sh\n',
  group: 'root:x:0:\nadm:x:4:web\nwww:x:33:\nextra:x:44:web,other\n',
};

test('users and groups are those of the root’s own files, with docker’s rules', () => {
  const cases: [string, string[], [number, number, number[], string]][] = [
    ['', [], [0, 0, [0], '/root']],
    ['root', [], [0, 0, [0], '/root']],
    ['web', [], [33, 33, [33, 4, 44], '/var/www']],
    ['33', [], [33, 33, [33, 4, 44], '/var/www']],
    ['web:adm', [], [33, 4, [4], '/var/www']],
    ['1234', [], [1234, 0, [0], '/']],
    ['1234:5678', ['adm'], [1234, 5678, [5678, 4], '/']],
    ['web', ['99'], [33, 33, [33, 4, 44, 99], '/var/www']],
  ];
  for (const [user, more, [uid, gid, groups, home]] of cases) {
    assert.deepEqual(resolveUser(user, more, accounts), { uid, gid, groups, home }, user);
  }
  assert.throws(
    () => resolveUser('nobody', [], accounts),
    /unable to find user nobody: no matching entries in passwd file/,
  );
  assert.throws(() => resolveUser('web:none', [], accounts), /unable to find group none/);
  assert.throws(() => resolveUser('4294967296', [], accounts), /unable to find user/);
});

test('a view finds what the union shows, and links lead nowhere else', () => {
  const base = mkdtempSync(`${tmpdir()}/holm-view-`);
  try {
    for (const directory of ['low/etc', 'low/gone', 'high/etc', 'high/usr/share'])
      mkdirSync(`${base}/${directory}`, { recursive: true });
    writeFileSync(`${base}/low/etc/passwd`, 'low');
    writeFileSync(`${base}/low/etc/only`, 'only');
    writeFileSync(`${base}/high/etc/passwd`, 'high');
    symlinkSync('/etc/passwd', `${base}/high/absolute`);
    symlinkSync('../../../../etc/only', `${base}/high/usr/share/climb`);
    symlinkSync('loop', `${base}/high/loop`);
    writeFileSync(`${base}/high/file`, '');
    const view = new RootView([`${base}/high`, `${base}/low`]);
    assert.equal(view.readText('/etc/passwd'), 'high');
    assert.equal(view.readText('/etc/only'), 'only');
    assert.equal(view.readText('/absolute'), 'high');
    assert.equal(view.readText('/usr/share/climb'), 'only');
    assert.equal(view.find('/usr/share/climb')?.path, '/etc/only');
    assert.ok(view.find('/')?.stats.isDirectory());
    assert.equal(view.readText('/nothing'), undefined);
    assert.equal(view.readText('/file/below'), undefined);
    assert.equal(view.readText('/etc'), undefined);
    assert.throws(() => view.find('/loop'), /too many symbolic links/);
  } finally {
    rmSync(base, { recursive: true });
  }
});
