/**
 * One test for each rule of the intent file: one line of a valid intent is replaced, and exactly one problem is
 * expected, at its place and with its words.
 */
import { LIMITS, parseIntent } from "../../src/intent/index.ts";
import { assert, suite } from "../harness.ts";
import { BASE, expectOne, parse, valid, withLine } from "./base.ts";

const test = suite("intent rules");

/** Line to replace, its new text, where the error stands, what it says. */
type Case = readonly [line: number, text: string | null, at: string, fragment: string];

const ERRORS: { readonly [rule: string]: readonly Case[] } = {
  "unknown key": [
    [2, "bridge: br0\ncolour: red", "3:1", "colour is no key of an intent; known here: name, bridge"],
    [3, "label: 1001\nvirtual_mac: fe:00:00:00:01:01", "4:1", "did you mean virtualMac?"],
    [5, "  port: uplink0\n  mtuu: 9000", "6:3", "uplink: mtuu is no key of the uplink; did you mean mtu?"],
    [
      10,
      "    name: web-1\n    adresses: []",
      "11:5",
      "vms[0]: adresses is no key of a VM; did you mean addresses?",
    ],
    [26, "    via: 02:00:00:00:00:fe\n    dev: eth0", "27:5", "routes[0]: dev is no key of a route"],
  ],
  "missing key": [
    [1, null, "1:1", "name is missing; give the hypervisor's name, as in name: hv1"],
    [2, null, "1:1", "bridge is missing"],
    [3, null, "1:1", "label is missing; give a label, as in label: 1001"],
    [5, null, "5:3", "uplink: port is missing"],
    [6, null, "5:3", "uplink: ofport is missing"],
    [7, null, "5:3", "uplink: mac is missing; give a MAC address, as in mac: 02:00:00:00:00:01"],
    [9, "  - mtu: 1500", "9:5", "vms[0]: id is missing"],
    [10, null, "9:5", "vms[0]: name is missing"],
    [11, null, "9:5", "vms[0]: port is missing"],
    [12, null, "9:5", "vms[0]: ofport is missing"],
    [13, null, "9:5", "vms[0]: mac is missing"],
    [14, null, "9:5", "vms[0]: addresses is missing"],
    [22, null, "16:5", "vms[1]: path is missing; give a path, as in path: l3"],
    [24, "  - ", "25:5", "routes[0]: prefix is missing"],
    [26, null, "24:5", "routes[0]: via is missing"],
  ],
  name: [
    [1, "name: ''", "1:7", 'name: "" is blank'],
    [1, "name:", "1:1", "name: there is no value; the hypervisor's name is wanted"],
    [1, "name: 123", "1:7", 'name: 123 is a whole number in YAML; put it in quotes: "123"'],
    [1, "name: 1.5", "1:7", 'put it in quotes: "1.5"'],
    [1, "name: true", "1:7", "name: true is a truth value in YAML; put it in quotes"],
    [1, "name: [hv1]", "1:7", "name: this is a list"],
    [1, "name: {a: b}", "1:7", "name: this is a mapping"],
    [1, 'name: "a\\tb"', "1:7", 'name: "a\\u0009b" holds a control character'],
    [1, `name: ${"x".repeat(256)}`, "1:7", "at most 255 characters"],
    [11, '    port: "tap\\e[31m"', "11:11", "\\u001b[31m"],
  ],
  ofport: [
    [6, "  ofport: 0", "6:11", "uplink.ofport: 0 is out of range; an OpenFlow port number is 1…65279"],
    [12, "    ofport: 65280", "12:13", "vms[0].ofport: 65280 is out of range"],
    [12, "    ofport: -1", "12:13", "-1 is out of range"],
    [12, "    ofport: 99999999999999999999", "12:13", "99999999999999999999 is out of range"],
    [
      12,
      "    ofport: '11'",
      "12:13",
      'vms[0].ofport: "11" is a text, as it is quoted; an OpenFlow port number is',
    ],
    [12, "    ofport: 11.0", "12:13", "11.0 is no whole number"],
    [12, "    ofport: 1e1", "12:13", "1e1 is no whole number"],
    [12, "    ofport: eleven", "12:13", '"eleven" is no number'],
    [12, "    ofport: yes", "12:13", '"yes" is no number'],
    [12, "    ofport: true", "12:13", "true is no whole number"],
    [12, "    ofport:", "12:5", "there is no value; an OpenFlow port number is wanted"],
    [19, "    ofport: 11", "19:13", "vms[1].ofport: 11 is used twice, first at line 12"],
    [12, "    ofport: 1", "12:13", "vms[0].ofport: 1 is used twice, first at line 6"],
  ],
  id: [
    [9, "  - id: 0", "9:9", "vms[0].id: 0 is out of range; an id is 1…4294967295"],
    [9, "  - id: 4294967296", "9:9", "4294967296 is out of range"],
    [16, "  - id: 101", "16:9", "vms[1].id: 101 is used twice, first at line 9"],
    [16, "  - id: 0x65", "16:9", "vms[1].id: 101 is used twice, first at line 9"],
  ],
  "used twice": [
    [18, "    port: tap101", "18:11", "vms[1].port: tap101 is used twice, first at line 11"],
    [11, "    port: uplink0", "11:11", "vms[0].port: uplink0 is used twice, first at line 5"],
    [17, "    name: web-1", "17:11", "vms[1].name: web-1 is used twice, first at line 10"],
    [
      20,
      "    mac: 52:54:00:00:00:0B",
      "20:10",
      "vms[1].mac: 52:54:00:00:00:0b is used twice, first at line 13",
    ],
    [
      21,
      "    addresses: [203.0.113.7]",
      "21:17",
      "vms[1].addresses[0]: 203.0.113.7 is used twice, first at line 14",
    ],
    [
      14,
      "    addresses: [203.0.113.7, 203.0.113.7]",
      "14:30",
      "vms[0].addresses[1]: 203.0.113.7 is used twice",
    ],
    [
      27,
      "  - prefix: 203.0.113.200/32",
      "27:13",
      "routes[1].prefix: 203.0.113.200/32 is used twice, first at line 24",
    ],
  ],
  MAC: [
    [7, "  mac: 03:00:00:00:00:01", "7:8", "uplink.mac: 03:00:00:00:00:01 is a multicast address"],
    [7, "  mac: 00:00:00:00:00:00", "7:8", "is nobody's MAC address"],
    [13, "    mac: ff:ff:ff:ff:ff:ff", "13:10", "vms[0].mac: ff:ff:ff:ff:ff:ff is a multicast address"],
    [3, "label: 1001\nvirtualMac: 01:00:00:00:01:01", "4:13", "virtualMac: 01:00:00:00:01:01 is a multicast"],
    [26, "    via: 01:00:5e:00:00:01", "26:10", "as in 00:00:5e:00:00:01"],
    [26, "    via: 0:0:0:0:0:0", "26:10", "is no MAC address; write 00:00:00:00:00:00"],
    [13, "    mac: 525400000011", "13:10", '"525400000011" is no MAC address; write 52:54:00:00:00:11'],
    [13, "    mac: 52-54-00-00-00-0b", "13:10", "write 52:54:00:00:00:0b"],
    [13, "    mac: 5254.0000.000b", "13:10", "write 52:54:00:00:00:0b"],
    [13, "    mac: 52:54:0:0:0:b", "13:10", "write 52:54:00:00:00:0b"],
    [13, "    mac: here", "13:10", "six octets of two hex digits, as in 52:54:00:00:00:0b"],
    [13, "    mac: 02:00:00:00:00:01", "13:10", "is the uplink's; a VM has a MAC of its own"],
    [13, "    mac: FE:00:00:00:01:01", "13:10", "fe:00:00:00:01:01 is the virtual MAC"],
    [3, "label: 1001\nvirtualMac: 52:54:00:00:00:0b", "14:10", "52:54:00:00:00:0b is the virtual MAC"],
  ],
  addresses: [
    [14, "    addresses: []", "14:16", "vms[0].addresses: the list is empty; at least 1 is needed"],
    [14, "    addresses:", "14:5", "vms[0].addresses: there is no value; a list of IPv4 addresses is wanted"],
    [
      14,
      "    addresses: 203.0.113.7",
      "14:16",
      "is a single value; a list of IPv4 addresses is wanted, as in [203.0.113.7]",
    ],
    [14, "    addresses: [0.1.2.3]", "14:17", "0.1.2.3 is in 0.0.0.0/8, where no host lives"],
    [14, "    addresses: [127.0.0.1]", "14:17", "127.0.0.1 is in 127.0.0.0/8"],
    [14, "    addresses: [224.0.0.1]", "14:17", "224.0.0.1 is in 224.0.0.0/3"],
    [14, "    addresses: [255.255.255.255]", "14:17", "is in 224.0.0.0/3"],
    [
      14,
      "    addresses: [10.1.2.256]",
      "14:17",
      '"10.1.2.256" is no IPv4 address; each of its four numbers is 0…255',
    ],
    [14, "    addresses: [10.1.2.03]", "14:17", "leave out leading zeros, as in 10.1.2.3"],
    [14, "    addresses: ['2001:db8::1']", "14:17", "IPv6 is not carried"],
    [14, "    addresses: [10.0.0.1/32]", "14:17", "is a prefix; an address stands alone: 10.0.0.1"],
    [14, "    addresses: [10.1]", "14:17", '"10.1" is no IPv4 address; write four numbers'],
    [
      14,
      "    addresses: [203.0.113.7, ]\n    mtu: 67",
      "15:10",
      "67 is out of range; an MTU in bytes is 68…65535",
    ],
  ],
  label: [
    [3, "label: 15", "3:8", "label: 15 is out of range; a label is 16…1048575"],
    [3, "label: 1048576", "3:8", "label: 1048576 is out of range"],
    [25, "    labels: [2002, 3]", "25:20", "routes[0].labels[1]: 3 is out of range; a label is 16…1048575"],
    [25, "    labels: [16, 17, 18, 19]", "25:13", "routes[0].labels: 4 are too many; Open vSwitch holds 3"],
    [25, "    labels: 2002", "25:13", "a list of labels is wanted, as in [2002]"],
    [25, "    labels: ['2002']", "25:14", "without quotes"],
  ],
  prefix: [
    [
      24,
      "  - prefix: 203.0.113.7/24",
      "24:13",
      "203.0.113.7/24 has host bits set; the prefix is 203.0.113.0/24",
    ],
    [24, "  - prefix: 128.0.0.0/0", "24:13", "the prefix is 0.0.0.0/0"],
    [24, "  - prefix: 203.0.113.7", "24:13", "203.0.113.7 has no length; a single address is 203.0.113.7/32"],
    [24, "  - prefix: 203.0.113.0/33", "24:13", '"33" is no prefix length; write 0…32'],
    [24, "  - prefix: 203.0.113.0/024", "24:13", '"024" is no prefix length'],
    [24, "  - prefix: 203.0.113/24", "24:13", '"203.0.113" is no IPv4 address'],
    [24, "  - prefix: default", "24:13", '"default" is no prefix; write an address and a length'],
  ],
  "trafficClass, path, mtu": [
    [3, "label: 1001\ntrafficClass: 8", "4:15", "trafficClass: 8 is out of range; a traffic class is 0…7"],
    [15, "    path: l4", "15:11", 'vms[0].path: "l4" is not a path; a path is l2, dual-l2, dual-l3 or l3'],
    [15, "    path: 3", "15:11", '"3" is not a path'],
    [
      7,
      "  mac: 02:00:00:00:00:01\n  mtu: 65536",
      "8:8",
      "uplink.mtu: 65536 is out of range; an MTU in bytes is 68…65535",
    ],
  ],
  shape: [
    [4, "mtu: 1500\nuplink:", "4:1", "mtu is no key of an intent"],
    [25, "    labels: {}", "25:13", "routes[0].labels: this is a mapping; a list of labels is wanted"],
  ],
};

for (const [rule, cases] of Object.entries(ERRORS)) {
  for (const [line, text, at, fragment] of cases) {
    test(`${rule}: ${text === null ? `without line ${line}` : text.trim()}`, () => {
      const loaded = parse(withLine(line, text));
      assert.is(loaded.intent, null);
      expectOne(loaded.errors, at, fragment);
    });
  }
}

test("a single value or a mapping in the wrong place", () => {
  const head = "name: a\nbridge: b\nlabel: 16\n";
  const keys = "port, ofport, mac, mtu";
  expectOne(parse(`${head}uplink: u0`).errors, "4:9", `the uplink is a mapping with the keys ${keys}`);
  expectOne(parse(`${head}uplink: [u0]`).errors, "4:9", "uplink: this is a list; the uplink is a mapping");
  expectOne(parse(head).errors, "1:1", "uplink is missing; give the uplink with port, ofport, mac");
  const uplink = "uplink: {port: u, ofport: 1, mac: 02:00:00:00:00:01}\n";
  expectOne(
    parse(`${head}${uplink}vms: {a: 1}`).errors,
    "5:6",
    "vms: this is a mapping; a list of VMs is wanted",
  );
  expectOne(
    parse(`${head}${uplink}vms: [web]`).errors,
    "5:7",
    'vms[0]: "web" is a single value; a VM is a mapping',
  );
  expectOne(
    parse(`${head}${uplink}routes: []\nroutesFile: [a]`).errors,
    "6:13",
    "routesFile: this is a list",
  );
});

test("the base intent is valid, with its defaults", () => {
  const intent = valid(BASE);
  assert.is(intent.virtualMac, 0xfe0000000101);
  assert.is(intent.trafficClass, 0);
  assert.is(intent.uplink.mtu, null);
  assert.equal(
    intent.vms.map(vm => [vm.id, vm.name, vm.port, vm.ofport, vm.mac, vm.path, vm.mtu]),
    [
      [101, "web-1", "tap101", 11, 0x52540000000b, "l3", null],
      [102, "web-2", "tap102", 12, 0x52540000000c, "l2", null],
    ],
  );
  assert.equal(intent.vms[1]!.addresses, [0xcb007108, 0xcb007109]);
  assert.equal([...intent.routes.prefixes], [0xcb0071c8, 0]);
  assert.equal([...intent.routes.lengths], [32, 0]);
  assert.equal([...intent.routes.nextHopOf], [0, 1]);
  assert.equal(intent.routes.nextHops, [
    { labels: [2002], via: 0x0200000000fe },
    { labels: [], via: 0x0200000000fe },
  ]);
});

test("what looks odd and is allowed", () => {
  assert.is(valid(withLine(6, "  ofport: 65279")).uplink.ofport, 65279);
  assert.is(valid(withLine(6, "  ofport: 0xfeff")).uplink.ofport, 65279);
  assert.is(valid(withLine(9, "  - id: 4294967295")).vms[0]!.id, 4294967295);
  assert.is(valid(withLine(1, "name: '123'")).name, "123");
  assert.is(valid(withLine(1, "name: ein Rechner = α")).name, "ein Rechner = α");
  assert.is(valid(withLine(5, '  port: "7"')).uplink.port, "7");
  // The uplink may share its MAC with the virtual one.
  assert.is(valid(withLine(7, "  mac: fe:00:00:00:01:01")).uplink.mac, 0xfe0000000101);
  assert.equal(valid(withLine(25, "    labels:")).routes.nextHops[0]!.labels, []);
  assert.equal(
    valid(withLine(25, "    labels: [16, 1048575, 17]")).routes.nextHops[0]!.labels,
    [16, 1048575, 17],
  );
  assert.is(valid(withLine(15, "    path: l3\n    mtu: 68")).vms[0]!.mtu, 68);
  assert.is(valid(withLine(24, "  - prefix: 0.0.0.0/1")).routes.count, 2);
});

test("vms and routes may be absent or empty", () => {
  const head = BASE.split("\n").slice(0, 7).join("\n");
  for (const rest of ["", "vms:\nroutes:", "vms: []\nroutes: []", "vms: ~\nroutes: null\nroutesFile:"]) {
    const intent = valid(`${head}\n${rest}\n`);
    assert.is(intent.vms.length, 0);
    assert.is(intent.routes.count, 0);
  }
});

test("all errors are collected, in the order of the lines", () => {
  const { errors } = parse(
    BASE.replaceAll("203.0.113.", "203.0.113.0").replace("hv1", "1").replace("1001", "1"),
  );
  assert.equal(
    errors.map(e => e.line),
    [1, 3, 14, 21, 21, 24],
  );
});

test("after a hundred errors the rest is counted", () => {
  const vms = Array.from(
    { length: 130 },
    (_, i) => `  - {id: ${i + 1}, name: n${i}, port: p${i}, ofport: ${i + 2}}`,
  );
  const { errors } = parse(`${BASE.split("\n").slice(0, 8).join("\n")}\n${vms.join("\n")}\n`);
  // Each VM lacks mac, addresses and path.
  assert.is(errors.length, 101);
  assert.is(errors[100]!.message, "…and 290 more errors");
  assert.is(errors[100]!.line, 8 + 34);
});

test("limits are errors that name them", () => {
  const small = { ...LIMITS, vms: 1, addresses: 2, routes: 1, nextHops: 1 };
  const at = (limits: typeof LIMITS): string[] =>
    parseIntent(BASE, "a", ".", limits).errors.map(e => `${e.line}:${e.column} ${e.message}`);
  assert.equal(at({ ...LIMITS, vms: 1 }), ["16:5 vms: 2 are too many; an intent holds 1"]);
  assert.equal(at({ ...LIMITS, addresses: 2 }), [
    "21:30 vms[1].addresses: an address too many; an intent holds 2",
  ]);
  assert.equal(at({ ...LIMITS, routes: 1 }), [
    "27:13 routes[1]: a route too many; an intent holds 1 of them",
  ]);
  assert.equal(at({ ...LIMITS, nextHops: 1 }), [
    "27:13 routes[1]: a next hop too many; an intent holds 1 distinct pairs of labels and via",
  ]);
  assert.is(at(small).length, 3);
  assert.equal(LIMITS.vms, 4095);
  assert.equal(LIMITS.addresses, 65536);
  assert.equal(LIMITS.routes, 1048576);
  assert.equal(LIMITS.nextHops, 1048576);
});

test("more than 4,095 VMs and more than 65,536 addresses", () => {
  const head = BASE.split("\n").slice(0, 7).join("\n");
  const mac = (i: number): string =>
    `52:54:00:00:${(i >> 8).toString(16).padStart(2, "0")}:${(i & 255).toString(16).padStart(2, "0")}`;
  const vm = (i: number, count: number): string => {
    const addresses = Array.from({ length: count }, (_, k) => `10.${k}.${i >> 8}.${i & 255}`);
    return `- {id: ${i + 1}, name: n${i}, port: p${i}, ofport: ${i + 2}, mac: "${mac(i)}", addresses: [${addresses}], path: l3}`;
  };
  const many = (count: number): string => Array.from({ length: count }, (_, i) => vm(i, 1)).join("\n");
  assert.is(valid(`${head}\nvms:\n${many(4095)}\n`).vms.length, 4095);
  expectOne(
    parse(`${head}\nvms:\n${many(4096)}\n`).errors,
    "4104:3",
    "vms: 4,096 are too many; an intent holds 4,095",
  );
  const wide = Array.from({ length: 257 }, (_, i) => vm(i, 256)).join("\n");
  const { errors } = parse(`${head}\nvms:\n${wide}\n`);
  assert.is(errors.length, 1);
  assert.is(errors[0]!.line, 265);
  assert.match(errors[0]!.message, "vms[256].addresses: an address too many; an intent holds 65,536");
});

const WARNINGS: readonly Case[] = [
  [
    24,
    "  - prefix: 203.0.113.7/32",
    "24:13",
    'the route to 203.0.113.7/32 is never used: the local VM "web-1" has that address',
  ],
  [
    24,
    "  - prefix: 0.0.0.0/8",
    "24:13",
    "the route to 0.0.0.0/8 is never used: packets to 0.0.0.0/8 are dropped",
  ],
  [24, "  - prefix: 127.1.0.0/16", "24:13", "packets to 127.0.0.0/8 are dropped"],
  [24, "  - prefix: 224.0.0.0/3", "24:13", "packets to 224.0.0.0/3 are dropped"],
  [24, "  - prefix: 255.255.255.255/32", "24:13", "packets to 224.0.0.0/3 are dropped"],
];
for (const [line, text, at, fragment] of WARNINGS) {
  test(`warning: ${text!.trim()}`, () => {
    const loaded = parse(withLine(line, text));
    assert.equal(loaded.errors, []);
    assert.is(loaded.intent?.routes.count, 2);
    expectOne(loaded.warnings, at, fragment);
  });
}

test("no warning: an l2 VM is not reached by table 30, so a route to its address works", () => {
  assert.is(valid(withLine(24, "  - prefix: 203.0.113.8/32")).routes.count, 2);
});

test("no warning: a prefix that is only partly martian, or holds a VM's address among others", () => {
  for (const prefix of ["0.0.0.0/7", "192.0.0.0/2", "126.0.0.0/7", "203.0.113.0/24", "128.0.0.0/8"]) {
    assert.is(valid(withLine(24, `  - prefix: ${prefix}`)).routes.count, 2);
  }
});

test("warnings stand beside errors, and after a hundred are counted", () => {
  const routes = Array.from(
    { length: 120 },
    (_, i) => `  - {prefix: 127.0.0.${i}/32, via: 02:00:00:00:00:fe}`,
  );
  const loaded = parse(`${BASE}${routes.join("\n")}\nlabels: 3\n`);
  expectOne(loaded.errors, "149:1", "labels is no key of an intent; did you mean label?");
  assert.is(loaded.warnings.length, 101);
  assert.is(loaded.warnings[100]!.message, "…and 20 more warnings");
});

test("canary: expectOne notices a wrong column and a wrong word", () => {
  const { errors } = parse(withLine(6, "  ofport: 0"));
  const fails = (body: () => void): boolean => {
    try {
      body();
      return false;
    } catch {
      return true;
    }
  };
  assert.not(fails(() => expectOne(errors, "6:11", "out of range")));
  assert.ok(fails(() => expectOne(errors, "6:12", "out of range")));
  assert.ok(fails(() => expectOne(errors, "6:11", "out of reach")));
  assert.ok(fails(() => expectOne([], "6:11", "out of range")));
});

test.run();
