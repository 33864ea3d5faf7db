// How much an archive may ask of the host before it is refused: a bomb must not fill the disk.

export interface ArchiveLimits {
  /** Bytes of one layer's tar, uncompressed. */
  readonly mostBytes: number;
  /** Files, directories and links of one layer. */
  readonly mostEntries: number;
  /** Uncompressed bytes for each compressed one, looked at once a layer is larger than `ratioFromBytes`. */
  readonly mostRatio: number;
  readonly ratioFromBytes: number;
}

/** A gzip stream of zeros has the ratio 1000, a large binary at most 10. */
export const defaultLimits: ArchiveLimits = {
  mostBytes: 64 * 1024 ** 3,
  mostEntries: 1_000_000,
  mostRatio: 200,
  ratioFromBytes: 1024 ** 3,
};
