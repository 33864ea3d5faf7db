import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { dependenciesOf, findPackages, parseControl } from './debian-packages.ts';
import {
  formatList,
  formatStatus,
  formatTriggers,
  infoNameOf,
  parseConffiles,
  parseInterests,
} from './dpkg-records.ts';

const index = `Package: linux-image-riscv64
Version: 6.12
Depends: linux-image-6.12 (= 6.12-1), initramfs-tools | dracut
Filename: pool/a.deb

Package: linux-image-6.12
Pre-Depends: kmod
Version: 6.12-1
Description: a kernel
 of several
 .
 lines

Package: kmod
Version: 30
`;

describe('debian-packages', () => {
  it('finds packages and, of what they depend on, those that are wanted', () => {
    const names = (wanted: string[], follows: (name: string) => boolean): string[] =>
      findPackages(index, wanted, follows).map(({ name }) => name);
    assert.deepEqual(
      names(['linux-image-riscv64'], (name) => name.startsWith('linux-')),
      ['linux-image-riscv64', 'linux-image-6.12'],
    );
    assert.deepEqual(
      names(['kmod'], () => true),
      ['kmod'],
    );
    assert.deepEqual(
      names(['linux-image-6.12'], () => true),
      ['linux-image-6.12', 'kmod'],
    );
    assert.throws(() => findPackages(index, ['linux-image'], () => true), { kind: 'notFound' });
    assert.throws(() => findPackages(index, ['linux-image-riscv64'], () => true), { kind: 'notFound' });
  });

  it('reads a paragraph with its continuation lines', () => {
    const [, kernel] = findPackages(index, ['linux-image-riscv64'], (name) => name === 'linux-image-6.12');
    assert.equal(kernel!.fields.get('Description'), 'a kernel\n of several\n .\n lines');
    assert.deepEqual(dependenciesOf(kernel!), ['kmod']);
    assert.throws(() => parseControl('Version: 1\n'), { kind: 'corrupt' });
  });
});

describe('dpkg-records', () => {
  it('writes a package’s record as dpkg does', () => {
    const unpacked = parseControl(
      'Package: a\nVersion: 1:2-3\nMulti-Arch: same\nArchitecture: riscv64\nDescription: x\n y\n',
    );
    assert.equal(infoNameOf(unpacked), 'a:riscv64');
    assert.equal(infoNameOf(parseControl('Package: b\nMulti-Arch: foreign\n')), 'b');
    assert.equal(
      formatStatus(unpacked, [['/etc/a', 'd41d8cd98f00b204e9800998ecf8427e']]),
      'Package: a\nStatus: install ok unpacked\nVersion: 1:2-3\nMulti-Arch: same\nArchitecture: riscv64\nDescription: x\n y\n' +
        'Conffiles:\n /etc/a d41d8cd98f00b204e9800998ecf8427e\n\n',
    );
  });

  it('writes the list of files as dpkg does', () => {
    assert.equal(formatList(['./', './usr/', './usr/bin/[', './usr/lib/a b']), '/.\n/usr\n/usr/bin/[\n/usr/lib/a b\n');
    assert.deepEqual(parseConffiles('/etc/a\nremove-on-upgrade /etc/b\n\n/etc/c\n'), ['/etc/a', '/etc/c']);
  });

  it('writes who waits for which trigger', () => {
    const text = '# a comment\ninterest-noawait /usr/lib/x\ninterest ldconfig\n activate y\ninterest-await z\n';
    const interests = parseInterests(text);
    assert.deepEqual(
      interests.map(({ trigger }) => trigger),
      ['/usr/lib/x', 'ldconfig', 'z'],
    );
    const more = [
      ...interests.map((one) => ({ ...one, packageName: 'a' })),
      { trigger: 'z', awaits: false, packageName: 'b' },
    ];
    assert.deepEqual(Object.fromEntries(formatTriggers(more)), {
      File: '/usr/lib/x a/noawait\n',
      ldconfig: 'a\n',
      z: 'a\nb/noawait\n',
    });
  });
});
