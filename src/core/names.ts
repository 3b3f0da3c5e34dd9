/**
 * Names of verdicts and drop reasons, as every report, option and comment spells them. Derived from the enums of
 * assembly/abi.ts, so that there is one list.
 */
import { REASON_COUNT, Reason, Table, Verdict } from "../../assembly/abi.ts";

export type VerdictName = "drop" | "output" | "reply";

/** Index: the number of a verdict. */
export const VERDICTS: readonly VerdictName[] = [Verdict.Drop, Verdict.Output, Verdict.Reply].map(
  verdict => kebab(Verdict[verdict]!) as VerdictName,
);

/** Index: the number of a reason, `too-short` is 1; index 0 is no reason. */
export const REASONS: readonly string[] = Array.from({ length: REASON_COUNT }, (_, index) =>
  kebab(Reason[index]!),
);

/** Table numbers in the order of the bits of a path, the lowest first. */
const TABLE_NUMBERS: ReadonlyMap<Table, number> = new Map([
  [Table.Classify, 0],
  [Table.Label, 10],
  [Table.Arp, 20],
  [Table.Local, 30],
  [Table.Remote, 40],
  [Table.Bridge, 50],
]);

export const TABLES: readonly number[] = [...TABLE_NUMBERS.values()];

/** The numbers of the tables on a path, in the order in which a frame met them. */
export function tablesOf(path: number): number[] {
  return [...TABLE_NUMBERS].filter(([bit]) => (path & bit) !== 0).map(([, number]) => number);
}

function kebab(name: string): string {
  return name.replace(/(?<!^)[A-Z]/g, "-$&").toLowerCase();
}
