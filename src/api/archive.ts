// Files in and out of a container, as `docker cp` does it: tar streams, and a path's stat in a header.

import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { formatTime } from '../base/clock.ts';
import { HolmError, kindOf } from '../base/error.ts';
import type { PathStat } from './backend.ts';
import type { Call } from './call.ts';
import { containerOf } from './lookup.ts';
import type { Route } from './router.ts';

function pathOf(call: Call): string {
  const path = call.query.text('path');
  if (path === '') throw new HolmError('invalid', "bad parameter: 'path' cannot be empty");
  return path;
}

/** The stat as base64 of JSON. */
function statHeader(stat: PathStat): string {
  const json = {
    name: stat.name,
    size: stat.sizeBytes,
    mode: stat.mode,
    mtime: formatTime(stat.modifiedAt),
    linkTarget: stat.linkTarget,
  };
  return Buffer.from(JSON.stringify(json)).toString('base64');
}

/** Says of a path that is not there what Docker's client knows. */
async function found<T>(call: Call, asked: Promise<T>): Promise<T> {
  try {
    return await asked;
  } catch (error) {
    if (kindOf(error) !== 'notFound') throw error;
    const message = `Could not find the file ${pathOf(call)} in container ${call.param(0)}`;
    throw new HolmError('notFound', message, { cause: error instanceof Error ? error.cause : undefined });
  }
}

const statName = 'X-Docker-Container-Path-Stat';

async function stat(call: Call): Promise<void> {
  const { id } = containerOf(call);
  call.response.setHeader(statName, statHeader(await found(call, call.backend.containers.statPath(id, pathOf(call)))));
  call.sendEmpty(200);
}

async function read(call: Call): Promise<void> {
  const { id } = containerOf(call);
  const { stat, tar } = await found(call, call.backend.containers.readArchive(id, pathOf(call)));
  call.response.setHeader(statName, statHeader(stat));
  if (!/\bgzip\b/.test(call.request.headers['accept-encoding']?.toString() ?? '') || !call.query.flag('compress')) {
    await call.sendStream(tar, 'application/x-tar');
    return;
  }
  call.response.setHeader('Content-Encoding', 'gzip');
  await pipeline(tar, createGzip(), call.beginStream('application/x-tar'));
}

async function write(call: Call): Promise<void> {
  const { id } = containerOf(call);
  const options = {
    noOverwriteDirNonDir: call.query.flag('noOverwriteDirNonDir'),
    copyOwners: call.query.flag('copyUIDGID'),
  };
  await found(call, call.backend.containers.writeArchive(id, pathOf(call), call.request, options));
  call.sendEmpty(200);
}

export const archiveRoutes: readonly Route[] = [
  { method: 'HEAD', path: '/containers/{name}/archive', handle: stat },
  { method: 'GET', path: '/containers/{name}/archive', handle: read },
  { method: 'PUT', path: '/containers/{name}/archive', handle: write },
];
