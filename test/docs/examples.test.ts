/**
 * Runs what the manual shows, so that it cannot rot. In README.md, docs/*.md and docs/dev/*.md a ```sh block is run when
 * the line before it is a marker; each document has a temporary folder of its own that looks like the repository's root, and
 * its blocks run there in order, each as one script of `sh -e`.
 *
 *   <!-- run -->                           exit code 0 is expected
 *   <!-- run: exit 1, needs tshark, needs jq -->   another exit code; skipped without these programs
 *   <!-- output -->                        a ```text block: what the block before printed; … stands for anything
 *   <!-- file: NAME -->                    a block of any kind, saved as NAME for the blocks after it
 */
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assert, peer, suite, WAIT_MS } from "../harness.ts";

const test = suite("docs/examples");

const root = join(import.meta.dirname, "../..");
const BLOCK_TIMEOUT_MS = WAIT_MS;

interface Block {
  /** `run`, `output` or `file`, and the text after the colon. */
  readonly kind: string;
  readonly details: string;
  readonly language: string;
  readonly text: string;
  /** Line of the marker, from 1. */
  readonly line: number;
}

const MARKED = /^<!-- (run|output|file)(?:: (.*))? -->\n```(\w*)\n([\s\S]*?)^```$/gm;

function blocksOf(markdown: string): Block[] {
  return [...markdown.matchAll(MARKED)].map(match => {
    const [, kind = "", details = "", language = "", text = ""] = match;
    return { kind, details, language, text, line: markdown.slice(0, match.index).split("\n").length };
  });
}

const folders: string[] = [];
process.on("exit", () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A folder with a link to everything in the repository's root; it is removed when the process ends. */
function workFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "slash32-docs-"));
  folders.push(folder);
  for (const name of readdirSync(root)) {
    if (name !== ".git") symlinkSync(join(root, name), join(folder, name));
  }
  return folder;
}

/** The demands of a marker on a run: `exit 1, needs tshark`. */
function demands(details: string): { exit: number; needs: string[] } {
  let exit = 0;
  const needs: string[] = [];
  for (const word of details.split(",").map(part => part.trim())) {
    const [, what, value] = /^(exit|needs) ([\w-]+)$/.exec(word) ?? [];
    if (what === "exit") exit = Number(value);
    else if (what === "needs") needs.push(value!);
    else assert.is(word, "", "a marker says exit N or needs PROGRAM");
  }
  return { exit, needs };
}

/** A pattern for the output in a document: `…` matches any text, all other characters match themselves. */
function shown(text: string): RegExp {
  const parts = text.trim().split("…");
  return new RegExp(`^${parts.map(part => part.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")).join("[^]*?")}$`);
}

const documents = [
  "README.md",
  ...["docs", "docs/dev"].flatMap(folder => readdirSync(join(root, folder)).map(name => `${folder}/${name}`)),
].filter(name => name.endsWith(".md") && existsSync(join(root, name)));

for (const name of documents) {
  const markdown = readFileSync(join(root, name), "utf8");
  const blocks = blocksOf(markdown);
  if (blocks.length === 0) continue;
  const folder = workFolder();
  /** Output of the last block that ran; null when it was skipped. */
  let output: string | null = null;

  test(`${name}: every marker stands before a block`, () => {
    const markers = markdown.split("\n").filter(line => /^<!-- (run|output|file)/.test(line));
    assert.is(markers.length, blocks.length);
  });

  for (const { kind, details, language, text, line } of blocks) {
    test(`${name}:${line} ${kind}`, () => {
      if (kind === "file") {
        writeFileSync(join(folder, details), text);
      } else if (kind === "output") {
        if (output !== null) assert.match(output, shown(text));
      } else {
        output = null;
        assert.is(language, "sh");
        const { exit, needs } = demands(details);
        for (const program of needs) peer(program);
        const script = `exec 2>&1\n${text}`;
        const ran = spawnSync("sh", ["-e", "-c", script], {
          cwd: folder,
          encoding: "utf8",
          timeout: BLOCK_TIMEOUT_MS,
          env: { ...process.env, NO_COLOR: "1" },
        });
        assert.is(ran.status, exit, `exit code ${ran.status}, expected ${exit}:\n${text}\n${ran.stdout}`);
        output = ran.stdout.trim();
      }
    });
  }
}

test("the manual has examples that run", () => {
  assert.ok(documents.length > 0);
});

test.run();
