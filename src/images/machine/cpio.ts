// Writes a cpio archive as the kernel unpacks it for its initial RAM file system: the "newc" form of cpio(5) and of the kernel's
// Documentation/driver-api/early-userspace/buffer-format.rst. The same entries give the same bytes: no times, no owners.

export type CpioEntry =
  | { readonly path: string; readonly is: 'directory' }
  | { readonly path: string; readonly is: 'file'; readonly content: Uint8Array; readonly executable?: boolean }
  | { readonly path: string; readonly is: 'link'; readonly target: string }
  | { readonly path: string; readonly is: 'device'; readonly major: number; readonly minor: number };

// File types as stat(2) has them.
const directoryMode = 0o040755;
const fileMode = 0o100644;
const programMode = 0o100755;
const linkMode = 0o120777;
const deviceMode = 0o020600;

/** The archive's bytes; entries in the order given, a directory before what is in it. */
export function formatCpio(entries: readonly CpioEntry[]): Buffer {
  const parts = entries.flatMap((entry, at) => formatEntry(entry, at + 1));
  return Buffer.concat([...parts, ...formatRecord('TRAILER!!!', 0, 0, Buffer.alloc(0), [0, 0])]);
}

function formatEntry(entry: CpioEntry, inode: number): Buffer[] {
  const none = Buffer.alloc(0);
  switch (entry.is) {
    case 'directory':
      return formatRecord(entry.path, inode, directoryMode, none, [0, 0]);
    case 'file':
      return formatRecord(entry.path, inode, entry.executable ? programMode : fileMode, entry.content, [0, 0]);
    case 'link':
      return formatRecord(entry.path, inode, linkMode, Buffer.from(entry.target), [0, 0]);
    case 'device':
      return formatRecord(entry.path, inode, deviceMode, none, [entry.major, entry.minor]);
  }
}

/** A header of "070701" and thirteen numbers of eight hexadecimal digits, the name and the body, each filled up to four bytes. */
function formatRecord(
  path: string,
  inode: number,
  mode: number,
  body: Uint8Array,
  [major, minor]: readonly [number, number],
): Buffer[] {
  const name = Buffer.from(`${path}\0`);
  const links = mode === directoryMode ? 2 : 1;
  const fields = [inode, mode, 0, 0, links, 0, body.length, 0, 0, major, minor, name.length, 0];
  const header = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`);
  return [header, name, paddingAfter(header.length + name.length), Buffer.from(body), paddingAfter(body.length)];
}

function paddingAfter(length: number): Buffer {
  return Buffer.alloc((4 - (length % 4)) % 4);
}
