/**
 * The registry of capture formats, and docs/captures.md, which lists it: the tables there are compared with the
 * registry, and written anew with UPDATE=1.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { decodedFormat, FORMATS, readOpening } from "../../src/capture/formats/index.ts";
import { assert, suite } from "../harness.ts";

const test = suite("capture/formats");
const page = join(import.meta.dirname, "../../docs/captures.md");

/** The rows of the table of formats that are read. */
function readRows(): string[] {
  return FORMATS.flatMap(format =>
    format.kind === "refused" ? [] : [`| ${format.name} | ${format.reads} | ${format.writes} |`],
  );
}

/** The rows of the table of formats that are refused: the remedy, and the formats that have it. */
function refusedRows(): string[] {
  const names = new Map<string, string[]>();
  for (const format of FORMATS) {
    if (format.kind !== "refused") continue;
    names.set(format.remedy, [...(names.get(format.remedy) ?? []), format.name]);
  }
  return [...names].map(([remedy, those]) => `| ${those.join(", ")} | ${remedy} |`);
}

/** The page with the rows of the table under `head` replaced. */
function withRows(text: string, head: string, rows: readonly string[]): string {
  const table = new RegExp(`(\\n${head.replace(/[|`]/g, "\\$&")}\\n\\|[-|:]+\\|\\n)((?:\\|.*\\n)*)`);
  assert.match(text, table, `docs/captures.md has the table ${head}`);
  return text.replace(table, (_, top: string) => `${top}${rows.map(row => `${row}\n`).join("")}`);
}

const STANDARD = "| `-` | standard input | standard output |";

test("docs/captures.md lists the formats of the registry, read and refused", () => {
  const text = readFileSync(page, "utf8");
  const once = withRows(text, "| | read | written |", [...readRows(), STANDARD]);
  const wanted = withRows(once, "| not read | instead |", refusedRows());
  if (process.env.UPDATE === "1") writeFileSync(page, wanted);
  else assert.is(text, wanted, "docs/captures.md is out of date: run this test with UPDATE=1");
});

test("no two formats have one name, and each refusal has a remedy", () => {
  assert.is(new Set(FORMATS.map(({ name }) => name)).size, FORMATS.length);
  for (const format of FORMATS)
    if (format.kind === "refused") assert.ok(format.remedy.length > 0, format.name);
});

test("each beginning of a file has one format: pcap and pcapng are read, gzip and zstd decoded", () => {
  const bytes = (hex: string): Buffer => Buffer.concat([Buffer.from(hex, "hex"), Buffer.alloc(24)], 24);
  const name = (hex: string): string | undefined =>
    FORMATS.find(format => format.recognizes(bytes(hex)))?.name;
  for (const magic of ["a1b2c3d4", "d4c3b2a1", "a1b23c4d", "4d3cb2a1"]) assert.is(name(magic), "pcap");
  assert.is(name("0a0d0d0a"), "pcapng");
  assert.is(decodedFormat(bytes("1f8b08"))?.name, "gzip");
  for (const magic of ["28b52ffd", "502a4d18", "5f2a4d18"])
    assert.is(decodedFormat(bytes(magic))?.name, "zstd");
  for (const other of ["602a4d18", "1f8c", "0a0d0d0b"]) assert.is(decodedFormat(bytes(other)), null);
  assert.is(name("93010203"), undefined);
});

test("gzip inside gzip is refused by name", () => {
  assert.throws(
    () => readOpening(Buffer.from("1f8b080000000000", "hex")),
    /gzip data inside compressed data/,
  );
});

test.run();
