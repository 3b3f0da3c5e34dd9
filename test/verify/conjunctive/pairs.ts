/**
 * Pairs of tables with conjunctive matches, judged by exhaustion: the prover's verdict against what Open
 * vSwitch can come to with every frame of the world (tables.ts).
 */
import { FlowColumns, KEY } from "../../../src/openflow/index.ts";
import { type Proof, prove } from "../../../src/verify/prove.ts";
import { SNAP_WORD } from "../../../src/verify/symbolic/extractions.ts";
import {
  type Cube,
  FRAME_FORMATS,
  type FrameFormat,
  NO_PORT_KINDS,
  type Space,
} from "../../../src/verify/symbolic/input-space.ts";
import type { Rng } from "../../model/random.ts";
import type { Prover } from "../tiny/judge.ts";
import {
  frameOf,
  isSmall,
  isUndecided,
  PACKETS,
  portsOf,
  type Row,
  randomRows,
  type Style,
  textOf,
} from "./tables.ts";

const exactly = (...values: number[]): Cube[] => values.map(value => ({ mask: 0xffffffff, value }));
const lowBits = (value: number): Cube[] => [{ mask: 0xfffffffc, value }];

/** The frames of the world and no others, as the prover is told. */
export const SPACE: Space = {
  formats: FRAME_FORMATS.filter(({ name }) => name === "ip4 udp").map(
    (format): FrameFormat => ({
      ...format,
      cubes: new Map([
        ...format.cubes,
        [KEY.nwSrc, lowBits(0x0a000000)],
        [KEY.nwDst, lowBits(0x0a000000)],
        [KEY.nwTos, exactly(0)],
        [KEY.nwTtl, exactly(64)],
        [KEY.tpSrc, exactly(7)],
        [KEY.tpDst, lowBits(0)],
      ]),
    }),
  ),
  entering: [],
  isTupleRead: false,
  ports: NO_PORT_KINDS,
  cubes: new Map([
    [KEY.inPort, exactly(1)],
    [KEY.dlDst, exactly(0x0200)],
    [KEY.dlDst + 1, exactly(2)],
    [KEY.dlSrc, exactly(0x0200)],
    [KEY.dlSrc + 1, exactly(1)],
    [KEY.vlanTci, exactly(0)],
    [SNAP_WORD, exactly(0)],
  ]),
};

export interface Judgement {
  readonly truth: "equal" | "different" | "ambiguous";
  readonly proof: Proof;
  /** Null where the verdict is right, or leaves open what it may. */
  readonly wrong: string | null;
}

const tableOf = (rows: readonly Row[], name: string) => ({
  flows: new FlowColumns(Buffer.from(textOf(rows)), name),
});

/** What every frame says of a pair. */
function truthOf(a: readonly Row[], b: readonly Row[]): Judgement["truth"] {
  let truth: Judgement["truth"] = "equal";
  for (const packet of PACKETS) {
    if (isUndecided(a, packet) || isUndecided(b, packet)) {
      if (truth === "equal") truth = "ambiguous";
      continue;
    }
    if ([...portsOf(a, packet)][0] !== [...portsOf(b, packet)][0]) truth = "different";
  }
  return truth;
}

/** Whether the frame of every difference makes one. */
const areShown = ({ differences }: Proof, a: readonly Row[], b: readonly Row[]): boolean =>
  differences.every(({ frame }) => {
    const packet = PACKETS.find(
      one => Buffer.compare(frameOf(one).subarray(0, 34), frame.subarray(0, 34)) === 0,
    );
    const port = frame[37]!;
    if (packet === undefined) return false;
    const one = { ...packet, port };
    return [...portsOf(a, one)][0] !== [...portsOf(b, one)][0];
  });

export function judge(a: readonly Row[], b: readonly Row[], prover: Prover = prove): Judgement {
  const truth = truthOf(a, b);
  const proof = prover(tableOf(a, "a"), tableOf(b, "b"), { space: SPACE, maxSeconds: 1e6 });
  const { verdict } = proof;
  // What the prover leaves open may differ, whatever else it finds.
  const isOpen = verdict === "unknown" || (verdict === "ambiguous" && proof.unknown.length > 0);
  let wrong = verdict === truth || isOpen ? null : `${verdict}, and it is ${truth}`;
  if (verdict === "different" && !areShown(proof, a, b)) wrong = "a frame makes no difference";
  return { truth, proof, wrong };
}

// --- Edits
// --------------------------------------------------------------------------------------------------------

type Edit = (rows: readonly Row[], r: Rng) => Row[];

const shuffled: Edit = (rows, r) => {
  const left = [...rows];
  const out: Row[] = [];
  while (left.length > 0) out.push(...left.splice(r.below(left.length), 1));
  return out;
};

/** A row whose last bit of an address is open becomes two. */
const divided: Edit = (rows, r) => {
  const open = rows.filter(({ src }) => src !== null && src.mask === 2);
  if (open.length === 0) return [...rows];
  const one = r.pick(open);
  const halves = [0, 1].map(low => ({ ...one, src: { mask: 3, value: one.src!.value | low } }));
  const isNew = (row: Row): boolean =>
    !rows.some(
      other =>
        textOf([{ ...other, memberships: [], out: 0, next: null, sets: null }]) ===
        textOf([{ ...row, memberships: [], out: 0, next: null, sets: null }]),
    );
  return halves.every(isNew) ? rows.flatMap(row => (row === one ? halves : [row])) : [...rows];
};

const changed =
  (change: (row: Row, r: Rng) => Row): Edit =>
  (rows, r) => {
    const one = r.pick(rows);
    return rows.map(row => (row === one ? change(row, r) : row));
  };

const EDITS: readonly Edit[] = [
  shuffled,
  divided,
  (rows, r) => {
    const one = r.pick(rows);
    return rows.filter(row => row !== one);
  },
  changed((row, r) => ({ ...row, priority: r.pick([5, 10, 20]) })),
  changed((row, r) => ({ ...row, src: { mask: 3, value: r.below(4) } })),
  changed(row => ({ ...row, dst: null })),
  changed((row, r) => (row.memberships.length > 0 ? row : { ...row, out: r.pick([0, 2, 3, 4]) })),
  changed((row, r) => (row.sets === null ? row : { ...row, sets: r.below(4) })),
  changed((row, r) => (row.reg === null ? row : { ...row, reg: { mask: 3, value: r.below(4) } })),
  changed(row => ({ ...row, memberships: [...row.memberships].reverse() })),
  changed((row, r) => ({
    ...row,
    memberships: row.memberships.map(one => ({ ...one, clause: 1 + r.below(one.clauses) })),
  })),
];

/** A table and one that was made of it, or null where there are too many orders to try. */
export function randomPair(r: Rng, style: Style): { a: Row[]; b: Row[] } | null {
  const a = randomRows(r, style);
  let b = shuffled(a, r);
  for (let edits = r.below(3); edits > 0; edits--) b = r.pick(EDITS)(b, r);
  const isRight = (rows: readonly Row[]): boolean =>
    rows.length > 0 &&
    isSmall(rows) &&
    new Set(rows.map(row => textOf([{ ...row, memberships: [], out: 0, next: null, sets: null }]))).size ===
      rows.length;
  return isRight(a) && isRight(b) ? { a, b } : null;
}
