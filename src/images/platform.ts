// Which of several platforms an image is made for is the one to run here. Names as GOOS and GOARCH have them.
import { HolmError } from '../base/error.ts';
import type { Platform } from './image.ts';

const architectures: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386', ppc64: 'ppc64le' };

/** The platform of this host. */
export function hostPlatform(): Platform {
  return { os: 'linux', architecture: architectures[process.arch] ?? process.arch };
}

/** Parses "linux/arm64/v8", "linux/amd64" or "arm64". */
export function parsePlatform(text: string): Platform {
  const parts = text.split('/');
  const [os, architecture, variant] = parts.length === 1 ? ['linux', parts[0]] : parts;
  if (!os || !architecture || parts.length > 3 || !/^[a-z0-9/_.-]+$/.test(text))
    throw new HolmError('invalid', `Cannot read platform "${text}": not of the form os/architecture[/variant]`);
  return { os, architecture, ...(variant === undefined ? {} : { variant }) };
}

/** The candidate for the platform; the first of its architecture if no variant fits; undefined if none fits. */
export function choosePlatform<T extends { readonly platform?: Platform }>(
  candidates: readonly T[],
  wanted: Platform,
): T | undefined {
  const fitting = candidates.filter(
    ({ platform }) => platform?.os === wanted.os && platform.architecture === wanted.architecture,
  );
  return fitting.find(({ platform }) => platform?.variant === wanted.variant) ?? fitting[0];
}
