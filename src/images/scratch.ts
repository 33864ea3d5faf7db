// The image of nothing: no layers, no settings. No name leads to it; the engine itself makes guests from it whose root holds
// only what is mounted there.
import { digestOf } from '../base/digest.ts';
import { noDefaults } from './config.ts';
import type { Image } from './image.ts';
import { hostPlatform } from './platform.ts';

export const scratch: Image = {
  id: digestOf('scratch'),
  manifest: digestOf('scratch'),
  platform: hostPlatform(),
  createdAt: 0n,
  author: '',
  comment: '',
  defaults: noDefaults,
  layers: [],
  history: [],
  references: [],
  sizeBytes: 0,
};
