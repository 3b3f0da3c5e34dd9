/**
 * What YAML and files can bring along: syntax errors, anchors and merge keys, duplicate keys, several documents, JSON,
 * encodings, and texts made to hang or kill a reader. Syntax errors are worded by the package, so only place and a
 * word are held.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { formatDiagnostic } from "../../src/errors/index.ts";
import { LIMITS, loadIntent, parseIntent } from "../../src/intent/index.ts";
import { assert, suite } from "../harness.ts";
import { BASE, expectOne, parse, valid, withFolder, withLine } from "./base.ts";

const test = suite("intent yaml");
const HEAD = "name: a\nbridge: b\nlabel: 16\nuplink: {port: u, ofport: 1, mac: 02:00:00:00:00:01}\n";

test("JSON is accepted, on one line too, with columns", () => {
  const json = {
    name: "hv1",
    bridge: "br0",
    label: 1001,
    uplink: { port: "u", ofport: 1, mac: "02:00:00:00:00:01", mtu: null },
    vms: [
      {
        id: 1,
        name: "a",
        port: "p",
        ofport: 2,
        mac: "52:54:00:00:00:01",
        addresses: ["10.0.0.1"],
        path: "l3",
      },
    ],
    routes: [{ prefix: "0.0.0.0/0", labels: [16], via: "02:00:00:00:00:fe" }],
  };
  assert.equal(valid(JSON.stringify(json)), valid(JSON.stringify(json, null, "\t")));
  const text = JSON.stringify(json).replace('"label":1001', '"label":"1001"');
  expectOne(parse(text).errors, `1:${text.indexOf('"1001"') + 1}`, "without quotes");
});

test("CRLF, a byte order mark, document marks and comments", () => {
  assert.equal(valid(BASE.replaceAll("\n", "\r\n")), valid(BASE));
  assert.equal(valid(`\ufeff${BASE}`), valid(BASE));
  assert.equal(valid(`%YAML 1.2\n---\n${BASE}...\n`), valid(BASE));
  expectOne(parse(`\ufeff${withLine(1, "name: 1")}`).errors, "1:7", "in quotes");
  expectOne(parse(withLine(6, "  ofport: 0").replaceAll("\n", "\r\n")).errors, "6:11", "out of range");
});

test("no scalar is guessed to be something else, not even in YAML 1.1", () => {
  // In YAML 1.1 this MAC is a number in base 60, and yes a truth value.
  const text = `%YAML 1.1\n---\n${BASE.replace("52:54:00:00:00:0b", "52:54:00:00:00:11").replace("hv1", "yes")}`;
  const intent = valid(text);
  assert.is(intent.vms[0]!.mac, 0x525400000011);
  assert.is(intent.name, "yes");
});

test("strings in every style", () => {
  assert.is(valid(withLine(1, "name: 'it''s'")).name, "it's");
  assert.is(valid(withLine(1, 'name: "\\u00e9"')).name, "é");
  assert.is(valid(withLine(1, "name: >-\n  hv\n  1")).name, "hv 1");
  assert.is(valid(withLine(1, "name: !!str 12")).name, "12");
  assert.is(valid(withLine(1, '"name": "hv1"')).name, "hv1");
  expectOne(parse(withLine(1, "name: |\n  hv1")).errors, "1:7", "holds a control character");
  expectOne(parse(withLine(1, "name: !!int 5")).errors, "1:7", "leave the tag out");
  expectOne(parse(withLine(1, "name: !env HOST")).errors, "1:7", "leave the tag out");
});

test("syntax errors have a place", () => {
  const cases: readonly (readonly [text: string, at: string, fragment: string])[] = [
    [withLine(5, "\tport: uplink0"), "5:1", "indent with spaces"],
    [withLine(14, "    addresses: [203.0.113.7"), "15:5", "not valid YAML"],
    [withLine(1, 'name: "hv1'), "29:1", "closing"],
    [withLine(1, "name: a: b"), "1:7", 'a value that contains ": " in quotes'],
    [withLine(1, 'name: "\\q"'), "1:8", "use single quotes"],
    [withLine(1, "name: @hv"), "1:7", "put the value in quotes"],
  ];
  for (const [text, at, fragment] of cases) {
    const { intent, errors } = parse(text);
    assert.is(intent, null);
    const shown = errors.map(formatDiagnostic).join("\n");
    assert.ok(
      errors.some(e => e.message.includes(fragment)),
      shown,
    );
    assert.ok(
      errors.some(e => `${e.line}:${e.column}` === at),
      `${at} is expected in:\n${shown}`,
    );
  }
});

test("a duplicate key is an error that names the first", () => {
  expectOne(
    parse(withLine(2, "bridge: br0\nname: hv2")).errors,
    "3:1",
    "name is given twice, first at line 1",
  );
  expectOne(
    parse(withLine(12, "    ofport: 11\n    id: 7")).errors,
    "13:5",
    "id is given twice, first at line 9",
  );
});

test("keys that are no words", () => {
  expectOne(parse(`? [a, b]\n: c\n${BASE}`).errors, "1:3", "this key is a collection");
  expectOne(parse(`? {a: b}\n: c\n${BASE}`).errors, "1:3", "this key is a collection");
  expectOne(parse(`7: c\n${BASE}`).errors, "1:1", "7 is no key of an intent");
  expectOne(parse(`: c\n${BASE}`).errors, "1:1", '"" is no key of an intent');
  expectOne(parse(`__proto__: 1\n${BASE}`).errors, "1:1", "__proto__ is no key of an intent");
  expectOne(parse(`constructor: 1\n${BASE}`).errors, "1:1", "constructor is no key of an intent");
});

test("several documents are an error", () => {
  expectOne(parse(`${BASE}---\n${BASE}`).errors, "30:1", "a second YAML document begins here");
});

test("nothing, nothing but comments, no mapping", () => {
  for (const text of ["", " \n\n", "\ufeff"]) expectOne(parse(text).errors, "1:1", "the intent is empty");
  for (const text of ["# a comment\n", "---\n", "null", "~"]) {
    const { intent, errors } = parse(text);
    assert.is(intent, null);
    assert.is(errors.length, 1, text);
    assert.match(errors[0]!.message, /the intent is (no mapping|empty)/);
  }
  expectOne(
    parse("just words").errors,
    "1:1",
    "the intent is no mapping; it begins with a key such as name: hv1",
  );
  expectOne(parse("- a\n- b").errors, "1:1", "the intent is no mapping");
});

test("control characters have a place", () => {
  expectOne(parse(withLine(10, "    name: web\u00001")).errors, "10:14", '"\\u0000" is a control character');
  expectOne(parse("\u001b[31m").errors, "1:1", "control character");
});

test("aliases and merge keys", () => {
  const vms = `vms:
  - &web
    id: 101
    name: web-1
    port: tap101
    ofport: 11
    mac: 52:54:00:00:00:0b
    addresses: &list [203.0.113.7]
    path: &how l3
    mtu: 1500
  - <<: *web
    id: 102
    name: web-2
    port: tap102
    ofport: 12
    mac: 52:54:00:00:00:0c
    addresses: [203.0.113.8]
routes:
  - { prefix: 10.0.0.0/8, labels: &stack [2002], via: &hop 02:00:00:00:00:fe }
  - { prefix: 11.0.0.0/8, labels: *stack, via: *hop }
`;
  const intent = valid(HEAD + vms);
  assert.is(intent.vms[1]!.path, "l3");
  assert.is(intent.vms[1]!.mtu, 1500);
  assert.is(intent.routes.nextHops.length, 1);
  const list = vms
    .replace("- &web", "- &base")
    .replace("  - <<: *web", "  - &more\n    mtu: 68\n    <<: *base");
  assert.is(valid(HEAD + list).vms[1]!.mtu, 68);
  const twice = vms.replace("[203.0.113.8]", "*list");
  expectOne(
    parse(HEAD + twice).errors,
    "12:23",
    "vms[1].addresses[0]: 203.0.113.7 is used twice, repeated by an alias",
  );
});

test("aliases that lead nowhere or in a circle", () => {
  expectOne(parse(withLine(1, "name: *who")).errors, "1:7", "*who is an alias without anchor");
  expectOne(parse(withLine(8, "vms: &v\n  - *v")).errors, "9:5", "vms[0]: this is a list; a VM is a mapping");
  expectOne(
    parse(withLine(9, "  - &a\n    <<: *a\n    id: 101")).errors,
    "10:5",
    "merges a mapping into itself",
  );
  expectOne(parse(withLine(9, "  - <<: 7\n    id: 101")).errors, "9:5", "<< merges a mapping");
  expectOne(
    parse(withLine(9, "  - <<: {colour: red}\n    id: 101")).errors,
    "9:10",
    "vms[0]: colour is no key of a VM",
  );
});

test("texts made to hang, and to overflow a stack, are refused quickly", () => {
  const laughs = Array.from(
    { length: 20 },
    (_, i) => `a${i}: &a${i} [${`*a${i - 1},`.repeat(i === 0 ? 0 : 9)}]`,
  );
  const merges = Array.from(
    { length: 2000 },
    (_, i) => `m${i}: &m${i} {k${i}: 1${i === 0 ? "" : `, <<: [*m${i - 1}, *m${i - 1}]`}}`,
  );
  const addresses = Array.from({ length: 3000 }, (_, i) => `10.0.${i >> 8}.${i & 255}`);
  const vm = "{id: 1, name: n, port: p, ofport: 2, mac: 52:54:00:00:00:01, path: l3, addresses: *a}";
  const repeated = `- {<<: *v}\n`.repeat(4000);
  const bombs = [
    laughs.join("\n"),
    merges.join("\n"),
    `${HEAD}vms:\n- {addresses: &a [${addresses}]}\n- &v ${vm}\n${repeated}`,
    "[".repeat(100_000),
    "- ".repeat(50_000),
    "{a: ".repeat(50_000),
    "? ".repeat(50_000),
    `${Array.from({ length: 1000 }, (_, i) => `${" ".repeat(i)}a:`).join("\n")}`,
    `a: "${"\\".repeat(100_001)}`,
    "&a ".repeat(20_000),
    "]".repeat(20_000),
  ];
  for (const text of bombs) {
    const start = process.cpuUsage();
    const { intent, errors } = parse(text);
    assert.is(intent, null);
    assert.ok(errors.length > 0 && errors.length <= 101);
    const { user, system } = process.cpuUsage(start);
    const took = (user + system) / 1000;
    assert.ok(took < 5000, `${text.slice(0, 40)}… took ${took.toFixed(0)} ms`);
  }
});

test("nesting and size have limits with a place", () => {
  expectOne(parse(`${HEAD}vms: ${"[".repeat(60)}`).errors, "5:37", "the nesting is too deep here");
  const { errors } = parseIntent(BASE, "hv1.yaml", ".", { ...LIMITS, intentParts: 100 });
  assert.is(errors.length, 1);
  assert.match(errors[0]!.message, "more than 100 words and signs; keep routes in a routesFile");
});

test("messages hold nothing a terminal would act upon", () => {
  const { errors } = parse(withLine(1, 'name: "hv1"\n"\\e[2J\\u202e": 1'));
  assert.is(errors.length, 1);
  assert.not.match(errors[0]!.message, /[\p{Cc}\p{Cf}]/u);
});

test("files: missing, a folder, binary, other encodings, too large", () => {
  withFolder(
    {
      "binary.yaml": new Uint8Array([0x7f, 0x45, 0x4c, 0x46, 0, 0]),
      "gzip.yaml": new Uint8Array([0x1f, 0x8b, 8, 1]),
      "latin1.yaml": new Uint8Array([0x61, 0x3a, 0x20, 0xe9]),
      "utf16.yaml": new Uint8Array([0xff, 0xfe, 0x61, 0x00]),
      "empty.yaml": "",
      "good.yaml": BASE,
    },
    folder => {
      mkdirSync(join(folder, "folder"));
      const message = (name: string): string => {
        const file = join(folder, name);
        const { intent, errors } = loadIntent(file);
        assert.is(intent, null);
        assert.equal([errors.length, errors[0]!.file, errors[0]!.line, errors[0]!.column], [1, file, 1, 1]);
        return errors[0]!.message;
      };
      assert.is(message("none.yaml"), "the intent does not exist; check its name");
      assert.is(message("good.yaml/none"), "the intent does not exist; a part of its path is no folder");
      assert.is(message("folder"), "the intent is a folder; name a file");
      assert.is(message("binary.yaml"), "the intent is a binary file; an intent is YAML or JSON in UTF-8");
      assert.match(message("gzip.yaml"), "compressed with gzip");
      assert.match(message("latin1.yaml"), "not UTF-8");
      assert.match(message("utf16.yaml"), "UTF-16");
      assert.match(message("empty.yaml"), "the intent is empty");
      const good = loadIntent(join(folder, "good.yaml"));
      assert.equal([good.intent?.name, good.errors, good.warnings], ["hv1", [], []]);
      const { errors } = loadIntent(join(folder, "good.yaml"), { ...LIMITS, intentBytes: 100 });
      assert.match(errors[0]!.message, "the intent is larger than 100 bytes, the limit");
    },
  );
});

test("formatDiagnostic", () => {
  const { errors } = parseIntent(withLine(12, "    ofport: 70000"), "hv1.yaml", ".");
  assert.is(
    formatDiagnostic(errors[0]!),
    "hv1.yaml:12:13: vms[0].ofport: 70000 is out of range; an OpenFlow port number is 1…65279",
  );
});

test.run();
