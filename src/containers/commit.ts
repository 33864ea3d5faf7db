// An image made of a container: its image's layers, and one of what it changed.
import type { Readable } from 'node:stream';
import { applyChanges } from '../images/changes.ts';
import type { ImageDefaults } from '../images/image.ts';
import { connection, step } from '../kernel/steps.ts';
import { confine } from '../layers/confine.ts';
import type { Container } from './container.ts';
import type { Facilities } from './facilities.ts';
import type { CommitOptions } from './requests.ts';
import { packFlags } from './roots.ts';

/** Makes the image; gives its id. */
export async function commitContainer(
  facilities: Facilities,
  container: Container,
  options: CommitOptions,
): Promise<string> {
  const parent = facilities.images.get(container.imageId);
  const reference =
    options.repository === undefined || options.repository === ''
      ? undefined
      : `${options.repository}:${options.tag || 'latest'}`;
  const image = await facilities.images.create({
    parent,
    layer: readChanges(facilities, container),
    defaults: applyChanges(defaultsOf(container, parent.defaults), options.changes),
    author: options.author,
    comment: options.comment,
    createdBy: container.argv.join(' '),
    ...(reference === undefined ? {} : { reference }),
  });
  return image.id;
}

/** What a container changed, as a layer. */
function readChanges(facilities: Facilities, container: Container): Readable {
  return facilities.kernel.fork([
    ...confine(container.upperDirectory),
    step(
      'pack',
      [connection, '/', packFlags.ociWhiteouts | packFlags.hardLinks, -1],
      'read the changes of the container',
    ),
  ]).output as Readable;
}

/** A container's configuration becomes the image's. */
function defaultsOf(container: Container, image: ImageDefaults): ImageDefaults {
  const { config } = container;
  return {
    ...image,
    user: container.user,
    workingDirectory: container.workingDirectory === '/' ? image.workingDirectory : container.workingDirectory,
    environment: container.environment,
    labels: container.labels,
    exposedPorts: config.exposedPorts,
    volumes: config.volumes,
    ...(config.entrypoint === undefined ? {} : { entrypoint: config.entrypoint }),
    ...(config.command === undefined ? {} : { command: config.command }),
  };
}
