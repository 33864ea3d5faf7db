// How far the layers of an archive have come, told often enough for a progress bar and no oftener.
import type { OnLayerProgress } from './archive.ts';

export interface LayerProgress {
  readonly id: string;
  readonly status: string;
  readonly currentBytes?: number;
  readonly totalBytes?: number;
}

const stepBytes = 4 * 1024 * 1024;

/** Reports a layer by the beginning of its digest, where its name in the archive tells it. */
export function layerProgress(report: (progress: LayerProgress) => void): OnLayerProgress {
  let last = 0;
  return (name, currentBytes, totalBytes) => {
    if (currentBytes < last) last = 0;
    if (currentBytes - last < stepBytes && currentBytes !== totalBytes) return;
    last = currentBytes;
    const id = (/([0-9a-f]{64})/.exec(name)?.[1] ?? name).slice(0, 12);
    report({ id, status: 'Loading layer', currentBytes, totalBytes });
  };
}
