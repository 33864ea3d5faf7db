// GET /system/df: bytes on disk by subject, in the lists of old and the summaries of new API versions.
import { HolmError, kindOf } from '../base/error.ts';
import { changedIn } from './api-version.ts';
import type { Call } from './call.ts';
import { summaryJson } from './container-json.ts';
import { isRunning } from './container-state.ts';
import { imageSummaryJson, layersBytes, sharedBytes } from './image-json.ts';
import { countUses } from './images.ts';
import type { Route } from './router.ts';
import { volumeJson, volumeUses } from './volumes.ts';

type Json = Record<string, unknown>;

/** One subject: its rows, and the figures of its summary. */
interface Part {
  readonly items: readonly Json[];
  readonly activeCount: number;
  readonly totalBytes: number;
  readonly reclaimableBytes: number;
}

async function containersPart({ backend, minor }: Call): Promise<Part> {
  const rows = await Promise.all(
    backend.containers.list().map(async (container) => {
      const sizes = await backend.containers.sizes(container.id).catch((error: unknown) => {
        if (kindOf(error) === 'notFound') return undefined;
        throw error;
      });
      return { container, sizes };
    }),
  );
  const sum = (of: typeof rows): number => of.reduce((total, { sizes }) => total + (sizes?.writableBytes ?? 0), 0);
  const active = rows.filter(({ container }) => isRunning(container));
  return {
    items: rows.map(({ container, sizes }) => {
      const health = backend.containers.health(container.id);
      return summaryJson(container, { image: container.config.image, health, sizes }, minor);
    }),
    activeCount: active.length,
    totalBytes: sum(rows),
    reclaimableBytes: sum(rows) - sum(active),
  };
}

function imagesPart(call: Call): Part {
  const images = call.backend.images.list();
  const shared = sharedBytes(images);
  const uses = countUses(call);
  const totalBytes = layersBytes(images);
  const used = images.filter(({ id }) => uses.has(id));
  return {
    items: images.map((image) =>
      imageSummaryJson(image, {
        minor: call.minor,
        sharedBytes: shared.get(image.id) ?? 0,
        containers: uses.get(image.id) ?? 0,
      }),
    ),
    activeCount: used.length,
    totalBytes,
    reclaimableBytes: totalBytes - layersBytes(used),
  };
}

async function volumesPart(call: Call): Promise<Part> {
  const uses = volumeUses(call);
  const rows = await Promise.all(
    call.backend.volumes.list().map(async (volume) => ({
      volume,
      bytes: await call.backend.volumes.sizeBytes(volume.name).catch(() => 0),
      uses: uses.get(volume.name) ?? 0,
    })),
  );
  const sum = (of: typeof rows): number => of.reduce((total, { bytes }) => total + bytes, 0);
  const active = rows.filter(({ uses }) => uses > 0);
  return {
    items: rows.map(({ volume, bytes, uses }) => ({
      ...volumeJson(volume),
      UsageData: { Size: bytes, RefCount: uses },
    })),
    activeCount: active.length,
    totalBytes: sum(rows),
    reclaimableBytes: sum(rows) - sum(active),
  };
}

const buildPart: Part = { items: [], activeCount: 0, totalBytes: 0, reclaimableBytes: 0 };

/** Each subject: what `type` calls it, its old list, its new summary. */
const subjects = [
  { type: 'image', list: 'Images', summary: 'ImageUsage', read: imagesPart },
  { type: 'container', list: 'Containers', summary: 'ContainerUsage', read: containersPart },
  { type: 'volume', list: 'Volumes', summary: 'VolumeUsage', read: volumesPart },
  { type: 'build-cache', list: 'BuildCache', summary: 'BuildCacheUsage', read: () => buildPart },
] as const;

async function diskUsage(call: Call): Promise<void> {
  const types = call.minor >= changedIn.diskUsageTypes ? call.query.all('type') : [];
  for (const type of types)
    if (!subjects.some((subject) => subject.type === type))
      throw new HolmError('invalid', `unknown object type: ${type}`);
  const hasSummaries = call.minor >= changedIn.diskUsageSummaries;
  const isNewForm = hasSummaries && call.query.text('verbose') !== '';
  const answer: Json = {};
  for (const subject of subjects) {
    if (types.length > 0 && !types.includes(subject.type)) continue;
    const part = await subject.read(call);
    if (!isNewForm) answer[subject.list] = part.items;
    if (!isNewForm && subject.type === 'image') answer.LayersSize = part.totalBytes;
    if (hasSummaries)
      answer[subject.summary] = {
        ActiveCount: part.activeCount,
        TotalCount: part.items.length,
        Reclaimable: part.reclaimableBytes,
        TotalSize: part.totalBytes,
        ...(isNewForm && call.query.flag('verbose') && { Items: part.items }),
      };
  }
  call.send(200, answer);
}

export const diskUsageRoutes: readonly Route[] = [{ method: 'GET', path: '/system/df', handle: diskUsage }];
