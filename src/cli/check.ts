/** `slash32 check INTENT`: validates an intent, prints a summary. */
import { formatProblem, loadIntent } from "../intent/index.ts";
import { type CheckReport, checkJson, checkText } from "../report/index.ts";
import { type Context, print, refuseOverwriting, say, writeReport } from "./context.ts";
import { UsageError } from "./errors.ts";

export function check(context: Context): number {
  const paths = [
    ...context.positionals,
    ...(context.text("intent") === undefined ? [] : [context.text("intent")!]),
  ];
  if (paths.length !== 1) throw new UsageError("check needs one intent: slash32 check INTENT");
  refuseOverwriting(context, ["report"], paths[0]!);
  const report = reportOf(paths[0]!);
  const file = context.text("report");
  if (file !== undefined && file !== "-" && !/\.(nd)?json$/.test(file)) {
    throw new UsageError(`--report ${file}: check writes .json and .ndjson, and JSON to -`);
  }
  if (file !== undefined) writeReport(file, `${checkJson(report)}\n`);
  if (context.format !== "text") {
    print(`${checkJson(report)}\n`);
  } else {
    for (const error of report.errors) say(formatProblem(error));
    if (!context.isQuiet) {
      for (const warning of report.warnings) say(`${formatProblem(warning)} (warning)`);
      print(checkText(report, context.palette(1)));
    }
  }
  return report.errors.length === 0 ? 0 : 1;
}

function reportOf(path: string): CheckReport {
  const { intent, errors, warnings } = loadIntent(path);
  if (intent === null) return { errors, warnings, vms: 0, routes: 0, summary: null };
  const { name, bridge, label, uplink, vms, routes } = intent;
  const paths = new Map<string, number>();
  for (const { path: kind } of vms) paths.set(kind, (paths.get(kind) ?? 0) + 1);
  return {
    errors,
    warnings,
    vms: vms.length,
    routes: routes.count,
    summary: {
      name,
      bridge,
      label,
      uplink: `${uplink.port} (${uplink.ofport})`,
      addresses: vms.reduce((sum, { addresses }) => sum + addresses.length, 0),
      nextHops: routes.nextHops.length,
      paths,
    },
  };
}
