/**
 * A canary for each trap: a member is added to a union, an enum or a registry, in memory, and the compiler
 * or a check at the start of the program must refuse it. Where nothing refused, the new member would be
 * ignored in silence somewhere.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { bundleModule } from "../bundle.ts";
import { assert, suite } from "../harness.ts";
import { errorsIn, programOf, root } from "./program.ts";

const test = suite("canaries");

const program = programOf();

interface Canary {
  readonly title: string;
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  /** The file in which the compiler reports it, and what it names. */
  readonly where: string;
  readonly names: RegExp;
}

const CANARIES: readonly Canary[] = [
  {
    title: "a table of the pipeline, without its number",
    file: "assembly/abi.ts",
    find: "  Bridge = 32,",
    replace: "  Bridge = 32,\n  Canary = 64,",
    where: "src/core/names.ts",
    names: /'Canary' is missing/,
  },
  {
    title: "a verdict of the core, which no report prints",
    file: "assembly/abi.ts",
    find: "  Reply = 2,",
    replace: "  Reply = 2,\n  Canary = 3,",
    where: "src/cli/tracers.ts",
    names: /"canary"/,
  },
  {
    title: "a drop reason that is renamed, where code compares with its name",
    file: "assembly/abi.ts",
    find: "TtlExpired = 13",
    replace: "Canary = 13",
    where: "src/cli/tracers.ts",
    names: /"ttl-expired"/,
  },
  {
    title: "a part of an outcome for --ignore, which no report explains",
    file: "src/verify/product/event-order.ts",
    find: '"sample", "order"] as const',
    replace: '"sample", "order", "canary"] as const',
    where: "src/cli/verify-report.ts",
    names: /canary/,
  },
  {
    title: "a step of an action without the words that it writes",
    file: "src/openflow/interpret/compile-actions.ts",
    find: '    | { readonly do: "exit" }',
    replace: '    | { readonly do: "exit" }\n    | { readonly do: "canary" }',
    where: "src/verify/symbolic/writes.ts",
    names: /"canary"/,
  },
  {
    title: "a verdict of verify without exit status",
    file: "src/report/verify.ts",
    find: 'readonly verdict: "equal" | ',
    replace: 'readonly verdict: "canary" | "equal" | ',
    where: "src/cli/verify.ts",
    names: /"canary"/,
  },
  {
    title: "a verdict of verify without color",
    file: "src/report/verify.ts",
    find: 'readonly verdict: "equal" | ',
    replace: 'readonly verdict: "canary" | "equal" | ',
    where: "src/report/verify-text.ts",
    names: /"canary"/,
  },
  {
    title: "a rule of findings without explanation",
    file: "src/report/finding.ts",
    find: 'export type Rule = "difference"',
    replace: 'export type Rule = "canary" | "difference"',
    where: "src/report/finding.ts",
    names: /canary/,
  },
  {
    title: "a format of reports of verify without writer",
    file: "src/cli/proof-outputs.ts",
    find: '".md", ".html"] as const',
    replace: '".md", ".html", ".canary"] as const',
    where: "src/cli/verify.ts",
    names: /\.canary/,
  },
  {
    title: "a format of reports of replay without writer",
    file: "src/cli/commands/replay.ts",
    find: '".ndjson", ".md"] as const',
    replace: '".ndjson", ".md", ".canary"] as const',
    where: "src/cli/replay.ts",
    names: /\.canary/,
  },
  {
    title: "a format of standard output that compile does not print",
    file: "src/cli/context.ts",
    find: 'export type Format = "text"',
    replace: 'export type Format = "canary" | "text"',
    where: "src/cli/compile.ts",
    names: /canary/,
  },
  {
    title: "a command without run",
    file: "src/cli/commands/init.ts",
    find: '  run: async context => (await import("../init.ts")).init(context),\n',
    replace: "",
    where: "src/cli/commands/init.ts",
    names: /'run' is missing/,
  },
  {
    title: "a subcommand without run",
    file: "src/cli/commands/agent.ts",
    find: "    doctor: {",
    replace: '    canary: { summary: "sing" },\n    doctor: {',
    where: "src/cli/commands/agent.ts",
    names: /'run' is missing/,
  },
  {
    title: "a command that is a name only in the registry",
    file: "src/cli/commands/index.ts",
    find: "export const COMMANDS: readonly Command[] = [",
    replace: 'export const COMMANDS: readonly Command[] = ["canary",',
    where: "src/cli/commands/index.ts",
    names: /'string' is not assignable to type 'Command'/,
  },
  {
    title: "an attachment mode without flags in the core",
    file: "src/intent/types.ts",
    find: "export type Path =",
    replace: 'export type Path = "canary" |',
    where: "src/core/pack.ts",
    names: /canary/,
  },
];

for (const { title, file, find, replace, where, names } of CANARIES)
  test(`canary: ${title}`, () => {
    const text = readFileSync(join(root, file), "utf8");
    assert.is(text.split(find).length, 2, `${file} has the text to replace once`);
    const errors = errorsIn(programOf({ [file]: text.replace(find, replace) }, program), [where]);
    assert.ok(
      errors.some(error => names.test(error)),
      `${where}: ${errors.join("\n") || "no error"}`,
    );
  });

test("without a canary these files have no errors", () => {
  assert.equal(errorsIn(program, [...new Set(CANARIES.map(({ where }) => where))]), []);
});

// ── Counts that the compiler cannot check are checked when the program starts ──────────────────────────────

const ABI = "assembly/abi.ts";
const LAST_REASON = "  SamePort = 18,\n";

/** The error of loading the core's names with another abi.ts, or "". */
async function startWith(edit: (text: string) => string): Promise<string> {
  const text = readFileSync(join(root, ABI), "utf8");
  assert.not.equal(edit(text), text, "the edit finds its text");
  const module = await bundleModule("src/core/names.ts", (path, source) =>
    path === ABI ? edit(source) : source,
  );
  try {
    await import(module);
    return "";
  } catch (error) {
    return (error as Error).message;
  }
}

const reasons = (count: number): string =>
  Array.from({ length: count }, (_, index) => `  Canary${index} = ${19 + index},\n`).join("");

test("canary: a drop reason that REASON_COUNT does not count", async () => {
  const message = await startWith(text => text.replace(LAST_REASON, LAST_REASON + reasons(1)));
  assert.match(message, "REASON_COUNT is 19 of 20 reasons");
});

test("canary: more drop reasons than an outcome has bits for", async () => {
  const message = await startWith(text =>
    text
      .replace(LAST_REASON, LAST_REASON + reasons(14))
      .replace("REASON_COUNT: u32 = Reason.SamePort + 1", "REASON_COUNT: u32 = 33"),
  );
  assert.match(message, "REASON_BITS are too few for 33 reasons");
});

test("canary: a gap in the numbers of drop reasons", async () => {
  assert.match(
    await startWith(text => text.replace("SamePort = 18", "SamePort = 19")),
    "SamePort is 19, expected 18",
  );
});

test("canary: paths of fewer tables than there are", async () => {
  const message = await startWith(text =>
    text.replace("PATH_COUNT: u32 = Table.Bridge << 1", "PATH_COUNT: u32 = Table.Remote << 1"),
  );
  assert.match(message, "PATH_COUNT is 32 for 6 tables");
});

test.run();
