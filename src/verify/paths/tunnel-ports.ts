/**
 * Splits a path by whether a port is a tunnel, according to the port types that the caller supplied
 * (PortKinds).
 */
import { type Cube, rangeCubes } from "../symbolic/input-space.ts";
import type { Word } from "../symbolic/terms.ts";
import type { Path } from "./path-condition.ts";

interface Parts {
  /** Where the port may be a tunnel. */
  readonly may: readonly Path[];
  /** Where the port is known not to be a tunnel. */
  readonly no: readonly Path[];
}

/** Splits a path by whether a port may be a tunnel. */
export function byTunnel(path: Path, port: Word): Parts {
  const { tunnels, others, isComplete } = path.space.ports;
  const { inside, outside } = splitBy(path, port, portCubes(isComplete ? tunnels : others));
  return isComplete ? { may: inside, no: outside } : { may: outside, no: inside };
}

/** Splits a path by whether a port is known to be a tunnel. */
export function byKnownTunnel(
  path: Path,
  port: Word,
): { readonly is: readonly Path[]; readonly others: readonly Path[] } {
  const { inside, outside } = splitBy(path, port, portCubes(path.space.ports.tunnels));
  return { is: inside, others: outside };
}

function splitBy(
  path: Path,
  word: Word,
  cubes: readonly Cube[],
): { readonly inside: readonly Path[]; readonly outside: readonly Path[] } {
  const inside: Path[] = [];
  let outside: readonly Path[] = [path];
  for (const { mask, value } of cubes) {
    const splits = outside.map(one => one.split([{ word, mask, value }]));
    for (const { yes } of splits) if (yes !== null) inside.push(yes);
    outside = splits.flatMap(({ no }) => no);
  }
  return { inside, outside };
}

/** Port numbers as cubes of a key word; consecutive numbers share cubes. */
function portCubes(ports: ReadonlySet<number>): Cube[] {
  const sorted = [...ports].sort((a, b) => a - b);
  const cubes: Cube[] = [];
  for (let from = 0; from < sorted.length; ) {
    let to = from;
    while (to + 1 < sorted.length && sorted[to + 1] === sorted[to]! + 1) to++;
    cubes.push(...rangeCubes(sorted[from]!, sorted[to]!));
    from = to + 1;
  }
  return cubes.map(({ mask, value }) => ({
    mask,
    value: value >= 0xff00 ? (value | 0xffff0000) >>> 0 : value,
  }));
}
