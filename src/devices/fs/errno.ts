// Error numbers of Linux that file systems give (include/uapi/asm-generic/errno.h): the same on RISC-V and on the host.

export const errno = {
  EPERM: 1,
  ENOENT: 2,
  EIO: 5,
  EBADF: 9,
  EACCES: 13,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  EROFS: 30,
  ENAMETOOLONG: 36,
  ENOSYS: 38,
  EPROTO: 71,
  ESTALE: 116,
} as const;

/** A request that failed as files do. */
export class FsError extends Error {
  readonly errno: number;

  constructor(number: number) {
    super(`error ${number}`);
    this.errno = number;
  }
}
