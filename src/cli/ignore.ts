/** `--ignore`: parts of an outcome that verify, diff and the agent do not compare. */
import { IGNORABLE, type Ignored } from "../verify/index.ts";
import type { Context } from "./context.ts";
import { UsageError } from "./errors.ts";

/** `queue,mark`: parts of an outcome that are not compared. Throws UsageError. */
export function ignoredGiven(context: Context): ReadonlySet<Ignored> {
  const text = context.text("ignore");
  if (text === undefined) return new Set();
  const isPart = (part: string): part is Ignored => (IGNORABLE as readonly string[]).includes(part);
  return new Set(
    text.split(",").map(part => {
      if (isPart(part)) return part;
      throw new UsageError(`--ignore: "${part}" is not a part; expected ${IGNORABLE.join(", ")}`);
    }),
  );
}
