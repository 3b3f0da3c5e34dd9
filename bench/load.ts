/**
 * A program of its own, so that each load is the first of its process, as for users: loads an intent and
 * fills a core's tables, parses a dump of flows, or only reads and splits a file. Prints the seconds as JSON.
 * Usage: `load.ts intent|flows|split FILE`.
 */
import { readFileSync } from "node:fs";
import { Core } from "../src/core/index.ts";
import { loadIntent } from "../src/intent/index.ts";
import { FlowColumns } from "../src/openflow/index.ts";

function timed<T>(run: () => T): { seconds: number; value: T } {
  const start = process.hrtime.bigint();
  const value = run();
  return { seconds: Number(process.hrtime.bigint() - start) / 1e9, value };
}

const [what, file] = process.argv.slice(2);
if (what === "split") {
  const { seconds, value } = timed(() => readFileSync(file!, "utf8").split("\n"));
  process.stdout.write(`${JSON.stringify({ split: seconds, lines: value.length })}\n`);
} else if (what === "flows") {
  const bytes = readFileSync(file!);
  const { seconds, value } = timed(() => new FlowColumns(bytes, file!));
  if (value.errorCount > 0) throw new Error(value.problems[0]!.message);
  // The kernel counts in 1024 bytes.
  const megabytes = (process.resourceUsage().maxRSS * 1024) / 1e6;
  process.stdout.write(`${JSON.stringify({ parse: seconds, flows: value.count, megabytes })}\n`);
} else {
  const core = Core.load();
  const loaded = timed(() => loadIntent(file!));
  const { intent, errors } = loaded.value;
  if (intent === null) throw new Error(errors[0]!.message);
  const packed = timed(() => core.install(intent));
  const routes = intent.routes.count;
  process.stdout.write(`${JSON.stringify({ load: loaded.seconds, pack: packed.seconds, routes })}\n`);
}
