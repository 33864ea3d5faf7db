// Finds an image by what a person may write: a name, a name with a digest, an id, or a unique beginning of an id.
import { HolmError } from '../base/error.ts';
import type { Image } from './image.ts';
import { familiarName, familiarRepository, findReference, formatReference, withTag } from './reference.ts';

/** What the lookup asks of the images. */
export interface Directory {
  list(): readonly Image[];
  /** The image that has this name in full, such as "docker.io/library/debian:bookworm". */
  named(reference: string): Image | undefined;
}

const idShape = /^(?:sha256:)?([0-9a-f]{1,64})$/;

/** Whether the text is an id or the beginning of one of this image, rather than a name. */
export function isIdOf(image: Image, text: string): boolean {
  const digits = idShape.exec(text)?.[1];
  return digits !== undefined && image.id.startsWith(`sha256:${digits}`);
}

/** The image; throws `notFound`, or `invalid` when the beginning of an id is that of several. */
export function getImage(images: Directory, text: string): Image {
  const reference = findReference(text);
  if (reference !== undefined) {
    const image =
      reference.digest === undefined ? images.named(formatReference(withTag(reference))) : findByDigest(images, text);
    if (image !== undefined) return image;
  }
  const digits = idShape.exec(text)?.[1];
  const matches = digits === undefined ? [] : images.list().filter(({ id }) => id.startsWith(`sha256:${digits}`));
  if (matches.length > 1) throw new HolmError('invalid', `multiple IDs found with provided prefix: ${text}`);
  const match = matches[0];
  if (match !== undefined) return match;
  const shown = reference === undefined ? text : familiarName(withTag(reference));
  throw new HolmError('notFound', `No such image: ${shown}`);
}

function findByDigest(images: Directory, text: string): Image | undefined {
  const { digest, ...name } = findReference(text)!;
  const repository = familiarRepository(name);
  return images
    .list()
    .find(
      (image) =>
        (image.manifest === digest || image.id === digest) &&
        image.references.some((one) => one.slice(0, one.lastIndexOf(':')) === repository),
    );
}

/** The images that a text stands for, each with the name it was meant by: a name without a tag stands for all its tags. */
export function imagesMeant(images: Directory, text: string): readonly { image: Image; name?: string }[] {
  const reference = findReference(text);
  if (reference !== undefined && reference.tag === undefined && reference.digest === undefined) {
    const repository = `${familiarName(reference)}:`;
    const found = images
      .list()
      .flatMap((image) =>
        image.references.filter((name) => name.startsWith(repository)).map((name) => ({ image, name })),
      );
    if (found.length > 0) return found;
  }
  const image = getImage(images, text);
  const name = reference === undefined ? '' : familiarName(withTag(reference));
  return image.references.includes(name) ? [{ image, name }] : [{ image }];
}
