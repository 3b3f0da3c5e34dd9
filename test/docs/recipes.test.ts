/** The recipes for CI in docs/verify.md: read as YAML, their shell lines run, once on flows that hold and once on others. */

import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { parseIntent } from "../../src/intent/index.ts";
import { Flows, flowText } from "../../src/pipeline/index.ts";
import { Folder, INTENT } from "../cli/base.ts";
import { assert, suite } from "../harness.ts";
import { junitProblems, sarifProblems } from "../report/schemas.ts";

const test = suite("recipes");
const ROOT = join(import.meta.dirname, "..", "..");
const manual = readFileSync(join(ROOT, "docs", "verify.md"), "utf8");
const LINES = [...new Flows(parseIntent(INTENT, "hv1.yaml", ".").intent!)].map(flowText);

function recipe(name: string): { text: string; value: unknown } {
  const text = new RegExp(`<!-- recipe ${name} -->\n\`\`\`yaml\n([\\s\\S]*?)\`\`\``).exec(manual)?.[1];
  assert.ok(text !== undefined, `docs/verify.md has a recipe for ${name}`);
  return { text: text!, value: parse(text!) };
}

/** The package as docs/verify.md makes it, which the recipes take apart. */
function pack(folder: Folder): void {
  const words = ["pack", "--ignore-scripts", "--silent", "--pack-destination", folder.path];
  const name = execFileSync("npm", words, { cwd: ROOT, encoding: "utf8" }).trim();
  renameSync(folder.at(name), folder.at("slash32.tgz"));
}

/** Runs a recipe's lines as a runner does: in a folder without this program, and without a registry. */
function runLines(folder: Folder, lines: readonly string[], env: Record<string, string>): number | null {
  const script = ["set -e", `node() { "${process.execPath}" "$@"; }`, ...lines].join("\n");
  return folder.shell(script, { env }).code;
}

interface Step {
  readonly run?: string;
  readonly uses?: string;
  readonly with?: { readonly sarif_file?: string };
}

const CASES: readonly {
  name: string;
  lines: (value: unknown) => string[];
  report: string;
  check: (text: string) => string;
}[] = [
  {
    name: "github",
    lines: value =>
      (value as { jobs: { flows: { steps: Step[] } } }).jobs.flows.steps.flatMap(({ run }) => run ?? []),
    report: "flows.sarif",
    check: sarifProblems,
  },
  {
    name: "gitlab",
    lines: value => (value as { flows: { script: string[] } }).flows.script,
    report: "flows.xml",
    check: junitProblems,
  },
];

for (const { name, lines, report, check } of CASES) {
  test(`${name}: about ten lines, which pass and fail as they should and leave a valid report`, () => {
    const { text, value } = recipe(name);
    assert.ok(text.trim().split("\n").length <= 13);
    assert.match(text, report);
    assert.not.match(text, "npx", "that would run whatever has the name on the registry");
    const folder = new Folder({ "hv1.yaml": INTENT, "br0.flows": `${LINES.join("\n")}\n` });
    pack(folder);
    const env = { GITHUB_ACTIONS: String(name === "github"), GITHUB_STEP_SUMMARY: folder.at("summary.md") };
    assert.is(runLines(folder, lines(value), env), 0);
    assert.is(check(folder.read(report).toString()), "");
    rmSync(folder.at(report));
    writeFileSync(folder.at("br0.flows"), `${LINES.join("\n").replace("3003", "3004")}\n`);
    assert.is(runLines(folder, lines(value), env), 2);
    assert.is(check(folder.read(report).toString()), "");
    assert.is(existsSync(folder.at("summary.md")), name === "github");
    folder.remove();
  });
}

test.run();
