/**
 * Making a failing case small enough to read: greedily, as long as one of the cases that are a little
 * smaller still fails.
 */

/** The smallest case that is found from `start` on; `smallerOnes` gives those that are a step smaller. */
export function shrunk<Case>(
  start: Case,
  smallerOnes: (one: Case) => Iterable<Case>,
  isStill: (one: Case) => boolean,
): Case {
  let best = start;
  for (let isSmaller = true; isSmaller; ) {
    isSmaller = false;
    for (const smaller of smallerOnes(best)) {
      if (!isStill(smaller)) continue;
      best = smaller;
      isSmaller = true;
      break;
    }
  }
  return best;
}
