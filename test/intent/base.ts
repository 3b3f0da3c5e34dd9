/**
 * What the tests of the intent room share: a small valid intent whose lines a test replaces by number, and a way to
 * write down what is expected as `line:column fragment`.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Diagnostic } from "../../src/errors/index.ts";
import { type Loaded, parseIntent } from "../../src/intent/index.ts";
import { assert } from "../harness.ts";

/** Line numbers stand behind as the tests name them. */
export const BASE = `\
name: hv1
bridge: br0
label: 1001
uplink:
  port: uplink0
  ofport: 1
  mac: 02:00:00:00:00:01
vms:
  - id: 101
    name: web-1
    port: tap101
    ofport: 11
    mac: 52:54:00:00:00:0b
    addresses: [203.0.113.7]
    path: l3
  - id: 102
    name: web-2
    port: tap102
    ofport: 12
    mac: 52:54:00:00:00:0c
    addresses: [203.0.113.8, 203.0.113.9]
    path: l2
routes:
  - prefix: 203.0.113.200/32
    labels: [2002]
    via: 02:00:00:00:00:fe
  - prefix: 0.0.0.0/0
    via: 02:00:00:00:00:fe
`;

/** BASE with one line replaced (from 1); null removes it. */
export function withLine(line: number, text: string | null): string {
  const lines = BASE.split("\n");
  lines.splice(line - 1, 1, ...(text === null ? [] : [text]));
  return lines.join("\n");
}

export function parse(text: string, folder = "."): Loaded {
  return parseIntent(text, "hv1.yaml", folder);
}

/** Asserts that there is exactly one problem, at `at` ("7:3", or "routes.txt:7:3"), with `fragment` in its message. */
export function expectOne(problems: readonly Diagnostic[], at: string, fragment: string): void {
  const shown = problems.map(p => `${p.file}:${p.line}:${p.column}: ${p.message}`).join("\n");
  assert.is(problems.length, 1, `one problem is expected, there are:\n${shown}`);
  const [problem] = problems;
  const place = at.split(":").length === 2 ? `hv1.yaml:${at}` : at;
  assert.is(`${problem!.file}:${problem!.line}:${problem!.column}`, place, shown);
  assert.ok(problem!.message.includes(fragment), `"${fragment}" is expected in:\n${shown}`);
}

/** Asserts that the text loads without any problem, and gives the intent. */
export function valid(text: string, folder = "."): NonNullable<Loaded["intent"]> {
  const { intent, errors, warnings } = parse(text, folder);
  assert.equal([...errors, ...warnings], []);
  assert.ok(intent !== null);
  return intent!;
}

/** Runs `body` with a fresh folder that holds `files`, and removes it. */
export function withFolder(
  files: { [name: string]: string | Uint8Array },
  body: (folder: string) => void,
): void {
  const folder = mkdtempSync(join(tmpdir(), "slash32-intent-"));
  try {
    for (const [name, contents] of Object.entries(files)) writeFileSync(join(folder, name), contents);
    body(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A small seeded generator (xorshift32): numbers below `n`. */
export function random(seed: number): (n: number) => number {
  let state = seed === 0 ? 1 : seed;
  return n => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % n;
  };
}
