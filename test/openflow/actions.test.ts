/**
 * The table of actions: every entry has all that is made of it, in every OpenFlow version that it claims, and
 * the compiler refuses an action that lacks an entry or a meaning.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import {
  ACTION_FEATURES,
  ACTIONS,
  type ActionEntry,
  type ActionKind,
  canonicalText,
  type Flow,
  formatActions,
  formatMatch,
  kindOf,
  type ParseOptions,
  type Protocol,
  parseFlow,
} from "../../src/openflow/index.ts";
import { assert, peer, suite } from "../harness.ts";
import { askOfctl } from "./ofctl.ts";

const test = suite("openflow: the table of actions");
const root = join(import.meta.dirname, "../..");
const VERSIONS: readonly Protocol[] = ["OpenFlow10", "OpenFlow13", "OpenFlow15"];
const KINDS = Object.keys(ACTIONS) as ActionKind[];
const entryOf = (kind: ActionKind): ActionEntry => ACTIONS[kind] as unknown as ActionEntry;

/** Every spelling with its example. */
const EXAMPLES = KINDS.flatMap(kind =>
  Object.entries(entryOf(kind).spellings).map(([name, { example }]) => ({ kind, name, example })),
);

/** The flow of a line that must have no problem. */
function flowOf(line: string, options: ParseOptions = {}): Flow {
  const { flow, problems } = parseFlow(line, { file: "example", line: 1 }, options);
  assert.equal(problems, [], line);
  return flow!;
}

/** A flow as a switch prints it in a version. */
function printed({ match, priority, actions }: Flow, version: Protocol): string {
  const head = formatMatch(match, priority);
  return `${head}${head === "" ? "" : " "}actions=${formatActions(actions, { version }, match)}`;
}

test("every spelling parses to its action, in any case", () => {
  for (const { kind, name, example } of EXAMPLES) {
    assert.is(name, name.toLowerCase());
    assert.ok(example.includes(`actions=${name}`), `${name}: ${example}`);
    const flow = flowOf(example);
    assert.ok(
      flow.actions.some(action => kindOf(action) === kind),
      `${example} has ${kind}`,
    );
    const loud = example.replace(`actions=${name}`, `actions=${name.toUpperCase()}`);
    assert.is(canonicalText(flowOf(loud).actions), canonicalText(flow.actions), loud);
  }
});

test("an action prints as it was written", () => {
  for (const { example } of EXAMPLES) {
    const { actions, match } = flowOf(example);
    const text = formatActions(actions, {}, match);
    const again = flowOf(example.replace(/actions=.*/, () => `actions=${text}`));
    assert.is(canonicalText(again.actions), canonicalText(actions), example);
    assert.is(formatActions(again.actions, {}, match), text, example);
  }
});

/**
 * OpenFlow 1.0 has no action that sets the VLAN of a tagged packet only: a switch prints mod_vlan_… there.
 */
const LOSSY_IN_10 = ["set_vlan_vid", "set_vlan_pcp"];

test("an action survives printing and parsing in every OpenFlow version that it claims", () => {
  for (const { kind, name, example } of EXAMPLES)
    for (const version of entryOf(kind).versions) {
      const flow = flowOf(example, { protocol: version });
      const text = printed(flow, version);
      const again = flowOf(text, { version, isPrinted: true });
      assert.is(printed(again, version), text, `${example} in ${version}`);
      if (version === "OpenFlow10" && LOSSY_IN_10.includes(name)) continue;
      assert.is(canonicalText(again.actions), canonicalText(flow.actions), `${example} in ${version}`);
    }
});

test("ovs-ofctl sends an action in the versions that its entry claims, and in no other", () => {
  peer("ovs-ofctl");
  for (const version of VERSIONS) {
    const lines = EXAMPLES.map(({ example }) => example);
    const claimed = EXAMPLES.map(({ kind }) => entryOf(kind).versions.includes(version));
    const answers = askOfctl(version, lines, claimed);
    for (const [index, line] of lines.entries()) {
      // ovs-ofctl takes an instruction in OpenFlow 1.0 and sends something else, or nothing, in its place.
      const isSent =
        answers[index] !== null &&
        (claimed[index]! || !/ ?actions=(drop|resubmit.*)$/.test(answers[index] ?? ""));
      assert.is(isSent, claimed[index], `${line} in ${version}: ${answers[index]}`);
      if (claimed[index]) assert.is(printed(flowOf(line, { protocol: version }), version), answers[index]);
    }
  }
});

test("every action has its rows in docs/language.md", () => {
  const page = readFileSync(join(root, "docs/language.md"), "utf8");
  for (const { name } of ACTION_FEATURES) assert.ok(page.includes(`| \`${name}\` |`), name);
  for (const kind of KINDS) {
    const names = [entryOf(kind).title ?? Object.keys(entryOf(kind).spellings)].flat();
    const rows = ACTION_FEATURES.filter(({ name }) => name === names.join(", "));
    assert.is(rows.length, 1, kind);
    assert.is(rows[0]!.support, entryOf(kind).support, kind);
  }
});

test("spellings that entries share are the same", () => {
  const known = new Map<string, unknown>();
  for (const kind of KINDS)
    for (const [name, { parse }] of Object.entries(entryOf(kind).spellings)) {
      assert.is(known.get(name) ?? parse, parse, name);
      known.set(name, parse);
    }
});

// --- What the compiler refuses ---

const AST = "src/openflow/ast.ts";
const ENTRIES = "src/openflow/actions/index.ts";
const COMPILED = "src/openflow/interpret/compile-actions.ts";

/** A change of one file, and the files that must not compile after it. */
interface Mutant {
  readonly name: string;
  readonly file: string;
  readonly find: string;
  readonly put: string;
  readonly refused: readonly string[];
}

const MUTANTS: readonly Mutant[] = [
  {
    name: "an action without an entry and without a step",
    file: AST,
    find: '  | { readonly type: "exit" }',
    put: '  | { readonly type: "exit" }\n  | { readonly type: "teleport" }',
    refused: [ENTRIES, COMPILED],
  },
  {
    name: "an action that is kept as text, without an entry and without a step",
    file: AST,
    find: '  | "debug_slow";',
    put: '  | "debug_slow"\n  | "teleport";',
    refused: [ENTRIES, COMPILED],
  },
  {
    name: "a spelling of set without a parser and a printer",
    file: AST,
    find: '  | "set_tunnel64";',
    put: '  | "set_tunnel64"\n  | "set_teleport";',
    refused: ["src/openflow/actions/set.ts"],
  },
  {
    name: "a step that neither the interpreter nor the prover executes",
    file: COMPILED,
    find: '    | { readonly do: "exit" }',
    put: '    | { readonly do: "exit" }\n    | { readonly do: "teleport" }',
    refused: ["src/openflow/interpret/translate.ts", "src/verify/symbolic/machine.ts"],
  },
  ...['print: () => "exit",', 'docs: [""],'].map(find => ({
    name: `an entry without ${find.slice(0, find.indexOf(":"))}`,
    file: "src/openflow/actions/control.ts",
    find: `${find}`,
    put: "",
    refused: ["src/openflow/actions/control.ts"],
  })),
];

const OPTIONS: ts.CompilerOptions = {
  ...ts.convertCompilerOptionsFromJson(
    ts.readConfigFile(join(root, "tsconfig.json"), ts.sys.readFile).config.compilerOptions,
    root,
  ).options,
  types: [],
  incremental: false,
};

/** The files among `wanted` in which the compiler finds an error, with the text of one file replaced. */
function refusedFiles(file: string, text: string | null, wanted: readonly string[], old?: ts.Program) {
  const host = ts.createCompilerHost(OPTIONS);
  const changed = join(root, file);
  const getSourceFile = host.getSourceFile.bind(host);
  host.getSourceFile = (name, language, ...rest) => {
    if (name === changed && text !== null) return ts.createSourceFile(name, text, language, true);
    return old?.getSourceFile(name) ?? getSourceFile(name, language, ...rest);
  };
  const roots = [...new Set(MUTANTS.flatMap(({ refused }) => refused))].map(name => join(root, name));
  const program = ts.createProgram(roots, OPTIONS, host);
  const refused = wanted.filter(name => {
    const source = program.getSourceFile(join(root, name));
    assert.ok(source !== undefined, name);
    return program.getSemanticDiagnostics(source).length > 0;
  });
  return { program, refused };
}

test("canaries: the compiler refuses an action without an entry, a printer or a meaning", () => {
  const files = [...new Set(MUTANTS.flatMap(({ refused }) => refused))];
  const whole = refusedFiles(AST, null, files);
  assert.equal(whole.refused, [], "the right one compiles");
  for (const { name, file, find, put, refused } of MUTANTS) {
    const text = readFileSync(join(root, file), "utf8");
    assert.ok(text.includes(find), `${file} has ${find}`);
    assert.equal(refusedFiles(file, text.replace(find, put), refused, whole.program).refused, refused, name);
  }
});

test.run();
