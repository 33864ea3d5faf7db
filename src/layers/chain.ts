// Identity of a layer upon the layers below it (OCI image-spec, config.md, "Layer ChainID").
import { type Digest, digestOf } from '../base/digest.ts';

/** The chain ids of layers given lowest first. */
export function chainIdsOf(diffIds: readonly Digest[]): readonly Digest[] {
  const chain: Digest[] = [];
  for (const diffId of diffIds) {
    const below = chain.at(-1);
    chain.push(below === undefined ? diffId : digestOf(`${below} ${diffId}`));
  }
  return chain;
}
