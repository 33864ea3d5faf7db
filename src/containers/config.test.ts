import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ImageDefaults } from '../images/image.ts';
import { executablePaths, mergeConfig, mergeEnvironment, processEnvironment } from './config.ts';
import type { ContainerConfig } from './container.ts';

const image: ImageDefaults = {
  user: 'daemon',
  workingDirectory: '/srv',
  environment: ['PATH=/bin', 'A=1'],
  entrypoint: ['/entry'],
  command: ['default'],
  labels: { from: 'image', both: 'image' },
  exposedPorts: [],
  volumes: ['/data'],
};

function ask(config: Partial<ContainerConfig>): ContainerConfig {
  return { user: '', workingDirectory: '', environment: [], labels: {}, volumes: [], ...config } as ContainerConfig;
}

test('a health check is the image’s where nothing else is asked, field by field', () => {
  const its = { test: ['CMD', 'x'], intervalNanos: 5e9, retries: 2 };
  const cases: [ContainerConfig['healthcheck'], ContainerConfig['healthcheck'], ContainerConfig['healthcheck']][] = [
    [undefined, undefined, undefined],
    [undefined, its, its],
    [{ test: ['NONE'] }, undefined, { test: ['NONE'] }],
    [{ test: [], retries: 9 }, its, { ...its, retries: 9 }],
    [{ test: ['CMD', 'y'], timeoutNanos: 1e9 }, its, { ...its, test: ['CMD', 'y'], timeoutNanos: 1e9 }],
  ];
  for (const [asked, healthcheck, merged] of cases) {
    const config = ask(asked === undefined ? {} : { healthcheck: asked });
    const defaults = healthcheck === undefined ? image : { ...image, healthcheck };
    assert.deepEqual(mergeConfig(config, defaults).healthcheck, merged);
  }
});

test('the command line is docker’s: what is asked replaces the image’s, an entrypoint drops its command', () => {
  const cases: [Partial<ContainerConfig>, string[], number][] = [
    [{}, ['/entry', 'default'], 1],
    [{ command: ['x', 'y'] }, ['/entry', 'x', 'y'], 1],
    [{ command: [] }, ['/entry', 'default'], 1],
    [{ entrypoint: ['sh'] }, ['sh'], 1],
    [{ entrypoint: ['sh'], command: ['-c'] }, ['sh', '-c'], 1],
    [{ entrypoint: [''], command: ['ls'] }, ['ls'], 0],
  ];
  for (const [config, argv, length] of cases) {
    const merged = mergeConfig(ask(config), image);
    assert.deepEqual([merged.argv, merged.entrypointLength], [argv, length]);
  }
  assert.throws(() => mergeConfig(ask({ entrypoint: [''] }), image), /no command specified/);
});

test('user, directory, labels and volumes come from the image where nothing is asked', () => {
  const merged = mergeConfig(ask({ labels: { both: 'asked' }, volumes: ['/more'] }), image);
  assert.equal(merged.user, 'daemon');
  assert.equal(merged.workingDirectory, '/srv');
  assert.deepEqual(merged.labels, { from: 'image', both: 'asked' });
  assert.deepEqual(merged.volumes, ['/data', '/more']);
  assert.equal(merged.stopSignal, 'SIGTERM');
});

test('environment: later wins in the place of the first, a bare name removes', () => {
  assert.deepEqual(mergeEnvironment(['A=1', 'B=2', 'C=3'], ['A=9', 'B', 'D=']), ['A=9', 'C=3', 'D=']);
  const facts = { hostname: 'h', terminal: true, home: '/root' };
  assert.deepEqual(processEnvironment(['X=1'], facts).slice(1), ['HOSTNAME=h', 'TERM=xterm', 'X=1', 'HOME=/root']);
  assert.deepEqual(processEnvironment(['PATH=/p', 'HOME=/h', 'TERM=t', 'HOSTNAME=n'], facts), [
    'PATH=/p',
    'HOME=/h',
    'TERM=t',
    'HOSTNAME=n',
  ]);
});

test('a program without a slash is looked for along PATH', () => {
  assert.deepEqual(executablePaths('/bin/x', ['PATH=/a']), ['/bin/x']);
  assert.deepEqual(executablePaths('x', ['PATH=/a:/b:']), ['/a/x', '/b/x', './x']);
});
