/**
 * Names of verdicts, drop reasons and tables, as every report, option and comment spells them. Derived from
 * the enums of assembly/abi.ts, so that there is one list. The counts and bit widths that abi.ts gives
 * beside its enums are asserted here, when the program starts: a member that has no room is an error before
 * the first frame.
 */
import { OUTCOMES_A_PATH, PATH_COUNT, REASON_COUNT, Reason, Table, Verdict } from "../../assembly/abi.ts";

/** `TooShort` → `too-short`, as `kebab` does it. */
type Kebab<S extends string, IsFirst = true> = S extends `${infer Letter}${infer Rest}`
  ? `${KebabLetter<Letter, IsFirst>}${Kebab<Rest, false>}`
  : "";

type KebabLetter<Letter extends string, IsFirst> =
  Letter extends Lowercase<Letter> ? Letter : `${IsFirst extends true ? "" : "-"}${Lowercase<Letter>}`;

export type VerdictName = Kebab<keyof typeof Verdict>;
export type ReasonName = Kebab<Exclude<keyof typeof Reason, "None">>;

function kebab(name: string): string {
  return name.replace(/(?<!^)[A-Z]/g, "-$&").toLowerCase();
}

/** Names of an enum's members by their numbers, which must be 0, 1, 2 …. */
function namesOf<Name extends string>(members: Readonly<Record<string, string | number>>): readonly Name[] {
  const numbers = Object.values(members).filter(value => typeof value === "number");
  return numbers.map((number, index) => {
    assert(number === index, `assembly/abi.ts: ${members[number]} is ${number}, expected ${index}`);
    return kebab(String(members[number])) as Name;
  });
}

function assert(isTrue: boolean, message: string): void {
  if (!isTrue) throw new Error(`assertion: ${message}`);
}

/** Index: the number of a verdict. */
export const VERDICTS: readonly VerdictName[] = namesOf(Verdict);

/** Index: the number of a reason, `too-short` is 1; index 0 means no reason. */
export const REASONS: readonly (ReasonName | "none")[] = namesOf(Reason);

/** The name of a drop reason; its number must be one of the core's, and not that of None. */
export const dropReason = (reason: number): ReasonName => REASONS[reason] as ReasonName;

/** Numbers of the tables by name. */
const NUMBERS: Readonly<Record<keyof typeof Table, number>> = {
  Classify: 0,
  Label: 10,
  Arp: 20,
  Local: 30,
  Remote: 40,
  Bridge: 50,
};

/** Bit in a path and number of each table, the lowest bit first. */
const TABLE_BITS: readonly (readonly [bit: number, number: number])[] = Object.entries(NUMBERS)
  .map(([name, number]) => [Table[name as keyof typeof Table], number] as const)
  .sort(([a], [b]) => a - b);

assert(
  REASON_COUNT === REASONS.length,
  `abi.ts: REASON_COUNT is ${REASON_COUNT} of ${REASONS.length} reasons`,
);
assert(REASONS.length <= OUTCOMES_A_PATH, `abi.ts: REASON_BITS are too few for ${REASONS.length} reasons`);
assert(
  PATH_COUNT === 1 << TABLE_BITS.length,
  `abi.ts: PATH_COUNT is ${PATH_COUNT} for ${TABLE_BITS.length} tables`,
);

/** Table numbers in the order of the bits of a path, the lowest first. */
export const TABLES: readonly number[] = TABLE_BITS.map(([, number]) => number);

/** The numbers of the tables on a path, in the order in which a frame met them. */
export function tablesOf(path: number): number[] {
  return TABLE_BITS.filter(([bit]) => (path & bit) !== 0).map(([, number]) => number);
}
