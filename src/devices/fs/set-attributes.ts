// The arguments of SETATTR: which attributes change, and to what.
import { errno, FsError } from './errno.ts';
import { changed, type FuseReader } from './fuse.ts';
import type { AttributeChanges } from './host-directory.ts';

/** Reads `struct fuse_setattr_in`. Throws FsError EINVAL when it is cut short. */
export function readChanges(reader: FuseReader): AttributeChanges {
  const valid = reader.u32();
  reader.skip(12);
  const size = reader.number();
  reader.skip(8);
  const [accessed, modified] = [reader.u64(), reader.u64()];
  reader.skip(8);
  const [accessedFraction, modifiedFraction] = [reader.u32(), reader.u32()];
  reader.skip(4);
  const mode = reader.u32();
  reader.skip(4);
  const [uid, gid] = [reader.u32(), reader.u32()];
  if (reader.short) throw new FsError(errno.EINVAL);
  const has = (bit: number): boolean => (valid & bit) !== 0;
  return {
    ...(has(changed.mode) ? { mode: mode & 0o7777 } : {}),
    ...(has(changed.uid) ? { uid } : {}),
    ...(has(changed.gid) ? { gid } : {}),
    ...(has(changed.size) ? { size } : {}),
    ...(has(changed.accessed) ? { accessed: has(changed.accessedNow) ? 'now' : time(accessed, accessedFraction) } : {}),
    ...(has(changed.modified) ? { modified: has(changed.modifiedNow) ? 'now' : time(modified, modifiedFraction) } : {}),
  };
}

function time(seconds: bigint, nanos: number): bigint {
  return BigInt.asIntN(64, seconds) * 1_000_000_000n + BigInt(nanos);
}
