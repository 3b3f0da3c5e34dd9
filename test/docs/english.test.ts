/**
 * Counts phrases that are hard to read, in the documents, in the help and in the messages of src/. Each area has a
 * ceiling for each phrase, which may only fall: whoever rewrites a text lowers it in the same commit. Code blocks and
 * `code` in documents are not counted, because they quote programs. Messages are the string literals of src/ that hold
 * a blank, found by TypeScript's own parser.
 */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { assert, suite, WAIT_MS } from "../harness.ts";

const test = suite("docs/english");
const root = join(import.meta.dirname, "../..");

const PHRASES = {
  /** A sentence or clause that starts with a free relative and is not a question. */
  "free relative":
    /(?:^|[.!:;|(>–—]\s+|[-*]\s+|#\s+|,\s+(?!whose))["“'*_]*(?:what|whose|which of)\b(?![^.!?|]*\?)/gim,
  /** The noun is negated instead of the verb. `There is no …` and `is no longer` are usual English. */
  "is no X": /(?<!\bthere )\b(?:is|are|was|were|be) no (?!longer\b|more\b|less\b|later\b)\w/gi,
  "is said":
    /\b(?:is|are|was|were|be|been|being) (?:\w+ly )?(?:said|told|looked at)\b|\bheld (?:\w+ )?against\b/gi,
  "would be right": /\bwould be right\b/gi,
} as const;

type Phrase = keyof typeof PHRASES;
type Counts = Readonly<Record<Phrase, number>>;

const NAMES = Object.keys(PHRASES) as Phrase[];
const NONE: Counts = { "free relative": 0, "is no X": 0, "is said": 0, "would be right": 0 };

const CEILINGS: Readonly<Record<"docs" | "help" | "src", Counts>> = {
  docs: NONE,
  help: NONE,
  src: NONE,
};

const COMMANDS = [
  "",
  "check",
  "replay",
  "compile",
  "trace",
  "verify",
  "diff",
  "watch",
  "agent",
  "init",
  "live",
  "bench",
];

/** The text of a page without code and comments, one block (paragraph, list item, row, heading) a line. */
function prose(markdown: string): string {
  return markdown
    .replace(/^```[\s\S]*?^```$/gm, "")
    .replace(/<!--[\s\S]*?-->/g, "")
    .replace(/`[^`]*`/g, "CODE")
    .replace(/([^\n])\n(?=[^\n|#])(?!\s*(?:[-*]|\d+\.) )/g, "$1 ");
}

function matchesOf(phrase: Phrase, text: string): string[] {
  return [...text.matchAll(PHRASES[phrase])].map(({ index, 0: found }) =>
    text.slice(Math.max(0, index - 20), index + found.length + 40).replaceAll("\n", " "),
  );
}

/** The string literals of a source file that hold a blank; a substitution is `…`. */
function messagesOf(source: string): string[] {
  const found: string[] = [];
  const keep = (text: string): void => {
    if (text.includes(" ")) found.push(text);
  };
  const visit = (node: ts.Node): void => {
    if (ts.isStringLiteralLike(node)) keep(node.text);
    if (ts.isTemplateExpression(node)) {
      keep([node.head.text, ...node.templateSpans.map(({ literal }) => literal.text)].join("…"));
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile("message.ts", source, ts.ScriptTarget.Latest));
  return found;
}

const pages = (): string[] => [
  ...readdirSync(root).filter(name => name.endsWith(".md")),
  ...readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
    .filter(name => name.endsWith(".md"))
    .map(name => `docs/${name}`),
];

const sources = (): string[] =>
  readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
    .filter(name => name.endsWith(".ts"))
    .map(name => `src/${name}`);

/** The help of all commands: each option and paragraph once, on one line. */
function help(): string {
  const blocks = COMMANDS.flatMap(command => {
    const words = command === "" ? ["--help"] : [command, "--help"];
    const program = join(root, "bin/slash32");
    const ran = spawnSync(process.execPath, [program, ...words], { encoding: "utf8", timeout: WAIT_MS });
    assert.is(ran.status, 0, `${words.join(" ")}: ${ran.stderr}`);
    return ran.stdout.replace(/([^\n])\n(?=\S)/g, "$1 ").split("\n");
  });
  return [...new Set(blocks.map(block => block.trim()))].join("\n");
}

const read = (name: string): string => readFileSync(join(root, name), "utf8");

/** The texts of each area, by the name of their file or command. */
const TEXTS: Readonly<Record<keyof typeof CEILINGS, () => [string, string][]>> = {
  docs: () => pages().map(name => [name, prose(read(name))]),
  help: () => [["--help", help()]],
  src: () => sources().map(name => [name, messagesOf(read(name)).join("\n")]),
};

/** What is above its ceiling, with its places, and the counts that allow a lower ceiling. */
function judged(texts: readonly [string, string][], ceilings: Counts): { above: string; lower: string[] } {
  const above: string[] = [];
  const lower: string[] = [];
  for (const phrase of NAMES) {
    const found = texts.flatMap(([name, text]) => matchesOf(phrase, text).map(hit => `  ${name}: ${hit}`));
    const ceiling = ceilings[phrase];
    if (found.length > ceiling) above.push(`"${phrase}": ${found.length}, ceiling ${ceiling}`, ...found);
    if (found.length < ceiling) lower.push(`"${phrase}": ${found.length}, ceiling ${ceiling}`);
  }
  return { above: above.join("\n"), lower };
}

for (const area of Object.keys(CEILINGS) as (keyof typeof CEILINGS)[]) {
  test(`${area}: no count is above its ceiling`, () => {
    const texts = TEXTS[area]();
    assert.ok(texts.some(([, text]) => text.length > 1000));
    const { above, lower } = judged(texts, CEILINGS[area]);
    for (const line of lower) process.stdout.write(`\n  ${area}: ${line}; lower it\n`);
    assert.is(above, "");
  });
}

test("a count above its ceiling is reported with its place, one below it asks for a lower ceiling", () => {
  const texts: [string, string][] = [["a.md", "That is no port."]];
  assert.match(judged(texts, NONE).above, "a.md: That is no p");
  assert.equal(judged(texts, { ...NONE, "is no X": 2 }), { above: "", lower: ['"is no X": 1, ceiling 2'] });
});

/** Texts with one phrase each, and texts that look alike and have none. */
const SAMPLES: Readonly<Record<Phrase, readonly [found: readonly string[], not: readonly string[]]>> = {
  "free relative": [
    [
      "What remembers or guesses is not.",
      "It ends. What follows counts.",
      "one line: what is wrong",
      "| a | what the report says |",
      "## What is trusted",
      "Whose a cookie is in a table.",
      "- which of them matched",
      "two files, what they hold, and more",
    ],
    [
      "What would the switch do?",
      "slash32 prints what it finds.",
      "a VM, whose port is 11",
      "somewhat: a little",
    ],
  ],
  "is no X": [
    ["VLAN is no key of a VM", "these are no flows", "a number that was no port"],
    ["there is no route", "it is no longer used", "no flow is left"],
  ],
  "is said": [
    [
      "the rest is said",
      "a kernel without tun is told",
      "frames are not read or are looked at",
      "it is held against the switch",
      "held them against",
    ],
    ["it says so", "the table is looked up", "held by another"],
  ],
  "would be right": [["0700 would be right"], ["that is right"]],
};

for (const phrase of NAMES) {
  test(`a text with "${phrase}" is found, and one without is not`, () => {
    const [found, not] = SAMPLES[phrase];
    for (const text of found) assert.is(matchesOf(phrase, prose(text)).length, 1, text);
    for (const text of not) assert.is(matchesOf(phrase, prose(text)).length, 0, text);
  });
}

test("a phrase is found across lines, and not in code", () => {
  const page =
    "A port\nthat is\nno port. `this is no flow`\n\n```text\nthat is no row\n```\n\n- first\n- What counts.\n";
  assert.is(matchesOf("is no X", prose(page)).length, 1);
  assert.is(matchesOf("free relative", prose(page)).length, 1);
});

test("messages are found in strings and templates, and not in comments", () => {
  const source =
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is source text.
    'const a = "this is no port"; // what is no port\nconst b = `${a} would be right`; const c = "word";';
  assert.equal(messagesOf(source), ["this is no port", "… would be right"]);
});

test.run();
