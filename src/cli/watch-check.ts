/**
 * One check of `slash32 watch`, in a second thread: dumps the bridge, and if the dump differs from the one
 * that was judged last, proves that it does what the golden file does, and prints the verdict. A thread of
 * its own for each check keeps nothing of the last one: names, files and memory are new.
 */
import { basename } from "node:path";
import { isUserError } from "../errors/index.ts";
import { SwitchError } from "../host/index.ts";
import { parsePorts } from "../openflow/index.ts";
import type { VerifyReport } from "../report/index.ts";
import { bundleAt } from "./bundle-input.ts";
import { type Context, print } from "./context.ts";
import { offerNames } from "./names.ts";
import { work } from "./second-thread.ts";
import { answer, inputSide, judgementOf, optionsOf, readInput } from "./verify.ts";
import { bridgeSide, liveBridge } from "./verify-inputs.ts";

/** What a check is given: the fingerprint of the dump that was judged last; null: none. */
export interface CheckInput {
  readonly judged: string | null;
}

export type CheckResult =
  | { readonly what: "same" }
  | {
      readonly what: "verdict";
      readonly verdict: VerifyReport["verdict"];
      readonly fingerprint: string;
      readonly seconds: number;
      readonly differences: number;
    }
  /** `isAway`: the bridge cannot be read, which may change by itself. */
  | { readonly what: "error"; readonly message: string; readonly isAway: boolean };

export async function check(context: Context): Promise<number> {
  try {
    return await compared(context);
  } catch (error) {
    if (!isUserError(error)) throw error;
    post({ what: "error", message: error.message, isAway: error instanceof SwitchError });
    return 1;
  }
}

const post = (result: CheckResult): void => work.post(result);

async function compared(context: Context): Promise<number> {
  const [name, golden] = [context.text("bridge")!, context.text("golden")!];
  const { judged } = work.given<CheckInput>();
  const options = optionsOf(context);
  const live = liveBridge(context, name);
  if (live.fingerprint === judged) {
    post({ what: "same" });
    return 0;
  }
  const at = new Date().toISOString();
  const bundled = await bundleAt(context, golden, "bridge", basename(name, ".mgmt"));
  const { ports } = parsePorts(live.ports, `ports of ${name}`);
  offerNames(context, [...(bundled === null ? [] : [bundled]), { ports, tables: new Map() }]);
  const input = readInput(context, golden, bundled);
  const names = input.loaded === null ? null : { intent: input.loaded.intent, path: golden };
  const sides = { names, groupsOption: "groups" };
  const a = inputSide(context, input, sides);
  const judgement = judgementOf(context, options, "watch", a, bridgeSide(context, name, sides, live));
  const report = { ...judgement.report, at };
  const { verdict, seconds, differences } = report;
  const { fingerprint } = live;
  // Before it is printed: who reads the verdict and sends a signal gets its exit status.
  post({ what: "verdict", verdict, seconds, fingerprint, differences: differences.length });
  if (context.format === "text" && !context.isQuiet) print(`${at}\n`);
  return answer(context, options, { ...judgement, report });
}
