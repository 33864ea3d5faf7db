// Versions of Docker's Engine API: which we speak, how a path names one, and what changed in which.
// Only minor numbers are kept, for all versions are 1.x.
import { HolmError } from '../base/error.ts';

export const apiVersion = '1.55';
export const minimumApiVersion = '1.24';
export const newestMinor = 55;
const oldestMinor = 24;

/** The minor version in which each change of an answer or a request came. */
export const changedIn = {
  waitAnswersHeadersAtOnce: 30,
  shareableIpcNoDefault: 40,
  privateCgroupDefault: 41,
  oneShotStats: 41,
  multiplexedContentType: 42,
  stopSignal: 42,
  consoleSize: 42,
  diskUsageTypes: 42,
  emptyTagsNotNone: 43,
  noVirtualSize: 44,
  endpointMacAddress: 44,
  annotationsInLists: 46,
  noImageContainerConfig: 45,
  imageContainersCounted: 51,
  noTopLevelAddresses: 52,
  noLegacyEventFields: 52,
  diskUsageSummaries: 52,
  healthInLists: 52,
  eventsAsJsonLines: 53,
} as const;

/** The minor version that a first path segment such as "v1.50" asks for; undefined when the segment is none. */
export function parseVersionSegment(segment: string): number | undefined {
  if (segment.charCodeAt(0) !== 0x76) return undefined;
  const match = /^v(\d{1,3})\.(\d{1,4})$/.exec(segment);
  if (match === null) return undefined;
  const major = Number(match[1]);
  const minor = Number(match[2]);
  if (major < 1 || (major === 1 && minor < oldestMinor))
    throw new HolmError(
      'invalid',
      `client version ${segment.slice(1)} is too old. Minimum supported API version is ${minimumApiVersion}, ` +
        'please upgrade your client to a newer version',
    );
  if (major > 1 || minor > newestMinor)
    throw new HolmError(
      'invalid',
      `client version ${segment.slice(1)} is too new. Maximum supported API version is ${apiVersion}`,
    );
  return minor;
}
