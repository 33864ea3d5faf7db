// The files that a machine starts with: lying beside the page, named by its address, or dropped on it. What a dropped file is,
// its first bytes tell.

export const parts = ['kernel', 'initrd', 'image'] as const;
export type Part = (typeof parts)[number];

export interface BootFile {
  readonly name: string;
  /** Reads it whole: at once for a file of the page's server, piece by piece where the browser has it. */
  readonly open: () => Promise<Blob>;
}

/** Where the server that comes with the page offers a part. */
const beside: Partial<Record<Part, string>> = { kernel: 'machine/kernel', initrd: 'machine/initrd' };

/** The file that the page's address names for a part, or that lies beside the page; undefined if there is none. */
export async function findOffered(part: Part, query: URLSearchParams): Promise<BootFile | undefined> {
  const asked = query.get(part);
  const url = asked ?? beside[part];
  if (url === undefined) return undefined;
  const answer = await fetch(url, { method: 'HEAD' }).catch(() => undefined);
  if (answer?.status === 200) {
    const name = decodeURIComponent(answer.headers.get('x-holm-name') ?? url.slice(url.lastIndexOf('/') + 1));
    return { name, open: () => download(url) };
  }
  if (asked !== null) throw new Error(`Cannot fetch "${asked}": ${answer ? `status ${answer.status}` : 'no answer'}`);
  return undefined;
}

async function download(url: string): Promise<Blob> {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`Cannot fetch "${url}": status ${answer.status}`);
  return await answer.blob();
}

export function chosenFile(file: File): BootFile {
  return { name: file.name, open: async () => file };
}

/** Which part a file is; undefined if it is none that we know. */
export async function partOf(file: File): Promise<Part | undefined> {
  const head = new Uint8Array(await file.slice(0, 2048).arrayBuffer());
  return signatures.find(({ at, bytes }) => bytes.every((byte, i) => head[at + i] === byte))?.part;
}

const signatures: readonly { readonly part: Part; readonly at: number; readonly bytes: readonly number[] }[] = [
  // "RSC\x05" of the Image header; an initial RAM disk as cpio ("070701"), gzip, xz, zstd; EROFS; ext4.
  { part: 'kernel', at: 56, bytes: [0x52, 0x53, 0x43, 0x05] },
  { part: 'initrd', at: 0, bytes: [0x30, 0x37, 0x30, 0x37, 0x30, 0x31] },
  { part: 'initrd', at: 0, bytes: [0x1f, 0x8b] },
  { part: 'initrd', at: 0, bytes: [0xfd, 0x37, 0x7a, 0x58, 0x5a] },
  { part: 'initrd', at: 0, bytes: [0x28, 0xb5, 0x2f, 0xfd] },
  { part: 'image', at: 1024, bytes: [0xe2, 0xe1, 0xf5, 0xe0] },
  { part: 'image', at: 1080, bytes: [0x53, 0xef] },
];
