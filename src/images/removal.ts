// What removing an image by a name or an id comes to, and when it is refused. The rules and the texts are docker's
// (daemon/images/image_delete.go): its clients show them to people.
import { HolmError } from '../base/error.ts';
import { shortId } from '../base/id.ts';
import type { Image } from './image.ts';
import { isIdOf } from './lookup.ts';
import { familiarName, findReference, withTag } from './reference.ts';

/** A container that has the image as its root. */
export interface ImageUser {
  readonly id: string;
  /** Running or paused. */
  readonly isRunning: boolean;
}

export interface Removal {
  /** Names to take away, in familiar form. */
  readonly untagged: readonly string[];
  /** Whether the image itself goes. */
  readonly deleted: boolean;
}

/** Decides what goes. Throws `conflict` with docker's words when something stands against it. */
export function planRemoval(
  image: Image,
  reference: string,
  options: { readonly force: boolean },
  users: readonly ImageUser[],
): Removal {
  const short = shortId(image.id.slice('sha256:'.length));
  const name = nameIn(image, reference);
  if (name !== undefined) {
    const user = users[0];
    if (!options.force && image.references.length === 1 && user !== undefined) {
      throw new HolmError(
        'conflict',
        `conflict: unable to remove repository reference "${reference}" (must force) - container ${shortId(user.id)} is using its referenced image ${short}`,
      );
    }
    // A name that is not the last goes alone; and so does the last of an image that a running container has.
    return { untagged: [name], deleted: image.references.length === 1 && !users.some(({ isRunning }) => isRunning) };
  }
  const running = users.find(({ isRunning }) => isRunning);
  if (running !== undefined)
    throw refusal(short, 'cannot be forced', `image is being used by running container ${shortId(running.id)}`);
  if (!options.force && image.references.length > 1)
    throw refusal(short, 'must be forced', 'image is referenced in multiple repositories');
  const stopped = users[0];
  if (!options.force && stopped !== undefined)
    throw refusal(short, 'must be forced', `image is being used by stopped container ${shortId(stopped.id)}`);
  return { untagged: image.references, deleted: true };
}

/** The name of the image that was meant; undefined when the text is its id. */
function nameIn(image: Image, text: string): string | undefined {
  const reference = findReference(text);
  if (reference === undefined || reference.digest !== undefined) return undefined;
  const name = familiarName(withTag(reference));
  return image.references.includes(name) || !isIdOf(image, text) ? name : undefined;
}

function refusal(short: string, force: string, why: string): HolmError {
  return new HolmError('conflict', `conflict: unable to delete ${short} (${force}) - ${why}`);
}
