// The union of an image's layers with a container's own (overlayfs; kernel documentation, filesystems/overlayfs).
import { HolmError } from '../base/error.ts';
import { AT_FDCWD, MS_BIND, O_CLOEXEC, O_DIRECTORY, O_PATH } from '../kernel/constants.ts';
import { type Program, type Register, step } from '../kernel/steps.ts';

/** Paths of one overlay. The layers are named relative to `layersDirectory`: mount(2) takes one page of options. */
export interface Overlay {
  readonly layersDirectory: string;
  /** Relative paths, lowest first. */
  readonly layers: readonly string[];
  /** Absent for a read-only view. */
  readonly upper?: { readonly directory: string; readonly work: string };
  readonly target: string;
}

const mostOptionBytes = 4095;

/** Mounts the overlay on its target; `root` then holds it. Changes the current directory. */
export function mountOverlay(overlay: Overlay, root: Register): Program {
  const [only] = overlay.layers;
  if (overlay.upper === undefined && overlay.layers.length === 1) {
    // overlayfs wants two layers at least.
    const source = `${overlay.layersDirectory}/${only}`;
    return [
      step('mount', [source, overlay.target, null, MS_BIND, null], 'mount the only layer'),
      openRoot(overlay.target, root),
    ];
  }
  const options = overlayOptions(overlay);
  return [
    step('chdir', [overlay.layersDirectory], `enter "${overlay.layersDirectory}"`, {
      why: 'short names for the layers',
    }),
    step('mount', ['overlay', overlay.target, 'overlay', 0, options], 'mount the layers of the image', {
      why: `${overlay.layers.length} read-only layers, the container’s own changes above them`,
    }),
    openRoot(overlay.target, root),
  ];
}

/** Opens a directory that is to become a root. */
export function openRoot(path: string, root: Register): Program[number] {
  return step('openat2', [AT_FDCWD, path, openHow(O_PATH | O_DIRECTORY | O_CLOEXEC), 24], `open "${path}"`, {
    result: root,
  });
}

/** struct open_how (linux/openat2.h): flags, mode, resolve. */
export function openHow(flags: number, resolve = 0, mode = 0): Uint8Array {
  const bytes = Buffer.alloc(24);
  bytes.writeBigUInt64LE(BigInt(flags >>> 0), 0);
  bytes.writeBigUInt64LE(BigInt(mode), 8);
  bytes.writeBigUInt64LE(BigInt(resolve), 16);
  return bytes;
}

function overlayOptions(overlay: Overlay): string {
  const lower = overlay.layers.toReversed().map(escapePath).join(':');
  const upper =
    overlay.upper === undefined
      ? ''
      : `,upperdir=${escapePath(overlay.upper.directory)},workdir=${escapePath(overlay.upper.work)}`;
  const options = `lowerdir=${lower}${upper}`;
  if (Buffer.byteLength(options) > mostOptionBytes) {
    throw new HolmError(
      'unsupported',
      `Cannot mount ${overlay.layers.length} layers: their names exceed one page of mount options`,
    );
  }
  return options;
}

/** Commas, colons and backslashes separate overlay's options. */
function escapePath(path: string): string {
  return path.replace(/[\\,:]/g, (character) => `\\${character}`);
}
