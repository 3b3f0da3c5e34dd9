/**
 * Random intents: valid ones load and give back what was written; one value changed gives an intent or an error whose
 * place lies inside the file; texts cut, spliced or made of random bytes give problems and never an exception. Each
 * test prints its seed when it fails; SEED=n repeats it.
 */
import { join } from "node:path";
import { type Loaded, loadIntent } from "../../src/intent/index.ts";
import { formatIpv4, formatMac } from "../../src/wire/address.ts";
import { assert, seed, suite } from "../harness.ts";
import { BASE, parse, random, withFolder } from "./base.ts";

const test = suite("intent properties");
const PATHS = ["l2", "dual-l2", "dual-l3", "l3"];

interface Written {
  name: string;
  bridge: string;
  label: number;
  virtualMac?: string;
  trafficClass?: number;
  uplink: { port: string; ofport: number; mac: string; mtu?: number };
  vms: {
    id: number;
    name: string;
    port: string;
    ofport: number;
    mac: string;
    addresses: string[];
    path: string;
    mtu?: number;
  }[];
  routes: { prefix: string; labels?: number[]; via: string }[];
}

/** A random valid intent, as plain values. */
function anyIntent(below: (n: number) => number): Written {
  const mac = (i: number): string => formatMac(0x020000000000 + i * 65536 + below(65536));
  const label = (): number => 16 + below(1048560);
  const word = (): string => ["web", "db ", "α", "a=b", "x:y", "#1", "- z", "null"][below(8)]! + below(1000);
  const vms = Array.from({ length: below(6) }, (_, i) => ({
    id: 1 + i * 1000 + below(1000),
    name: `${word()}-${i}`,
    port: `tap${i}${word()}`,
    ofport: 2 + i * 10000 + below(9000),
    mac: mac(i + 1),
    addresses: Array.from({ length: 1 + below(3) }, (_, k) => `10.${i}.${k}.${below(256)}`),
    path: PATHS[below(4)]!,
    ...(below(2) === 0 ? {} : { mtu: 68 + below(65468) }),
  }));
  const routes = Array.from({ length: below(6) }, (_, i) => ({
    prefix: `${formatIpv4(((32 + i * 8) << 24) >>> 0)}/${5 + below(28)}`,
    ...(below(3) === 0 ? {} : { labels: Array.from({ length: below(4) }, label) }),
    via: mac(100 + i),
  }));
  return {
    name: word(),
    bridge: word(),
    label: label(),
    ...(below(2) === 0 ? {} : { virtualMac: mac(200) }),
    ...(below(2) === 0 ? {} : { trafficClass: below(8) }),
    uplink: { port: "u", ofport: 1, mac: mac(300), ...(below(2) === 0 ? {} : { mtu: 9000 }) },
    vms,
    routes,
  };
}

/** Block YAML, written here so that not only the package's own output is read. */
function toYaml(value: unknown, indent = ""): string {
  if (typeof value !== "object" || value === null) return ` ${JSON.stringify(value)}\n`;
  const entries = Object.entries(value);
  if (entries.length === 0) return Array.isArray(value) ? " []\n" : " {}\n";
  const line = ([key, inner]: [string, unknown]): string =>
    `${indent}${Array.isArray(value) ? "-" : `${key}:`}${toYaml(inner, `${indent}  `)}`;
  return `\n${entries.map(line).join("")}`;
}

/** What was loaded, as it would be written. */
function written(intent: NonNullable<Loaded["intent"]>, like: Written): Written {
  const { uplink, routes } = intent;
  const mtu = (value: number | null): { mtu?: number } => (value === null ? {} : { mtu: value });
  return {
    name: intent.name,
    bridge: intent.bridge,
    label: intent.label,
    ...(like.virtualMac === undefined ? {} : { virtualMac: formatMac(intent.virtualMac) }),
    ...(like.trafficClass === undefined ? {} : { trafficClass: intent.trafficClass }),
    uplink: { port: uplink.port, ofport: uplink.ofport, mac: formatMac(uplink.mac), ...mtu(uplink.mtu) },
    vms: intent.vms.map(({ mac, addresses, mtu: size, ...vm }) => ({
      ...vm,
      mac: formatMac(mac),
      addresses: addresses.map(formatIpv4),
      ...mtu(size),
    })),
    routes: like.routes.map((route, i) => {
      const hop = routes.nextHops[routes.nextHopOf[i]!]!;
      const prefix = `${formatIpv4(routes.prefixes[i]!)}/${routes.lengths[i]!}`;
      const labels = route.labels === undefined ? {} : { labels: [...hop.labels] };
      return { prefix, ...labels, via: formatMac(hop.via) };
    }),
  };
}

/** Every problem has a message of one line and a place inside the text. */
function placesInside(loaded: Loaded, text: string, context: string): void {
  const lines = text.split("\n");
  for (const { line, column, message } of [...loaded.errors, ...loaded.warnings]) {
    const inside = line >= 1 && line <= lines.length && column >= 1 && column <= lines[line - 1]!.length + 1;
    assert.ok(inside, `${line}:${column} lies outside: ${context}`);
    assert.ok(message.length > 0 && !/[\n\r]/.test(message), `${JSON.stringify(message)}: ${context}`);
  }
  assert.is(loaded.intent === null, loaded.errors.length > 0, context);
}

/** Equal as JSON, whatever the order of keys. */
function same(a: unknown, b: unknown, context: string): void {
  try {
    assert.equal(a, b);
  } catch (error) {
    throw new Error(`${context}: ${String(error)}`);
  }
}

test("random valid intents load and give back what was written", () => {
  const start = seed();
  const below = random(start);
  for (let round = 0; round < 150; round++) {
    const wanted = anyIntent(below);
    for (const text of [JSON.stringify(wanted), toYaml(wanted), toYaml(wanted).replaceAll("\n", "\r\n")]) {
      const { intent, errors } = parse(text);
      same(errors, [], `seed ${start}, round ${round}`);
      same(written(intent!, wanted), wanted, `seed ${start}, round ${round}`);
    }
  }
});

const REPLACEMENTS = [
  null,
  true,
  -1,
  0,
  1,
  16,
  1.5,
  65280,
  1e21,
  "",
  "x",
  "\n",
  "\u0000",
  "𝄞",
  "\ud800",
  "10.0.0.1",
  "0.0.0.0/0",
  "127.0.0.0/8",
  "02:00:00:00:00:01",
  "ff:ff:ff:ff:ff:ff",
  "__proto__",
  [],
  [[]],
  {},
  { a: 1 },
  [null],
  "l2",
  "- a: *b",
  "?",
];

test("one value changed: an intent, or errors with places inside the file", () => {
  const start = seed();
  const below = random(start);
  let refused = 0;
  for (let round = 0; round < 400; round++) {
    const value = anyIntent(below);
    let parent = value as unknown as { [key: string]: unknown };
    for (;;) {
      const keys = Object.keys(parent);
      const key = keys[below(keys.length)]!;
      const inner = parent[key];
      if (typeof inner === "object" && inner !== null && Object.keys(inner).length > 0 && below(4) > 0) {
        parent = inner as { [key: string]: unknown };
        continue;
      }
      if (below(6) === 0) delete parent[key];
      else parent[key] = REPLACEMENTS[below(REPLACEMENTS.length)];
      break;
    }
    const text = below(2) === 0 ? JSON.stringify(value) : toYaml(value);
    const loaded = parse(text);
    placesInside(loaded, text, `seed ${start}, round ${round}: ${text}`);
    if (loaded.intent === null) refused++;
  }
  assert.ok(refused > 100, `seed ${start}: only ${refused} of 400 were refused`);
});

test("texts cut, spliced and sprinkled never throw", () => {
  const start = seed();
  const below = random(start);
  const signs = [
    "&a ",
    "*a",
    "<<: ",
    "- ",
    "? ",
    ": ",
    "[",
    "]",
    "{",
    "}",
    ",",
    "\n",
    "\t",
    '"',
    "'",
    "|",
    ">",
    "!x ",
    "#",
    "---\n",
    "...",
    "%YAML 9.9\n",
    "\r",
    "\ufeff",
    "\u0085",
    "\u2028",
    "0x",
    "~",
    "@",
    "`",
  ];
  for (let round = 0; round < 600; round++) {
    let text = BASE.slice(0, below(BASE.length + 1));
    if (below(2) === 0) text += BASE.slice(below(BASE.length));
    for (let i = below(6); i > 0; i--) {
      const at = below(text.length + 1);
      text = text.slice(0, at) + signs[below(signs.length)] + text.slice(at + below(3));
    }
    const plain = text.startsWith("\ufeff") ? text.slice(1) : text;
    placesInside(parse(text), plain, `seed ${start}, round ${round}: ${JSON.stringify(text)}`);
  }
});

test("random bytes as an intent and as a routesFile never throw", () => {
  const start = seed();
  const below = random(start);
  for (let round = 0; round < 60; round++) {
    const range = [256, 128, 16][below(3)]!;
    const bytes = Uint8Array.from({ length: below(2000) }, () =>
      range === 16 ? 0x20 + below(32) : below(range),
    );
    const files = { "a.yaml": bytes, "b.yaml": `${BASE}routesFile: r.txt\n`, "r.txt": bytes };
    withFolder(files, folder => {
      const random = loadIntent(join(folder, "a.yaml"));
      assert.is(random.intent === null, random.errors.length > 0, `seed ${start}, round ${round}`);
      const routes = loadIntent(join(folder, "b.yaml"));
      assert.is(routes.intent === null, routes.errors.length > 0, `seed ${start}, round ${round}`);
    });
  }
});

test("canary: a place outside the text is noticed", () => {
  const problem = { file: "a", line: 3, column: 1, level: "error" as const, message: "x" };
  let noticed = false;
  try {
    placesInside({ intent: null, errors: [problem], warnings: [] }, "one\ntwo", "canary");
  } catch {
    noticed = true;
  }
  assert.ok(noticed);
});

test.run();
