// Finds what a request names, with the texts of Docker's daemon where it is not there.
import { HolmError, kindOf } from '../base/error.ts';
import type { Container, Exec } from '../containers/container.ts';
import type { Image } from '../images/image.ts';
import type { Backend, HostFacts } from './backend.ts';
import type { Asked } from './call.ts';
import { noSuchContainer, noSuchImage } from './wording.ts';

/** The container of that reference; by default the path's first parameter. */
export function containerOf(asked: Asked, reference: string = asked.params[0] ?? ''): Container {
  try {
    return asked.backend.containers.get(reference);
  } catch (error) {
    throw kindOf(error) === 'notFound' ? noSuchContainer(reference) : error;
  }
}

/** The image of that reference; by default the path's first parameter. */
export function imageOf(asked: Asked, reference: string = asked.params[0] ?? ''): Image {
  try {
    return asked.backend.images.get(reference);
  } catch (error) {
    throw kindOf(error) === 'notFound' ? noSuchImage(reference) : error;
  }
}

export function findImage(backend: Backend, reference: string): Image | undefined {
  try {
    return backend.images.get(reference);
  } catch {
    return undefined;
  }
}

/** The exec session that the path's first parameter names. */
export function execOf(asked: Asked): Exec {
  const id = asked.params[0] ?? '';
  try {
    return asked.backend.containers.getExec(id);
  } catch (error) {
    throw kindOf(error) === 'notFound' ? new HolmError('notFound', `No such exec instance: ${id}`) : error;
  }
}

const facts = new WeakMap<Backend, HostFacts>();

/** What the host is, read once: creating a container must not cost a look through /proc. */
export function hostFactsOf(backend: Backend): HostFacts {
  let found = facts.get(backend);
  if (found === undefined) {
    found = backend.host();
    facts.set(backend, found);
  }
  return found;
}
