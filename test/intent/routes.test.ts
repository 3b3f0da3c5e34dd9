/**
 * The routesFile: every spelling of a line, errors at exact columns, duplicates within and across files, and the two
 * readers of a line (the fast one and the obvious one) against each other on lines made from good and bad pieces.
 */
import { join } from "node:path";
import { Bag } from "../../src/intent/diagnostics.ts";
import { LIMITS, type Loaded, loadIntent, parseIntent } from "../../src/intent/index.ts";
import { type LineReading, RouteTable, readRoutes } from "../../src/intent/routes.ts";
import { formatIpv4, formatMac } from "../../src/wire/address.ts";
import { assert, seed, suite } from "../harness.ts";
import { BASE, expectOne, random, withFolder } from "./base.ts";

const test = suite("intent routesFile");
const MAC = "02:00:00:00:00:fe";

/** Loads BASE with a routesFile; problems of that file are at "routes.txt:line:col". */
function load(routes: string | Uint8Array, limits = LIMITS): Loaded {
  let loaded: Loaded | undefined;
  withFolder({ "hv1.yaml": `${BASE}routesFile: routes.txt\n`, "routes.txt": routes }, folder => {
    const full = loadIntent(join(folder, "hv1.yaml"), limits);
    const short = (list: Loaded["errors"]): Loaded["errors"] =>
      list.map(p => ({
        ...p,
        file: p.file.replace(`${folder}/`, ""),
        message: p.message.replaceAll(`${folder}/`, ""),
      }));
    loaded = { intent: full.intent, errors: short(full.errors), warnings: short(full.warnings) };
  });
  return loaded!;
}

/** The rows behind the two inline routes, as text. */
function rows(loaded: Loaded): string[] {
  assert.equal(loaded.errors, []);
  const { routes } = loaded.intent!;
  const text = (i: number): string => {
    const hop = routes.nextHops[routes.nextHopOf[i]!]!;
    return `${formatIpv4(routes.prefixes[i]!)}/${routes.lengths[i]} ${hop.labels.join("/") || "-"} ${formatMac(hop.via)}`;
  };
  return Array.from({ length: routes.count }, (_, i) => text(i)).slice(2);
}

const GOOD: { readonly [what: string]: readonly [file: string, rows: readonly string[]] } = {
  "one label": [`10.0.0.0/8 2002 ${MAC}\n`, [`10.0.0.0/8 2002 ${MAC}`]],
  "two and three labels": [
    `10.0.0.0/8 2002/3003 ${MAC}\n11.0.0.0/8 16/17/1048575 ${MAC}\n`,
    [`10.0.0.0/8 2002/3003 ${MAC}`, `11.0.0.0/8 16/17/1048575 ${MAC}`],
  ],
  "no label": [`10.0.0.0/8 - ${MAC}\n`, [`10.0.0.0/8 - ${MAC}`]],
  "no newline at the end": [`10.0.0.0/8 - ${MAC}`, [`10.0.0.0/8 - ${MAC}`]],
  CRLF: [
    `10.0.0.0/8 - ${MAC}\r\n\r\n# c\r\n11.0.0.0/8 - ${MAC} \r\n`,
    [`10.0.0.0/8 - ${MAC}`, `11.0.0.0/8 - ${MAC}`],
  ],
  "CR at the very end": [`10.0.0.0/8 - ${MAC}\r`, [`10.0.0.0/8 - ${MAC}`]],
  "blanks and tabs": [` \t10.0.0.0/8\t 16\t\t${MAC} \t\n \t \n`, [`10.0.0.0/8 16 ${MAC}`]],
  comments: [
    `# one\n  # two\n10.0.0.0/8 16 ${MAC} # three\n11.0.0.0/8 16 ${MAC}#four`,
    [`10.0.0.0/8 16 ${MAC}`, `11.0.0.0/8 16 ${MAC}`],
  ],
  "a byte order mark": [`\ufeff10.0.0.0/8 - ${MAC}\n`, [`10.0.0.0/8 - ${MAC}`]],
  "upper-case MAC": [`10.0.0.0/8 - 02:00:00:00:00:FE\n`, [`10.0.0.0/8 - ${MAC}`]],
  "every end of the ranges": [
    "0.0.0.0/1 16 00:00:00:00:00:01\n128.0.0.0/1 1048575 fe:ff:ff:ff:ff:ff\n1.2.3.4/32 - 00:00:01:00:00:00\n",
    [
      "0.0.0.0/1 16 00:00:00:00:00:01",
      "128.0.0.0/1 1048575 fe:ff:ff:ff:ff:ff",
      "1.2.3.4/32 - 00:00:01:00:00:00",
    ],
  ],
  "leading zeros in a label": [`10.0.0.0/8 02002 ${MAC}\n`, [`10.0.0.0/8 2002 ${MAC}`]],
  "a very long comment, a very long blank": [
    `# ${"x".repeat(5000)}\n${" ".repeat(5000)}\n10.0.0.0/8 - ${MAC} # ${"é".repeat(3000)}\n`,
    [`10.0.0.0/8 - ${MAC}`],
  ],
  nothing: ["", []],
  "only a newline": ["\n", []],
};
for (const [what, [file, expected]] of Object.entries(GOOD)) {
  test(what, () => assert.equal(rows(load(file)), expected));
}

/** A line, the column of its error, and its words. */
const BAD: readonly (readonly [line: string, col: number, fragment: string])[] = [
  [`10.0.0.1 16 ${MAC}`, 1, "prefix: 10.0.0.1 has no length; a single address is 10.0.0.1/32"],
  [`  10.0.0.1/8 16 ${MAC}`, 3, "prefix: 10.0.0.1/8 has host bits set; the prefix is 10.0.0.0/8"],
  [`10.0.0.0/33 16 ${MAC}`, 1, 'prefix: "33" is no prefix length; write 0…32'],
  [`10.0.0.0/08 16 ${MAC}`, 1, 'prefix: "08" is no prefix length'],
  [`10.0.0.0/ 16 ${MAC}`, 1, 'prefix: "" is no prefix length'],
  [`10.0.0.256/32 16 ${MAC}`, 1, 'prefix: "10.0.0.256" is no IPv4 address'],
  [`10.00.0.0/8 16 ${MAC}`, 1, "leave out leading zeros, as in 10.0.0.0"],
  [`10.0.0/8 16 ${MAC}`, 1, 'prefix: "10.0.0" is no IPv4 address'],
  [`default 16 ${MAC}`, 1, 'prefix: "default" is no prefix'],
  ["10.0.0.0/8", 11, "labels and via are missing; one route a line: PREFIX LABELS VIA"],
  ["10.0.0.0/8 16", 14, "via is missing; one route a line"],
  [`10.0.0.0/8 ${MAC}`, 12, `labels: "${MAC}" is no label`],
  [`10.0.0.0/8 15 ${MAC}`, 12, "labels: 15 is out of range; a label is 16…1048575"],
  [`10.0.0.0/8 1048576 ${MAC}`, 12, "labels: 1048576 is out of range"],
  [`10.0.0.0/8 16/3 ${MAC}`, 15, "labels: 3 is out of range"],
  [`10.0.0.0/8 16/x/18 ${MAC}`, 15, 'labels: "x" is no label'],
  [`10.0.0.0/8 16/ ${MAC}`, 15, 'labels: "" is no label'],
  [`10.0.0.0/8 16/17/18/19 ${MAC}`, 12, "labels: 4 are too many; Open vSwitch holds 3"],
  [`10.0.0.0/8 16,17 ${MAC}`, 12, "several are joined as in 2002/3003, none is -"],
  ["10.0.0.0/8 - 01:00:00:00:00:fe", 14, "via: 01:00:00:00:00:fe is a multicast address"],
  ["10.0.0.0/8 - 00:00:00:00:00:00", 14, "via: 00:00:00:00:00:00 is nobody's"],
  ["10.0.0.0/8 - 02:00:00:00:00:0", 14, 'via: "02:00:00:00:00:0" is no MAC address; write 02:00:00:00:00:00'],
  ["10.0.0.0/8 - 02:00:00:00:00:fe:01", 14, "is no MAC address"],
  [`10.0.0.0/8 - ${MAC} x`, 32, '"x" is one word too many'],
  [`10.0.0.0/8\u00a0- ${MAC}`, 1, "is no prefix length"],
  [`10.0.0.0/8 - ${MAC}\r x`, 14, "is no MAC address"],
  [`10.0.0.0/8 - ${MAC}${" ".repeat(1100)}x`, 1, "the line is longer than 1,024 bytes"],
];
for (const [line, col, fragment] of BAD) {
  test(`error: ${line.slice(0, 40)}`, () => {
    for (const end of ["\n", "", "\r\n"]) {
      const loaded = load(`# a comment\n11.0.0.0/8 - ${MAC}\n${line}${end}`);
      assert.is(loaded.intent, null);
      expectOne(loaded.errors, `routes.txt:3:${col}`, fragment);
    }
  });
}

test("a prefix twice: within the file, and across both", () => {
  const line = `10.0.0.0/8 - ${MAC}\n`;
  expectOne(
    load(`${line}\n ${line}`).errors,
    "routes.txt:3:2",
    "prefix: 10.0.0.0/8 is used twice, first at line 1; a prefix has one route",
  );
  expectOne(
    load(`0.0.0.0/0 16 ${MAC}`).errors,
    "routes.txt:1:1",
    "0.0.0.0/0 is used twice, first at hv1.yaml:27",
  );
  assert.equal(load(`10.0.0.0/8 - ${MAC}\n10.0.0.0/9 - ${MAC}\n`).errors, []);
});

test("warnings stand at their lines", () => {
  const loaded = load(`10.0.0.0/8 - ${MAC}\n  127.0.0.0/9 - ${MAC}\n203.0.113.8/32 - ${MAC}\n`);
  expectOne(
    loaded.warnings,
    "routes.txt:2:3",
    "the route to 127.0.0.0/9 is never used: packets to 127.0.0.0/8",
  );
  const shadowed = load(`\n203.0.113.7/32 - ${MAC}\n`);
  expectOne(shadowed.warnings, "routes.txt:2:1", 'the local VM "web-1" has that address and wins');
  assert.is(shadowed.intent?.routes.count, 3);
});

test("errors of the intent come first, then those of the file; both are collected", () => {
  withFolder({ "r.txt": `x\n10.0.0.0/8 - ${MAC}\ny\n` }, folder => {
    const { errors } = parseIntent(
      `${BASE.replace("ofport: 11", "ofport: 0")}routesFile: r.txt\n`,
      "a",
      folder,
    );
    assert.equal(
      errors.map(e => `${e.file === "a" ? "a" : "r"}:${e.line}:${e.column}`),
      ["a:12:13", "r:1:1", "r:3:1"],
    );
  });
});

test("limits end the reading", () => {
  const lines = Array.from({ length: 9 }, (_, i) => `10.${i}.0.0/16 ${16 + i} ${MAC}`).join("\n");
  expectOne(
    load(lines, { ...LIMITS, routes: 5 }).errors,
    "routes.txt:4:1",
    "a route too many; an intent holds 5 of them",
  );
  expectOne(
    load(lines, { ...LIMITS, nextHops: 4 }).errors,
    "routes.txt:3:1",
    "a next hop too many; an intent holds 4",
  );
  expectOne(
    load(lines, { ...LIMITS, routesBytes: 10 }).errors,
    "29:13",
    "is larger than 10 bytes, the limit",
  );
});

test("a file that is missing, a folder, binary, or all wrong", () => {
  const text = (name: string): string => `${BASE}routesFile: ${name}\n`;
  withFolder({}, folder => {
    const { errors } = parseIntent(text("none.txt"), "hv1.yaml", folder);
    expectOne(errors, "29:13", '" does not exist; check its name');
    expectOne(parseIntent(text("."), "hv1.yaml", folder).errors, "29:13", "is a folder; name a file");
    const absolute = parseIntent(text(join(folder, "none.txt")), "hv1.yaml", "/nowhere").errors;
    assert.equal(absolute, errors);
  });
  expectOne(load(`10.0.0.0/8 - ${MAC}\n\0\0\n\0\n`).errors, "routes.txt:2:1", "a zero byte stands here");
  const { errors } = load("x\n".repeat(1000));
  assert.is(errors.length, 101);
  assert.is(errors[100]!.message, "…and 900 more errors");
  assert.is(errors[100]!.line, 101);
});

/** What a reading of bytes gives: rows and errors, as text. */
function outcome(text: string, reading: LineReading): string {
  const encoded = new TextEncoder().encode(`${text}\n`);
  const table = new RouteTable();
  const errors = new Bag("error", 1000);
  const files = { intentFile: "a", routesFile: "b", inlineCount: 0 };
  const file = { bytes: encoded, length: encoded.length - 1 };
  readRoutes(file, files, table, errors, LIMITS, reading);
  const routes = table.toRoutes();
  const places = Array.from({ length: table.count }, (_, i) => table.place(i));
  return JSON.stringify([
    [...routes.prefixes],
    [...routes.lengths],
    [...routes.nextHopOf],
    routes.nextHops,
    places,
    errors.list("a"),
  ]);
}

test("the fast and the obvious reader agree", () => {
  const start = seed();
  const below = random(start);
  const pick = <T>(list: readonly T[]): T => list[below(list.length)]!;
  const octet = (): string =>
    pick(["0", "1", "10", "99", "127", "203", "255", "256", "00", "01", "999", "", "1a"]);
  const address = (): string =>
    below(8) === 0 ? `${octet()}.${octet()}.${octet()}.${octet()}` : `${below(256)}.${below(256)}.0.0`;
  const length = (): string => pick(["16", "17", "24", "32", "8", "0", "33", "016", "", "1 6"]);
  const labels = (): string =>
    pick([
      "-",
      "16",
      "2002",
      "2002/3003",
      "16/17/18",
      "15",
      "1048575",
      "1048576",
      "0016",
      "16/",
      "1/2/3/4",
      "--",
      "9999999",
      "99999999",
    ]);
  const mac = (): string =>
    pick([
      MAC,
      "02:00:00:00:00:FE",
      "01:00:00:00:00:01",
      "00:00:00:00:00:00",
      "2:0:0:0:0:1",
      "02:00:00:00:00:0",
      "02:00:00:00:00:e",
      "02:00:00:00:00:fe0",
      "gg:00:00:00:00:00",
      "02-00-00-00-00-fe",
    ]);
  const blank = (): string => pick([" ", " ", " ", "\t", "  ", "", "\r", "\u00a0"]);
  const end = (): string => pick(["\n", "\n", "\r\n", " \n", "#c\n", " # c\r\n", "\r\r\n", "\n\n", ""]);
  for (let round = 0; round < 300; round++) {
    let text = below(20) === 0 ? "\ufeff" : "";
    for (let line = 0; line < 30; line++) {
      text += `${pick(["", "", "", " ", "\t"])}${address()}/${length()}${blank()}${labels()}${blank()}${mac()}${end()}`;
    }
    if (below(3) === 0) text = text.slice(0, below(text.length));
    assert.is(
      outcome(text, "fast"),
      outcome(text, "slow"),
      `seed ${start}, round ${round}: ${JSON.stringify(text)}`,
    );
  }
});

test("canary: the comparison above sees a single different byte", () => {
  const line = `10.0.0.0/8 2002 ${MAC}`;
  assert.is(outcome(line, "fast"), outcome(line, "slow"));
  for (const other of [
    line.replace("8", "9"),
    line.replace("2002", "2003"),
    line.replace("fe", "ff"),
    ` ${line}`,
  ]) {
    assert.is.not(outcome(line, "fast"), outcome(other, "slow"));
  }
});

test("next hops are shared, whatever their number", () => {
  const lines = Array.from({ length: 5000 }, (_, i) => {
    const hop = i % 1777;
    return `10.${i >> 8}.${i & 255}.0/24 ${16 + hop}/${1048575 - hop}/${hop + 500000} 02:00:${hop & 1 ? "ff" : "00"}:00:00:01`;
  });
  const { intent } = load(lines.join("\n"));
  const routes = intent!.routes;
  assert.is(routes.nextHops.length, 2 + 1777);
  for (let i = 0; i < 5000; i++) {
    const hop = i % 1777;
    assert.equal(routes.nextHops[routes.nextHopOf[i + 2]!], {
      labels: [16 + hop, 1048575 - hop, hop + 500000],
      via: hop & 1 ? 0x0200ff000001 : 0x020000000001,
    });
  }
});

test.run();
