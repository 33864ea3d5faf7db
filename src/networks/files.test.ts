import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HolmError } from '../base/error.ts';
import { type NamesRequest, nameFiles } from './files.ts';

const request: NamesRequest = {
  hostname: '3f2a1b0c9d8e',
  domainname: '',
  dnsServers: [],
  dnsSearch: [],
  dnsOptions: [],
  extraHosts: [],
  sharesHost: false,
  address: '172.17.0.2',
  hostGateway: '172.17.0.1',
};
const host = {
  hosts: '127.0.0.1 myhost\n',
  resolvConf:
    '# mine\nnameserver 127.0.0.1\nnameserver 192.0.2.53\nnameserver fd00::53\nsearch a.example b.example\noptions ndots:2\n',
};
const standard = [
  '127.0.0.1\tlocalhost',
  '::1\tlocalhost ip6-localhost ip6-loopback',
  'fe00::\tip6-localnet',
  'ff00::\tip6-mcastprefix',
  'ff02::1\tip6-allnodes',
  'ff02::2\tip6-allrouters',
];

const linesOf = (text: string): string[] => text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));

test('hosts has the standard names, those added, and the container itself', () => {
  const cases: [change: Partial<NamesRequest>, lines: string[]][] = [
    [{}, ['172.17.0.2\t3f2a1b0c9d8e']],
    [{ address: '' }, []],
    [{ hostname: 'web', domainname: 'example.org' }, ['172.17.0.2\tweb.example.org web']],
    [{ hostname: 'web.example.org' }, ['172.17.0.2\tweb.example.org web']],
    [
      { extraHosts: ['db:10.0.0.5', 'six:fd00::5', 'seven:[fd00::7]', 'eq=10.0.0.6', 'up:host-gateway'], address: '' },
      ['10.0.0.5\tdb', 'fd00::5\tsix', 'fd00::7\tseven', '10.0.0.6\teq', '172.17.0.1\tup'],
    ],
  ];
  for (const [change, lines] of cases)
    assert.deepEqual(linesOf(nameFiles({ ...request, ...change }, host).hosts), [...standard, ...lines]);
});

test('a bad extra host is refused', () => {
  for (const extra of ['db', 'db:', ':10.0.0.1', 'db:10.0.0', 'a b:10.0.0.1'])
    assert.throws(() => nameFiles({ ...request, extraHosts: [extra] }, host), HolmError, extra);
  assert.throws(() => nameFiles({ ...request, extraHosts: ['a:host-gateway'], hostGateway: '' }, host), /host-gateway/);
});

test('resolv.conf is the host’s without what cannot be reached, or the container’s own', () => {
  const cases: [change: Partial<NamesRequest>, resolvConf: string, lines: string[]][] = [
    [{}, host.resolvConf, ['nameserver 192.0.2.53', 'search a.example b.example', 'options ndots:2']],
    [{}, 'nameserver 127.0.0.53\ndomain a.example\n', ['nameserver 8.8.8.8', 'nameserver 8.8.4.4', 'search a.example']],
    [{}, '', ['nameserver 8.8.8.8', 'nameserver 8.8.4.4']],
    [{ dnsServers: ['127.0.0.1'], dnsSearch: ['.'] }, host.resolvConf, ['nameserver 127.0.0.1', 'options ndots:2']],
    [
      { dnsSearch: ['c.example'], dnsOptions: ['timeout:1', 'rotate'] },
      host.resolvConf,
      ['nameserver 192.0.2.53', 'search c.example', 'options timeout:1 rotate'],
    ],
    [
      { sharesHost: true, dnsOptions: ['rotate'] },
      'nameserver 127.0.0.1\n',
      ['nameserver 127.0.0.1', 'options rotate'],
    ],
  ];
  for (const [change, resolvConf, lines] of cases)
    assert.deepEqual(linesOf(nameFiles({ ...request, ...change }, { ...host, resolvConf }).resolvConf), lines);
});

test('a container with the host’s network has the host’s files', () => {
  const shared = nameFiles({ ...request, sharesHost: true, address: '' }, host);
  assert.deepEqual(shared, { hostname: '3f2a1b0c9d8e\n', ...host });
  const added = nameFiles({ ...request, sharesHost: true, address: '', extraHosts: ['db:10.0.0.5'] }, host);
  assert.deepEqual(linesOf(added.hosts), [...standard, '10.0.0.5\tdb']);
});
