// Names for containers that were given none: an adjective of the sea and an island.
import { randomInt } from 'node:crypto';

const adjectives =
  'calm bright windy salty quiet rocky sandy green misty sunny steep narrow northern southern eastern western outer inner lonely gentle stormy clear deep blue white grey golden silver early late'.split(
    ' ',
  );
const islands =
  'anholt bornholm fano fur hven laeso lolland mando mon romo samso sejero tuno oland gotland faro orno sandon uto vaxon vinga aland hailuoto kokar seili utoe vallisaari averoy froya hitra karmoy lofoten runde senja smola tromsoya vega'.split(
    ' ',
  );

/** A random name such as "calm_samso"; from the second attempt on with a number, as docker does. */
export function createName(attempt: number): string {
  const name = `${adjectives[randomInt(adjectives.length)]}_${islands[randomInt(islands.length)]}`;
  return attempt === 0 ? name : `${name}${randomInt(10 ** attempt)}`;
}
