import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { digestOf } from '../base/digest.ts';
import { chooseSource, parseDeb822, parseList } from './apt-sources.ts';
import { applyChanges } from './changes.ts';
import { formatConfig, noDefaults, parseConfig } from './config.ts';
import { choosePlatform, parsePlatform } from './platform.ts';
import { familiarName, formatReference, parseReference, withTag } from './reference.ts';

const digest = digestOf('manifest');

describe('parseReference()', () => {
  const good = [
    ['debian', 'docker.io/library/debian:latest', 'debian:latest'],
    ['debian:bookworm', 'docker.io/library/debian:bookworm', 'debian:bookworm'],
    ['library/debian', 'docker.io/library/debian:latest', 'debian:latest'],
    ['docker.io/library/debian:x', 'docker.io/library/debian:x', 'debian:x'],
    ['index.docker.io/debian', 'docker.io/library/debian:latest', 'debian:latest'],
    ['me/app:1.0', 'docker.io/me/app:1.0', 'me/app:1.0'],
    ['localhost/app', 'localhost/app:latest', 'localhost/app:latest'],
    ['host.example:5000/a/b:t', 'host.example:5000/a/b:t', 'host.example:5000/a/b:t'],
    [`debian@${digest}`, `docker.io/library/debian@${digest}`, `debian@${digest}`],
    ['a__b/c.d-e--f', 'docker.io/a__b/c.d-e--f:latest', 'a__b/c.d-e--f:latest'],
  ] as const;
  for (const [text, full, familiar] of good) {
    it(`reads ${text.slice(0, 40)}`, () => {
      const reference = withTag(parseReference(text));
      assert.equal(formatReference(reference), full);
      assert.equal(familiarName(reference), familiar);
    });
  }

  const bad = [
    ['', 'invalid reference format'],
    ['Debian', 'invalid reference format: repository name (library/Debian) must be lowercase'],
    ['a:b:c', 'invalid reference format'],
    ['debian:', 'invalid reference format'],
    ['-x', 'invalid reference format'],
    ['a/../b', 'invalid reference format'],
    ['debian@sha256:12', 'invalid reference format'],
    [`a:${'t'.repeat(129)}`, 'invalid reference format'],
    [`${'n'.repeat(256)}`, 'invalid reference format'],
    [
      'a'.repeat(64),
      `invalid reference format: repository name (${'a'.repeat(64)}), cannot specify 64-byte hexadecimal strings`,
    ],
  ] as const;
  for (const [text, message] of bad) {
    it(`refuses "${text.slice(0, 20)}"`, () => {
      assert.throws(() => parseReference(text), { kind: 'invalid', message });
    });
  }
});

describe('applyChanges()', () => {
  const base = { ...noDefaults, environment: ['PATH=/bin', 'HOME=/root'], command: ['old'], workingDirectory: '/srv' };
  const cases: readonly [string, string[], object][] = [
    ['CMD in JSON', ['CMD ["a", "b c"]'], { command: ['a', 'b c'] }],
    ['CMD for the shell', ['cmd echo $HOME'], { command: ['/bin/sh', '-c', 'echo $HOME'] }],
    ['ENTRYPOINT, which drops the command', ['ENTRYPOINT ["/x"]'], { entrypoint: ['/x'], command: undefined }],
    ['CMD before ENTRYPOINT', ['CMD ["c"]', 'ENTRYPOINT ["/x"]'], { entrypoint: ['/x'], command: ['c'] }],
    [
      'ENV with quotes and variables',
      [`ENV A="x y" B=$HOME/b PATH=\${PATH}:/x`, 'ENV OLD some thing'],
      { environment: ['PATH=/bin:/x', 'HOME=/root', 'A=x y', 'B=/root/b', 'OLD=some thing'] },
    ],
    ["ENV with '", ["ENV A='$HOME' B=a\\ b"], { environment: ['PATH=/bin', 'HOME=/root', 'A=$HOME', 'B=a b'] }],
    [
      'ENV with defaults',
      [`ENV A=\${NO:-n} B=\${HOME:+h}`],
      { environment: ['PATH=/bin', 'HOME=/root', 'A=n', 'B=h'] },
    ],
    [
      'EXPOSE',
      ['EXPOSE 80 53/udp 8000-8002'],
      { exposedPorts: ['80/tcp', '53/udp', '8000/tcp', '8001/tcp', '8002/tcp'] },
    ],
    ['LABEL', ['LABEL a=1 "b c"="d e"'], { labels: { a: '1', 'b c': 'd e' } }],
    ['USER', ['USER me:us'], { user: 'me:us' }],
    ['VOLUME', ['VOLUME ["/a", "/b"]', 'VOLUME /b /c'], { volumes: ['/a', '/b', '/c'] }],
    ['WORKDIR', ['WORKDIR a', 'WORKDIR b/../c'], { workingDirectory: '/srv/a/c' }],
    ['STOPSIGNAL', ['STOPSIGNAL SIGQUIT'], { stopSignal: 'SIGQUIT' }],
    ['ONBUILD', ['ONBUILD RUN make'], { onBuild: ['RUN make'] }],
    ['HEALTHCHECK NONE', ['HEALTHCHECK NONE'], { healthcheck: { test: ['NONE'] } }],
    [
      'HEALTHCHECK',
      ['HEALTHCHECK --interval=1m30s --retries=3 CMD curl x'],
      { healthcheck: { test: ['CMD-SHELL', 'curl x'], intervalNanos: 90e9, retries: 3 } },
    ],
    ['lines joined by a backslash', ['ENV A=1 \\\n  B=2'], { environment: [...base.environment, 'A=1', 'B=2'] }],
  ];
  for (const [title, lines, change] of cases) {
    it(`carries out ${title}`, () => {
      const changed = applyChanges(base, lines) as unknown as Record<string, unknown>;
      for (const [key, value] of Object.entries(change)) assert.deepEqual(changed[key], value);
    });
  }

  for (const line of [
    'RUN x',
    'CMD',
    'EXPOSE 0',
    'ENV',
    'ENV A',
    'ENV A=1 B',
    'ONBUILD FROM x',
    'STOPSIGNAL ;',
    'ENV A="x',
  ]) {
    it(`refuses "${line}"`, () => {
      assert.throws(() => applyChanges(base, [line]), { kind: 'invalid' });
    });
  }
});

describe('parseConfig()', () => {
  it('is undone by formatConfig()', () => {
    const config = {
      platform: { os: 'linux', architecture: 'arm64', variant: 'v8' },
      createdAt: 1_700_000_000_123_456_789n,
      author: 'me',
      comment: 'why',
      defaults: applyChanges(noDefaults, [
        'ENV A=1',
        'CMD a',
        'EXPOSE 1',
        'LABEL l=m',
        'USER u',
        'VOLUME /v',
        'WORKDIR /w',
        'STOPSIGNAL 9',
        'HEALTHCHECK --timeout=3s CMD ["x"]',
        'SHELL ["/s"]',
        'ONBUILD RUN x',
        'ENTRYPOINT ["/e"]',
      ]),
      diffIds: [digest],
      history: [{ createdAt: 5n, createdBy: 'step', comment: 'c', author: 'a', emptyLayer: true }],
    };
    const bytes = formatConfig(config);
    assert.deepEqual(parseConfig(bytes, 'it'), config);
    assert.ok(formatConfig(parseConfig(bytes, 'it')).equals(bytes));
  });

  it('takes what docker leaves out or null', () => {
    const text =
      '{"config":{"Cmd":null,"Env":null,"Labels":null,"Volumes":null},"rootfs":{"diff_ids":null},"history":null}';
    assert.deepEqual(parseConfig(text, 'it').defaults, noDefaults);
  });

  for (const text of ['', '[]', '{}', '{"rootfs":{"diff_ids":["x"]}}']) {
    it(`refuses ${text || 'nothing'}`, () => {
      assert.throws(() => parseConfig(text, 'it'), { name: 'HolmError' });
    });
  }
});

describe('platforms', () => {
  it('are chosen by architecture, then by variant', () => {
    const of = (text: string) => ({ platform: parsePlatform(text) });
    const all = [of('linux/amd64'), of('linux/arm/v5'), of('linux/arm/v7')];
    assert.equal(choosePlatform(all, parsePlatform('linux/arm/v7')), all[2]);
    assert.equal(choosePlatform(all, parsePlatform('linux/arm')), all[1]);
    assert.equal(choosePlatform(all, parsePlatform('riscv64')), undefined);
    assert.throws(() => parsePlatform('a/b/c/d'), { kind: 'invalid' });
  });
});

describe('apt sources', () => {
  const deb822 = `# comment
Types: deb
URIs: http://one.example/debian/
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb deb-src
URIs: http://two.example/debian-security
Suites: bookworm-security
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 AAAA
 -----END PGP PUBLIC KEY BLOCK-----

Types: deb
Enabled: no
URIs: http://off.example
Suites: bookworm
Components: main
`;
  it('are read from deb822 files', () => {
    const sources = parseDeb822(deb822);
    assert.deepEqual(
      sources.map(({ uri, suites }) => [uri, suites]),
      [
        ['http://one.example/debian', ['bookworm', 'bookworm-updates']],
        ['http://two.example/debian-security', ['bookworm-security']],
      ],
    );
    assert.match(sources[1]!.signedBy, /^-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n-----END/);
  });

  it('are read from lists', () => {
    const sources = parseList(
      '# deb http://no.example x main\ndeb [arch=amd64 signed-by=/k.gpg] http://a.example/debian bookworm main contrib # c\ndeb-src http://s.example x main\ndeb [trusted=yes] file:/srv/debian sid main',
    );
    assert.deepEqual(sources, [
      {
        uri: 'http://a.example/debian',
        suites: ['bookworm'],
        components: ['main', 'contrib'],
        signedBy: '/k.gpg',
        trusted: false,
      },
      { uri: 'file:/srv/debian', suites: ['sid'], components: ['main'], signedBy: '', trusted: true },
    ]);
  });

  it('are chosen by the suite, then by the host’s own', () => {
    const sources = [...parseList('deb http://x.example/tool stable extra'), ...parseDeb822(deb822)];
    assert.equal(chooseSource(sources, 'bookworm', 'x').uri, 'http://one.example/debian');
    assert.equal(chooseSource(sources, 'trixie', 'bookworm').uri, 'http://one.example/debian');
    assert.throws(() => chooseSource([], 'trixie', 'bookworm'), { kind: 'notFound' });
  });
});
