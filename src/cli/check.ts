/** The work of `slash32 check`: loads an intent, prints diagnostics and a summary, or JSON. */
import { formatDiagnostic } from "../errors/index.ts";
import { type Loaded, loadIntent } from "../intent/index.ts";
import { type CheckReport, checkJson, checkText } from "../report/index.ts";
import { oneIntent } from "./checks.ts";
import { type Context, print, say, writeReport } from "./context.ts";

export function check(context: Context): number {
  const loaded = loadIntent(oneIntent(context));
  const report = reportOf(loaded);
  const file = context.text("report");
  if (file !== undefined) writeReport(file, `${checkJson(report)}\n`);
  if (context.format !== "text") {
    print(`${checkJson(report)}\n`);
  } else {
    for (const error of loaded.errors) say(formatDiagnostic(error));
    if (!context.isQuiet) {
      for (const warning of loaded.warnings) say(`${formatDiagnostic(warning)} (warning)`);
      print(checkText(report, context.palette(1)));
    }
  }
  return report.errors.length === 0 ? 0 : 1;
}

function reportOf({ intent, errors, warnings }: Loaded): CheckReport {
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
