import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRouter, type Route } from './router.ts';
import { routes } from './routes.ts';

const route = createRouter(routes);
const find = (line: string): string => {
  const [method = '', path = ''] = line.split(' ');
  const match = route(method, path.split('/').slice(1));
  return match === undefined ? 'none' : `${match.route.path} ${match.params.join(',')}`.trim();
};

const cases: readonly (readonly [line: string, found: string])[] = [
  ['GET /containers/json', '/containers/json'],
  ['GET /containers/json/json', '/containers/{name}/json json'],
  ['POST /containers/web/start', '/containers/{name}/start web'],
  ['POST /containers/prune', '/containers/prune'],
  ['GET /images/json', '/images/json'],
  ['GET /images/localhost:5000/a/b:1/json', '/images/{name...}/json localhost:5000/a/b:1'],
  ['GET /images/get', '/images/get'],
  ['GET /images/a/get', '/images/{name...}/get a'],
  ['DELETE /images/a/b', '/images/{name...} a/b'],
  ['POST /images/a/b/tag', '/images/{name...}/tag a/b'],
  ['POST /images/load', '/images/load'],
  ['DELETE /images', 'none'],
  ['GET /containers', 'none'],
  ['DELETE /containers/json', '/containers/{name} json'],
  ['GET /plugins/a/b/json', '/plugins/{name...}/json a/b'],
  ['GET /', 'none'],
];
for (const [line, found] of cases)
  test(line, () => {
    assert.equal(find(line), found);
  });

test('no row is hidden by an earlier one of the same shape', () => {
  const seen = new Set<string>();
  for (const { method, path } of routes) {
    const shape = `${method} ${path.replaceAll(/\{\w+(\.\.\.)?\}/g, '{$1}')}`;
    assert.ok(!seen.has(shape), shape);
    seen.add(shape);
  }
});

test('of two rows that fit the earlier wins', () => {
  const handle = (): void => undefined;
  const table: readonly Route[] = [
    { method: 'GET', path: '/a/b', handle },
    { method: 'GET', path: '/a/{x}', handle },
  ];
  const match = createRouter(table);
  assert.equal(match('GET', ['a', 'b'])?.route.path, '/a/b');
  assert.equal(match('GET', ['a', 'c'])?.route.path, '/a/{x}');
});
