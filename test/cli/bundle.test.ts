/**
 * Folders and tarballs as inputs: what a file is and whose, which of several is taken, what is refused, and
 * that a bundle gives the verdict of its files given one by one. Tarballs are made by tar(1), hostile ones by
 * hand.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { bundledBridge } from "../../src/cli/bundle/index.ts";
import { bundleModule } from "../bundle.ts";
import { assert, draws, peer, seed, suite } from "../harness.ts";
import { PrivateSwitch } from "../ovs/private-switch.ts";
import { Folder, failsWith, inFolder, type Ran } from "./base.ts";

const test = suite("bundles");

type Files = Readonly<Record<string, string>>;

/** A reply of a version, `0` being OpenFlow 1.0. */
const header = (kind: string, minor: number): string =>
  minor === 0 ? `NXST_${kind} reply (xid=0x2):\n` : `OFPST_${kind} reply (OF1.${minor}) (xid=0x2):\n`;
const flows = (actions: string, minor = 3, match = "in_port=1"): string =>
  `${header("FLOW", minor)} cookie=0x0, duration=1.5s, table=0, n_packets=0, n_bytes=0, priority=5,${match} ` +
  `actions=${actions}\n`;
const groups = (output: number, minor = 3): string =>
  `${header("GROUP_DESC", minor)} group_id=7,type=all,bucket=actions=output:${output}\n`;
const ports = (bridge: string, ...names: readonly (readonly [number, string])[]): string =>
  [
    "OFPT_FEATURES_REPLY (OF1.3) (xid=0x2): dpid:00002a460fd0b54a",
    "n_tables:254, n_buffers:0",
    "OFPST_PORT_DESC reply (OF1.3) (xid=0x3):",
    ...names.map(([number, name]) => ` ${number}(${name}): addr:aa:55:aa:55:00:0f\n     config:     0`),
    ` LOCAL(${bridge}): addr:2a:46:0f:d0:b5:4a\n     config:     0\n`,
  ].join("\n");
const interfaces = (...rows: readonly (readonly [string, number, string])[]): string =>
  rows
    .map(
      ([name, ofport, type]) =>
        `_uuid               : 8b9c097c-1582-40de-b6cb-919620fa3866\nname                : ${name}\n` +
        `ofport              : ${ofport}\ntype                : ${type === "" ? '""' : type}\n`,
    )
    .join("\n");

const SOS = "sosreport-h1/sos_commands/openvswitch";
const NOISE: Files = {
  "sosreport-h1/version.txt": "sosreport: 4.5.1\n",
  [`${SOS}/ovs-ofctl_dump-ports_br-int`]: `${header("PORT", 3)}  port  1: rx pkts=0\n`,
  [`${SOS}/ovs-ofctl_-O_OpenFlow13_dump-group-stats_br-int`]: `${header("GROUP", 3)} group_id=7,ref_count=1\n`,
  [`${SOS}/ovs-ofctl_-O_OpenFlow11_dump-flows_br-int`]: "ovs-ofctl: version negotiation failed\n",
  [`${SOS}/ovs-vsctl_-t_5_list_bridge`]:
    "_uuid               : 8b9c097c-1582-40de-b6cb-919620fa3866\nname : a\n",
  "sosreport-h1/var/log/ovs-vswitchd.log": "2026-12-01T14:04:15Z|00001|vlog|INFO|opened actions=drop\n",
  "sosreport-h1/README": "\n",
  [`${SOS}/ovs-appctl_bridge.dump-flows_--offload-stats_br-int`]:
    "cookie=0x1, duration=0s, n_packets=0, n_bytes=0, priority=5,ip,actions=drop\n",
};
/** As sos collects one bridge: in each version something else, so that the choice shows. */
const SOSREPORT: Files = {
  ...NOISE,
  [`${SOS}/ovs-ofctl_dump-flows_br-int`]: flows("output:99", 0),
  [`${SOS}/ovs-ofctl_-O_OpenFlow10_dump-flows_br-int`]: flows("output:100", 0),
  [`${SOS}/ovs-ofctl_-O_OpenFlow13_dump-flows_br-int`]: flows("output:103", 3),
  [`${SOS}/ovs-ofctl_-O_OpenFlow14_dump-flows_br-int`]: flows("group:7", 4),
  [`${SOS}/ovs-ofctl_-O_OpenFlow13_dump-groups_br-int`]: groups(3),
  [`${SOS}/ovs-ofctl_-O_OpenFlow14_dump-groups_br-int`]: groups(2, 4),
  [`${SOS}/ovs-ofctl_-O_OpenFlow13_show_br-int`]: ports("br-int", [1, "tap1"], [2, "vx0"], [9, "tap9"]),
  [`${SOS}/ovs-vsctl_-t_5_list_interface`]: interfaces(["tap1", 1, ""], ["vx0", 2, "vxlan"]),
};

function put(folder: Folder, files: Files, below = "."): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(folder.at(join(below, path))), { recursive: true });
    writeFileSync(folder.at(join(below, path)), text);
  }
}

function tar(folder: Folder, letters: string, file: string, ...members: readonly string[]): void {
  const { status, stderr } = spawnSync("tar", [letters, file, ...members], { cwd: folder.path });
  assert.is(status, 0, String(stderr));
}

const FRAME =
  "eth(dst=02:00:00:00:00:01, src=02:00:00:00:00:02).ipv4(src=1.1.1.1, dst=2.2.2.2).udp(src=1, dst=2)";
const traced = (folder: Folder, path: string, ...more: readonly string[]): Ran =>
  folder.run(["trace", "-f", path, "-i", "tap1", "--format", "json", FRAME, ...more]);
const outputsOf = ({ stdout }: Ran): unknown =>
  JSON.parse(stdout).outputs.map(({ port, port_name }: Record<string, unknown>) => [port, port_name]);

for (const [letters, name] of [
  ["cf", "a.tar"],
  ["czf", "a.tar.gz"],
  ["cJf", "a.tar.xz"],
  ["", "sosreport-h1"],
] as const)
  test(`sos: ${name}: flows and groups of the highest version, ports of the same bridge, each named`, () =>
    inFolder({}, folder => {
      put(folder, SOSREPORT);
      if (letters === "cJf") peer("xz");
      if (letters !== "") tar(folder, letters, name, "sosreport-h1");
      const ran = traced(folder, name);
      assert.is(ran.code, 0, ran.stderr);
      assert.equal(outputsOf(ran), [[2, "vx0"]]);
      const place = letters === "" ? "sos_commands/openvswitch" : SOS;
      assert.is(
        ran.stderr,
        `${name}: bridge br-int: flows ovs-ofctl_-O_OpenFlow14_dump-flows_br-int, ` +
          "groups ovs-ofctl_-O_OpenFlow14_dump-groups_br-int, ports ovs-ofctl_-O_OpenFlow13_show_br-int, " +
          `interface types ovs-vsctl_-t_5_list_interface in ${place}\n`,
      );
    }));

test("explicit options take precedence over a bundle", () =>
  inFolder({ "other.groups": groups(1), "other.ports": ports("br-int", [1, "tap1"], [2, "new"]) }, folder => {
    put(folder, SOSREPORT);
    assert.equal(outputsOf(traced(folder, "sosreport-h1", "--ports", "other.ports")), [[2, "new"]]);
    put(folder, { "other.groups": groups(9) });
    assert.equal(outputsOf(traced(folder, "sosreport-h1", "--groups", "other.groups")), [[9, "tap9"]]);
  }));

/** Where the same bridge's files lie in bundles of other collectors; the prefix of the host, if any. */
const LAYOUTS: readonly (readonly [string, Files, string?])[] = [
  [
    "must-gather",
    {
      "network_logs/worker-0_ovs_ofctl_dump_flows_br-int": flows("output:2"),
      "network_logs/worker-0_ovs_ofctl_dump_groups_br-int": groups(2),
      "network_logs/worker-0_ovs_ofctl_dump_ports_desc_br-int": ports("br-int", [1, "tap1"], [2, "vx0"]),
      "network_logs/multus": "NAME  READY\n",
    },
  ],
  [
    "OpenShift CI, which writes br_int",
    {
      "network-ovn/n1--ovs-x1--ovs_ofctl_dump_flows_br_int": flows("output:2"),
      "network-ovn/n1--ovs-x1--ovs_ofctl_dump_ports_br_int": ports("br-int", [1, "tap1"], [2, "vx0"]),
      "network-ovn/n1--ovs-x1--ovs_dump":
        "79eda0fe-4204-4586-9930-992e42f94475\n    Bridge br-int\n        Port vx0\n            Interface vx0\n",
    },
  ],
  [
    "ovs-save, as ovs-dbg copies it",
    { "restore_flows/br-int.flows.dump": flows("group:7"), "restore_flows/br-int.groups.dump": groups(2) },
  ],
  [
    "antctl supportbundle, whose files have no name of a bridge",
    {
      "agent/flows": flows('output:"vx0"', 5, 'in_port="tap1"').replace(/^.*\n/, ""),
      "agent/groups": groups(2).replace(/^.*\n/, ""),
      "agent/ovsports": ports("br-int", [1, "tap1"], [2, "vx0"]).replace(/^(?:.*\n){3}/, ""),
      "agent/agentinfo": "kind: AgentInfo\n",
    },
  ],
  ["a folder a bridge", { "br-int/flows.txt": flows("output:2"), "br-int/show.txt": "nothing\n" }],
];

for (const [title, files] of LAYOUTS)
  test(`${title}: the bridge is found by its name`, () =>
    inFolder({ "plain.flows": flows("output:2") }, folder => {
      put(folder, files, "bundle");
      tar(folder, "czf", "bundle.tgz", "bundle");
      for (const path of ["bundle", "bundle.tgz"]) {
        const ran = folder.run(["diff", path, "plain.flows", "--bridge", "br-int"]);
        assert.is(ran.code, 0, ran.stdout + ran.stderr);
        assert.match(ran.stderr, `${path}: bridge br`);
      }
    }));

test("the replay of a difference passes on what the connection tracker must say", () =>
  inFolder({}, folder => {
    const [name, lines] = [`${SOS}/ovs-ofctl_-O_OpenFlow13_dump-flows_br-int`, flows("ct(table=1)", 3, "ip")];
    const behind = " cookie=0x0, table=1, n_packets=0, n_bytes=0, ct_state=+est+trk,ip actions=output:3\n";
    put(folder, { [name]: `${lines}${behind}` });
    folder.write("deny.flows", lines);
    const ran = folder.run(["diff", "sosreport-h1", "deny.flows", "--format", "json"]);
    assert.is(ran.code, 2, ran.stderr);
    const [{ replay, tracker }] = JSON.parse(ran.stdout).differences;
    assert.equal(
      tracker.map(({ says }: { says: string }) => says),
      ["est,trk"],
    );
    for (const command of replay.split("; ")) assert.match(command, " --ct-next est,trk ");
  }));

test("two bridges, two hosts: one error lists them, and --bridge, --bridge-a, --bridge-b choose", () =>
  inFolder({}, folder => {
    const node = (name: string, bridge: string, output: number): Files => ({
      [`logs/${name}_ovs_ofctl_dump_flows_${bridge}`]: flows(`output:${output}`),
    });
    put(folder, { ...node("n1", "br-int", 2), ...node("n2", "br-int", 3), ...node("n1", "br-ex", 2) });
    const run = (...args: string[]): Ran => folder.run(["diff", "logs", "logs", ...args]);
    failsWith(run(), "logs: has flows of several bridges: br-ex, n1/br-int, n2/br-int", "--bridge-a");
    failsWith(run("--bridge", "br-int"), "several bridges: n1/br-int, n2/br-int; choose one with --bridge\n");
    failsWith(run("--bridge", "br-9"), 'no flows of a bridge "br-9"; it has br-ex, n1/br-int, n2/br-int');
    assert.is(run("--bridge", "n1/br-int").code, 0);
    assert.is(run("--bridge-a", "n1/br-int", "--bridge-b", "br-ex").code, 0);
    assert.is(run("--bridge-a", "n1/br-int", "--bridge-b", "n2/br-int").code, 2);
    failsWith(run("--bridge", "br-ex", "--bridge-a", "br-ex"), "exclude each other");
  }));

test("two dumps of one version: that of -O, or of the folder with more of the bridge, else an error", () =>
  inFolder({ "plain.flows": flows("output:2"), "of10.flows": flows("output:100", 0) }, folder => {
    const isOf10 = ([path]: [string, string]): boolean => /dump-flows/.test(path) && !/w1[34]/.test(path);
    put(folder, Object.fromEntries(Object.entries(SOSREPORT).filter(isOf10)), "old");
    assert.is(folder.run(["diff", "old", "of10.flows", "--of10"]).code, 0);
    put(folder, SOSREPORT);
    put(folder, {
      "sosreport-h1/sos_commands/ovn_host/ovs-ofctl_-O_OpenFlow14_dump-flows_br-int": flows("drop", 4),
    });
    assert.equal(outputsOf(traced(folder, "sosreport-h1")), [[2, "vx0"]]);
    put(folder, { "b/br-int.flows": flows("output:2"), "b/br-int_flows.txt": flows("output:2") });
    failsWith(
      folder.run(["diff", "b", "plain.flows", "-q"]),
      "b: has two files with the flows of the bridge, br-int.flows and br-int_flows.txt; remove one",
    );
  }));

test("names are symbols where two bundles give a port two numbers, else numbers", () =>
  inFolder({}, folder => {
    const side = (name: string, tap: number): Files => ({
      [`${name}/br0.flows`]: flows("output:vx0", 3, "in_port=tap1"),
      [`${name}/br0.ports`]: ports("br0", [tap, "tap1"], [2, "vx0"]),
    });
    put(folder, { ...side("a", 1), ...side("b", 1), ...side("c", 5) });
    const same = folder.run(["diff", "a", "b"]);
    assert.is(same.code, 0, same.stderr);
    assert.not.match(same.stderr, "no list defines");
    const other = folder.run(["diff", "a", "c"]);
    assert.is(other.code, 0, other.stdout + other.stderr);
    assert.match(other.stderr, 'no list defines port "tap1"');
  }));

test("verify reads a bundle; the interface types of the bundle say which ports are tunnels", () =>
  inFolder({}, folder => {
    const compiled = folder.run(["compile", "hv.yaml"]).stdout;
    put(folder, { "s/br0.flows": compiled, "s/ovs-vsctl_list_interface": interfaces(["uplink0", 1, ""]) });
    const ran = folder.run(["verify", "-n", "hv.yaml", "-f", "s", "--bridge", "br0"]);
    assert.is(ran.code, 0, ran.stderr);
    const flowsOf = (set: string): string => flows(`${set}output:2`).replace("OF1.3", "OF1.5");
    put(folder, { "x/br0.flows": flowsOf("set_field:5->tun_id,"), "y/br0.flows": flowsOf("") });
    const list = (type: string): Files => ({
      "x/ovs-vsctl_list_interface": interfaces(["tap1", 1, "internal"], ["vx0", 2, type]),
      "x/br0.ports": ports("br0", [1, "tap1"], [2, "vx0"]),
    });
    for (const [type, code] of [
      ["vxlan", 2],
      ["internal", 0],
    ] as const) {
      put(folder, list(type));
      const judged = folder.run(["diff", "x", "y"]);
      assert.is(judged.code, code, judged.stdout + judged.stderr);
      assert.not.match(judged.stdout, "if port");
    }
  }));

// ── Bad input ──────────────────────────────────────────────────────────────────────────────────────────────

/** One member of a tar archive, POSIX.1-1988 ustar; its size may be a lie. */
function member(name: string, text: string, { type = "0", size = text.length, link = "" } = {}): Buffer {
  const head = Buffer.alloc(512);
  head.write(name, 0, "latin1");
  head.write("0000644\0", 100);
  head.write(`${size.toString(8).padStart(11, "0")}\0`, 124);
  head.write(type, 156);
  head.write(link, 157);
  head.write("ustar\x0000", 257);
  head.fill(32, 148, 156);
  const sum = head.reduce((total, byte) => total + byte, 0);
  head.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return Buffer.concat([head, Buffer.from(text), Buffer.alloc(-text.length & 511)]);
}

const END = Buffer.alloc(1024);

test("bad input: empty, without flows, no archive, a live bridge's option", () =>
  inFolder({ "plain.flows": flows("drop") }, folder => {
    mkdirSync(folder.at("empty"));
    const withPlain = (path: string, ...more: string[]): Ran =>
      folder.run(["diff", path, "plain.flows", "-q", ...more]);
    failsWith(
      withPlain("empty"),
      "empty: no file in it has flows; expected the output of ovs-ofctl dump-flows",
    );
    put(folder, NOISE, "noise");
    failsWith(withPlain("noise"), "noise: no file in it has flows");
    folder.write("x.tar.xz", Buffer.from("fd377a585a000000", "hex"));
    failsWith(withPlain("x.tar.xz"), "x.tar.xz: the xz data is");
    failsWith(
      withPlain("plain.flows", "--bridge", "br0"),
      "--bridge chooses a bridge of a folder or tarball",
    );
    failsWith(
      folder.run(["trace", "-f", "plain.flows", "--bridge", "b", "-i", "1", FRAME]),
      "and plain.flows is neither",
    );
    failsWith(
      folder.run(["verify", "-n", "hv.yaml", "-f", "plain.flows", "--bridge", "b"]),
      "and plain.flows is neither",
    );
    failsWith(folder.run(["verify", "-n", "hv.yaml", "-f", "empty", "--db", "x", "--bridge", "b"]), "--db");
  }));

test("a tarball cut short is an error, wherever it is cut", () =>
  inFolder({ "plain.flows": flows("drop") }, folder => {
    const random = randomOf(seed());
    put(folder, SOSREPORT);
    for (const [letters, name] of [
      ["cf", "a.tar"],
      ["czf", "a.tgz"],
    ] as const) {
      tar(folder, letters, name, "sosreport-h1");
      const whole = readFileSync(folder.at(name));
      for (let n = 0; n < draws(12); n++) {
        const bytes = Math.floor(random() * (whole.length * 0.8));
        folder.write("cut", whole.subarray(0, bytes));
        const ran = folder.run(["diff", "cut", "plain.flows", "-q"]);
        assert.is(ran.code, 1, `${name}, ${bytes} of ${whole.length} bytes: ${ran.stdout}`);
        assert.match(ran.stderr, /^(?:slash32: |cut:|… and)/, `${name}, ${bytes} bytes: ${ran.stderr}`);
        assert.not.match(ran.stderr, "internal error");
      }
    }
  }));

test("a hostile tarball: paths with .., links, devices and control characters lead nowhere", () =>
  inFolder({ "plain.flows": flows("output:2"), "secret.flows": flows("output:66") }, folder => {
    folder.write(
      "h.tar",
      Buffer.concat([
        member("../../br-up.flows", flows("output:2")),
        member("br-link.flows", "", { type: "2", link: folder.at("secret.flows") }),
        member("br-hard.flows", "", { type: "1", link: "secret.flows" }),
        member("br-device.flows", "", { type: "3" }),
        END,
      ]),
    );
    const ran = folder.run(["diff", "h.tar", "plain.flows"]);
    assert.is(ran.code, 0, ran.stderr);
    assert.match(ran.stderr, "h.tar: bridge br-up: flows br-up.flows in ../..\n");
    mkdirSync(folder.at("links"));
    symlinkSync(folder.at("secret.flows"), folder.at("links/br0.flows"));
    symlinkSync(folder.path, folder.at("links/loop"));
    failsWith(folder.run(["diff", "links", "plain.flows", "-q"]), "links: no file in it has flows");
    folder.write(
      "c.tar",
      Buffer.concat([member("a\u001b[2Jb.flows", flows("drop")), member("c.flows", ""), END]),
    );
    const shown = folder.run(["diff", "c.tar", "plain.flows"]);
    assert.not.match(shown.stderr + shown.stdout, "\u001b");
  }));

test("sizes and counts are bounded", async () => {
  const folder = new Folder({
    "noise.tgz": gzipSync(Buffer.concat([member("n", "x".repeat(5_000_000)), END])),
  });
  try {
    put(folder, { "d/br0.flows": flows("drop").repeat(100), "d/br1.flows": flows("drop") });
    tar(folder, "cf", "d.tar", "d");
    const found = (path: string, limits: Partial<{ members: number; expanded: number; file: number }>) =>
      bundledBridge(folder.at(path), "br0", "--bridge", {
        members: 100,
        expanded: 1_000_000,
        file: 100_000,
        ...limits,
      });
    const message = async (path: string, limits = {}): Promise<string> => {
      try {
        await found(path, limits);
      } catch (error) {
        return (error as Error).message;
      }
      return "";
    };
    for (const path of ["d", "d.tar"]) {
      assert.ok((await found(path, {})) !== null);
      assert.match(await message(path, { members: 1 }), "has more than 1 files, the limit");
      assert.match(await message(path, { file: 1000 }), /br0\.flows: is larger than 1,000 bytes, the limit/);
    }
    assert.match(await message("noise.tgz"), "expands to more than 1,000,000 bytes, the limit");
    // Ten gigabytes that are not there: nothing is allocated for them.
    folder.write("lie.tar", Buffer.concat([member("br0.flows", flows("drop"), { size: 10 ** 10 }), END]));
    assert.match(await message("lie.tar"), /damaged|limit/);
  } finally {
    folder.remove();
  }
});

// ── Properties ─────────────────────────────────────────────────────────────────────────────────────────────

/** Numbers from 0 to 1, mulberry32. */
function randomOf(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A bridge's name as ovs-vsctl takes it, as sos writes it in the name of a file. */
const mangled = (command: string): string => command.replace(/[^\w\-./]+/g, "_").replaceAll("/", ".");

test("random bundles: the bridge asked for, in its highest version, wherever its files lie", async () => {
  const start = seed();
  process.stdout.write(`  seed ${start}\n`);
  const random = randomOf(start);
  const hasXz = spawnSync("xz", ["--version"]).status === 0;
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
  for (let n = 0; n < draws(150); n++) {
    const folder = new Folder();
    try {
      const names = ["br-int", "br_tun", "br.ex", "ovs0", "br-int2", "br-a_b"].filter(() => random() < 0.6);
      const bridges = names.length === 0 ? ["br-int"] : names;
      const files: Record<string, string> = random() < 0.5 ? { ...NOISE } : {};
      const best = new Map<string, number>();
      for (const bridge of bridges)
        for (const minor of [0, 1, 2, 3, 4, 5].filter(() => random() < 0.5).concat(3)) {
          const version = random() < 0.2 ? "" : `-O OpenFlow1${minor} `;
          const isNamed = version !== "" || !best.has(bridge);
          if (!isNamed) continue;
          const output = 10 * bridges.indexOf(bridge) + minor + 1;
          files[`${SOS}/${mangled(`ovs-ofctl ${version}dump-flows ${bridge}`)}`] = flows(
            `output:${output}`,
            minor,
          );
          best.set(bridge, Math.max(best.get(bridge) ?? 0, output));
        }
      put(folder, files, "b");
      const place = pick(["b", "b.tar", "b.tgz", ...(hasXz ? ["b.tar.xz"] : [])]);
      if (place !== "b") tar(folder, "caf", place, "b");
      const bridge = pick(bridges);
      const found = await bundledBridge(folder.at(place), bridge, "--bridge");
      const text = new TextDecoder().decode(found!.flows.bytes);
      assert.match(
        text,
        `output:${best.get(bridge)}\n`,
        `draw ${n}, ${bridge} of ${bridges}: ${found!.note}`,
      );
    } finally {
      folder.remove();
    }
  }
});

test("canary: a choice of the lowest version is detected", async () => {
  const module = await bundleModule("src/cli/bundle/index.ts", (path, text) =>
    path.endsWith("bundle/bundle.ts") ? text.replace("rankOf(b) - rankOf(a)", "rankOf(a) - rankOf(b)") : text,
  );
  const mutant: { bundledBridge: typeof bundledBridge } = await import(module);
  const folder = new Folder();
  try {
    put(folder, SOSREPORT);
    const taken = async (of: typeof bundledBridge): Promise<string> =>
      (await of(folder.at("sosreport-h1"), undefined, "--bridge"))!.flows.file;
    assert.match(await taken(bundledBridge), "OpenFlow14_dump-flows");
    assert.not.match(await taken(mutant.bundledBridge), "OpenFlow14_dump-flows");
  } finally {
    folder.remove();
  }
});

// ── A real switch ──────────────────────────────────────────────────────────────────────────────────────────

test("what a real switch prints, in every version, is recognized, and equals the live bridge", async () => {
  peer("ovs-vswitchd");
  const sw = await PrivateSwitch.start({
    ports: [
      { number: 1, name: "tap1" },
      { number: 2, name: "vx0" },
    ],
    tunnels: [20],
  });
  const folder = new Folder();
  try {
    await sw.replaceGroups("group_id=7,type=all,bucket=actions=output:2");
    await sw.replaceFlows("table=0,priority=5,in_port=1 actions=group:7\n");
    const socket = join(sw.whereabouts.folder, "br0.mgmt");
    const database = join(sw.whereabouts.folder, "db.sock");
    mkdirSync(folder.at("sos/sos_commands/openvswitch"), { recursive: true });
    const collect = (program: string, words: readonly string[], named: string): void => {
      const ran = spawnSync(program, words, { encoding: "utf8" });
      folder.write(`sos/sos_commands/openvswitch/${mangled(named)}`, ran.stdout + ran.stderr);
    };
    for (const version of ["", "-O OpenFlow10 ", "-O OpenFlow13 ", "-O OpenFlow15 "])
      for (const command of [
        "dump-flows",
        "dump-groups",
        "dump-group-stats",
        "show",
        "dump-ports-desc",
        "dump-tables",
      ])
        collect(
          "ovs-ofctl",
          [...version.split(" ").filter(word => word !== ""), command, socket],
          `ovs-ofctl ${version}${command} br0`,
        );
    for (const command of ["show", "list interface", "list bridge", "list-br"])
      collect("ovs-vsctl", [`--db=unix:${database}`, ...command.split(" ")], `ovs-vsctl -t 5 ${command}`);
    tar(folder, "czf", "sos.tgz", "sos");
    const found = await bundledBridge(folder.at("sos.tgz"), "br0", "--bridge");
    assert.match(found!.note, "flows ovs-ofctl_-O_OpenFlow15_dump-flows_br0");
    assert.match(found!.note, "groups ovs-ofctl_-O_OpenFlow15_dump-groups_br0");
    assert.equal(
      [...found!.types].filter(([, is]) => is),
      [[20, true]],
    );
    assert.is(found!.ports.get("tap1"), 1);
    const { stdout, code } = traced(folder, "sos.tgz");
    assert.is(code, 0);
    assert.equal(
      JSON.parse(stdout).outputs.map(({ port }: { port: number }) => port),
      [2],
    );
  } finally {
    folder.remove();
    await sw.close();
  }
});

test.run();
