/**
 * Types of the JSON that `slash32 bench --format json` prints, for the plots and the guard, which only read
 * results. Most fields are optional: each row gives the fields that it has, and readers skip a case without
 * the fields that they need.
 */

/** One figure beside one yardstick; several yardsticks make several of them with the same name. */
export interface BenchCase {
  readonly section: string;
  readonly name: string;
  /** Entries in the table that decides. */
  readonly entries?: number | null;
  /** How entries are drawn: uniform, zipf. */
  readonly distribution?: string | null;
  /** How addresses lie: scattered, dense. */
  readonly addresses?: string | null;
  /** What the core is asked for: judge, write. */
  readonly mode?: string | null;
  readonly ns_per_frame?: number;
  /** Least and greatest sample, in the unit of the figure. */
  readonly min?: number;
  readonly max?: number;
  readonly yardstick?: string | null;
  readonly yardstick_ns_per_frame?: number | null;
  readonly yardstick_min?: number | null;
  readonly yardstick_max?: number | null;
  /** Ours over theirs, of the medians; and the least and greatest of single rounds. */
  readonly ratio?: number | null;
  readonly ratio_min?: number | null;
  readonly ratio_max?: number | null;
  /** The most that `ratio` should be, where that is asked for. */
  readonly ratio_target?: number | null;
}

export interface Bench {
  readonly machine: string;
  readonly commit: string;
  /** YYYY-MM-DD. */
  readonly date: string;
  /** Which form was run: short, long. */
  readonly effort: string;
  readonly cases: readonly BenchCase[];
}

/** The result that `jsonOf` wrote. */
export function benchOf(json: string): Bench {
  return JSON.parse(json) as Bench;
}

/** Whether a yardstick is the C program that does the same work. */
export function isC(name: string | null | undefined): boolean {
  return name?.startsWith("gcc") ?? false;
}

/** 1k, 100k, 1M: entries in few letters. */
export function shortCount(count: number): string {
  if (count >= 1e6) return `${Number((count / 1e6).toPrecision(3))}M`;
  if (count >= 1e3) return `${Number((count / 1e3).toPrecision(3))}k`;
  return String(count);
}

/** The name of a case and what else it says of itself, but for what the name says already. */
export function labelOf(one: BenchCase, parts: readonly (keyof BenchCase)[]): string {
  const words = parts.flatMap(part => {
    const value = one[part];
    if (value === null || value === undefined) return [];
    const word = part === "entries" ? `${shortCount(Number(value))} entries` : String(value);
    return one.name.includes(word) ? [] : [word];
  });
  return [one.name, ...words].join(", ");
}
