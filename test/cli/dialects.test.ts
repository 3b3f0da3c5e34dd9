/**
 * How the text of flows is taken by verify, diff and trace: dumps of OpenFlow 1.0, texts without a version,
 * -O, names that nothing defines, dumps that are not whole, gzip. Seen on Open vSwitch 3.1.0: what each
 * dump shows of the same flows.
 */
import { gzipSync } from "node:zlib";
import { assert, suite } from "../harness.ts";
import { Folder, failsWith, type Ran } from "./base.ts";

const test = suite("flow text of every dialect");

const OF10 = "NXST_FLOW reply (xid=0x4):";
const OF13 = "OFPST_FLOW reply (OF1.3) (xid=0x2):";
const STATS = " cookie=0x0, duration=1.5s, table=0, n_packets=0, n_bytes=0,";
const of10 = (...flows: string[]): string =>
  [OF10, ...flows.map(flow => `${STATS} idle_age=1, ${flow}`), ""].join("\n");
const of13 = (...flows: string[]): string => [OF13, ...flows.map(flow => `${STATS} ${flow}`), ""].join("\n");

const FILES = {
  "drop10.dump": of10("ip actions=drop"),
  "other10.dump": of10("priority=9,ip actions=drop", "arp actions=drop"),
  "same10.dump": of10("ip actions=drop"),
  "overlap.flows": "ip actions=output:1\nudp actions=output:2\n",
  "out10.dump": of10("ip actions=output:2"),
  "set13.dump": of13("ip actions=write_actions(output:2)"),
  "drop13.dump": of13("ip actions=drop"),
  // One flow, dumped by both versions: push_vlan:0x8100,set_field:4101->vlan_vid.
  "push10.dump": of10("in_port=3 actions=mod_vlan_vid:5,output:2"),
  "push13.dump": of13("in_port=3 actions=push_vlan:0x8100,set_field:4101->vlan_vid,output:2"),
  "push6.dump": of13("in_port=3 actions=push_vlan:0x8100,set_field:4102->vlan_vid,output:2"),
  "bare10.dump": " in_port=3 actions=mod_vlan_vid:5,output:2\n",
  "bare-too10.dump": " in_port=3 actions=mod_vlan_vid:5,output:2\n",
  "words.flows": "in_port=3,actions=mod_vlan_vid:5,output:2\n",
  "push.flows": "in_port=3,actions=push_vlan:0x8100,set_field:4101->vlan_vid,output:2\n",
  "misfit.flows": "actions=dec_ttl,output:2\n",
  "plain.flows": "in_port=3,ip actions=output:2\n",
  "names.flows": 'in_port="tap a",ip actions=output:eth1\n',
  "renamed.flows": 'in_port="tap a",ip actions=output:eth2\n',
  "mixed.flows": 'in_port="tap a",ip actions=output:4\n',
  "mixed2.flows": 'in_port="tap a",ip actions=output:5\n',
  "grouped.flows": 'in_port="tap a" actions=group:1\n',
  "two.groups": "group_id=1,type=all,bucket=actions=output:2\n",
  "three.groups": "group_id=1,type=all,bucket=actions=output:3\n",
  "tables.dump":
    of13("ip actions=goto_table:Out").replace("table=0", "table=In") +
    of13("actions=output:x1").replace("table=0", "table=Out"),
  "logged.dump": `2026-01-01T00:00:00Z|00001|ofp_actions|WARN|bad action at offset 0 (OFPBAC_BAD_VENDOR_TYPE):\n${OF13}`,
  "broken.dump": `${OF13} ***decode error: OFPBMC_BAD_PREREQ***\n00000000  04 13 00 50 00 00 00 02-00 01 00 00 00 00 00 00 |...P|\n`,
  "ended.dump": `${of13("ip actions=drop")}ovs-ofctl: dump flows (Protocol error)\n`,
  "info.dump": `2026-01-01T00:00:00Z|00001|ofp_match|INFO|normalization changed ofp_match, details:\n${of13("ip actions=drop")}`,
  "two.dump": of10("ip actions=drop") + of13("ip actions=drop"),
  "ports.txt": ' 1(tap a): addr:aa\n 4("eth1"): addr:bb\n',
  "tables.txt": '  table 0 ("In"):\n    active=1\n\n  table 7 ("Out"):\n  tables 8...253: ditto\n',
  "plain.flows.gz": gzipSync("in_port=3,ip actions=output:2\n"),
  "cut.gz": gzipSync("in_port=3,ip actions=output:2\n").subarray(0, 20),
};
const folder = new Folder(FILES);
process.on("exit", () => folder.remove());
const run = (...args: string[]): Ran => folder.run(args);

interface Report {
  readonly verdict: string;
  readonly unknown: readonly { readonly feature: string; readonly note?: string }[];
  readonly compared: { readonly read_as?: string[]; readonly extent?: string; readonly symbols?: unknown };
}

function diff(...args: string[]): Report & { readonly code: number | null } {
  const ran = run("diff", "-q", "--format", "json", ...args);
  assert.ok(ran.stdout !== "", ran.stderr);
  return { ...(JSON.parse(ran.stdout) as Report), code: ran.code };
}

const features = ({ unknown }: Report): string[] => [...new Set(unknown.map(({ feature }) => feature))];

test("a dump of OpenFlow 1.0 hides: no difference in it is not equal, unless that is asked for", () => {
  for (const pair of [
    ["drop10.dump", "same10.dump"],
    ["drop10.dump", "drop13.dump"],
    ["bare10.dump", "bare-too10.dump"],
    ["push10.dump", "push13.dump"],
    ["bare10.dump", "push13.dump"],
  ] as const) {
    const report = diff(...pair);
    assert.is(`${report.verdict} ${report.code}`, "unknown 1", pair.join());
    assert.equal(features(report), ["openflow10-dump"], pair.join());
    assert.match(report.unknown[0]!.note!, /^no difference in the part that it shows/);
    assert.match(report.unknown[0]!.note!, /ovs-ofctl -O OpenFlow15,OpenFlow13 dump-flows/);
    const accepted = diff("--of10", ...pair);
    assert.is(`${accepted.verdict} ${accepted.code}`, "equal 0", pair.join());
    assert.is(accepted.compared.extent, "as far as OpenFlow 1.0 shows");
  }
  const text = run("diff", "--of10", "drop10.dump", "drop13.dump");
  assert.match(text.stdout, /^equal, as far as OpenFlow 1.0 shows: /);
});

test("a difference that a dump of OpenFlow 1.0 shows is one; what it may hide or rename is none", () => {
  const verdict = (...pair: string[]): string => diff(...pair).verdict;
  assert.is(verdict("drop10.dump", "out10.dump"), "different");
  assert.is(verdict("out10.dump", "drop13.dump"), "different");
  // The VLAN differs, however the tag came there.
  assert.is(verdict("push10.dump", "push6.dump"), "different");
  // The other side's output is in its action set, which OpenFlow 1.0 does not show.
  assert.is(verdict("drop10.dump", "set13.dump"), "unknown");
  assert.is(verdict("drop13.dump", "set13.dump"), "different");
});

test("a file for add-flows is read by -O, as OpenFlow 1.3 without it, and the verdict says so", () => {
  const open = diff("words.flows", "push.flows");
  assert.is(open.verdict, "equal");
  assert.equal(open.compared.read_as, ["read as OpenFlow 1.3+"]);
  assert.match(run("diff", "plain.flows", "plain.flows").stdout, /every port, read as OpenFlow 1\.3\+\n/);
  assert.is(diff("-O", "OpenFlow13", "words.flows", "push.flows").verdict, "equal");
  assert.is(diff("-O", "OpenFlow13", "plain.flows", "plain.flows").compared.read_as, undefined);
  // OpenFlow 1.0 sets the VLAN of a tagged frame, and pushes no second tag.
  assert.is(diff("-O", "OpenFlow10", "words.flows", "push.flows").verdict, "different");
  assert.is(diff("misfit.flows", "misfit.flows").verdict, "equal");
  failsWith(
    run("diff", "-q", "-O", "OpenFlow15", "misfit.flows", "misfit.flows"),
    "misfit.flows:1:9:",
    "dec_ttl needs ip",
  );
  failsWith(
    run("diff", "-O", "OpenFlow9", "plain.flows", "plain.flows"),
    '-O: "OpenFlow9"',
    "expected OpenFlow10 to OpenFlow15",
  );
  assert.is(diff("drop13.dump", "drop13.dump").compared.read_as, undefined);
});

test("names that nothing defines stand for one port or table, in both inputs", () => {
  const same = run("diff", "names.flows", "names.flows");
  assert.is(same.code, 0, same.stdout);
  assert.match(
    same.stderr,
    /^names\.flows: no list defines ports "tap a", "eth1": each stands for one number\n/,
  );
  assert.is(diff("names.flows", "renamed.flows").verdict, "different");
  assert.equal(diff("names.flows", "names.flows").compared.symbols, {
    ports: { "tap a": 65279, eth1: 65278 },
    tables: {},
  });
  const tables = run("diff", "tables.dump", "tables.dump");
  assert.is(tables.code, 0, tables.stdout);
  assert.match(tables.stderr, /tables "In", "Out".*packets enter "In", the first table/);
  assert.is(
    run("diff", "-q", "tables.dump", "tables.dump", "--tables", "tables.txt", "--ports", "x1=4").stderr,
    "",
  );
});

test("a name that may be the port of a number leaves the verdict open, until a list says", () => {
  const open = diff("mixed.flows", "mixed2.flows");
  assert.is(open.verdict, "unknown");
  assert.match(open.unknown[0]!.feature, /the number of port "tap a" beside port 4/);
  assert.match(open.unknown[0]!.note!, /a and b differ if they are different ports/);
  assert.is(diff("mixed.flows", "mixed.flows").verdict, "equal", "whatever the names are");
  const groups = ["--groups-a", "two.groups", "--groups-b", "three.groups"];
  assert.is(diff("grouped.flows", "grouped.flows", ...groups).verdict, "unknown", "a number in a group");
  assert.is(diff("mixed.flows", "mixed2.flows", "--ports", "tap a=9").verdict, "different");
  assert.is(diff("names.flows", "mixed.flows", "--ports", "ports.txt").verdict, "equal");
});

const FRAME = "02000000000102000000000208004500001400000000401100000a0000010a000002";

test("trace enters a port by a name that nothing defines, and knows nothing of its number", () => {
  const named = run("trace", "-f", "names.flows", "-i", "tap a", FRAME);
  assert.match(named.stdout, /in_port="tap a" actions=output:eth1/);
  assert.match(named.stdout, /^out {2}eth1/m);
  assert.match(
    run("trace", "-f", "names.flows", "-i", "3", FRAME).stdout,
    /unknown the number of port "tap a" beside port 3/,
  );
  const listed = run("trace", "-f", "names.flows", "--ports", "tap a=3,eth1=4", "-i", "3", FRAME);
  assert.match(listed.stdout, /^out {2}eth1 \(4\)/m);
});

test("a dump that is not whole is one error, also leniently", () => {
  for (const [name, reason] of [
    ["logged.dump", "bad action at offset 0"],
    ["broken.dump", "OFPBMC_BAD_PREREQ"],
    ["ended.dump", "Protocol error"],
  ] as const)
    for (const lenient of [[], ["--lenient"]]) {
      const ran = run("diff", "-q", ...lenient, name, "drop13.dump");
      failsWith(ran, `${name}:`, "this dump is not whole", reason, "-O OpenFlow15,OpenFlow13");
    }
  assert.is(diff("info.dump", "drop13.dump").verdict, "equal", "what ovs-ofctl only remarks does not matter");
  failsWith(
    run("diff", "-q", "two.dump", "drop13.dump"),
    "two.dump:3:1:",
    "the version of this reply differs from that of line 1",
  );
});

test("what compile writes with .gz is read; what is damaged is said", () => {
  const compiled = run("compile", "hv.yaml", "-w", "hv.flows.gz");
  assert.is(compiled.code, 0, compiled.stderr);
  assert.is(run("verify", "-q", "-n", "hv.yaml", "-f", "hv.flows.gz").code, 0);
  assert.is(diff("plain.flows.gz", "plain.flows").verdict, "equal");
  failsWith(run("diff", "cut.gz", "plain.flows"), "cut.gz: the gzip data ends too early");
});

test("lists of names that are wrong are said with their place", () => {
  const both = ["names.flows", "names.flows"];
  failsWith(run("diff", ...both, "--ports", "a=1,a=2"), "--ports:1:5: a is 1 and 2");
  failsWith(run("diff", ...both, "--ports", "a=65300"), "--ports:1:1: 65300 is not a port number");
  failsWith(
    run("diff", ...both, "--tables", "a=255"),
    "--tables:1:1: 255 is not a table number; expected 0 to 254",
  );
  failsWith(
    run("diff", ...both, "--tables", "plain.flows"),
    "plain.flows: defines no table",
    "ovs-ofctl dump-tables",
  );
  failsWith(run("diff", ...both, "--tables", "nowhere.txt"), "nowhere.txt: does not exist");
});

test("one file on both sides is equal, two files with the same text are not for that", () => {
  const one = run("diff", "drop10.dump", "drop10.dump");
  assert.is(one.code, 0, one.stderr);
  assert.match(one.stdout, /^equal, as both are one file: drop10.dump and drop10.dump do the same/);
  const report = JSON.parse(run("diff", "drop10.dump", "drop10.dump", "--format", "json").stdout);
  assert.equal([report.verdict, report.unknown, report.complete], ["equal", [], true]);
  const two = run("diff", "drop10.dump", "same10.dump");
  assert.is(two.code, 1, two.stderr);
  assert.match(two.stdout, /^unknown/);
  // Which flow was installed first matters for the file itself, too.
  assert.is(run("diff", "overlap.flows", "overlap.flows").code, 2);
});

test.run();
