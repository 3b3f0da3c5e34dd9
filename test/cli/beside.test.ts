/**
 * What comes in and leaves beside a frame's bytes, on the command line: options, reports, the flow syntax
 * of trace.
 */
import { assert, suite } from "../harness.ts";
import { Folder, failsWith, type Ran } from "./base.ts";

const test = suite("beside the frame, on the command line");

const interfaces = (rows: readonly (readonly [string, unknown, string])[]): string =>
  JSON.stringify({ data: rows, headings: ["name", "ofport", "type"] });

const folder = new Folder({
  "a.flows": "in_port=2,tun_id=0x64 actions=output:1\n",
  "b.flows": "in_port=2,tun_id=0x65 actions=output:1\n",
  "set-a.flows": "in_port=1 actions=set_tunnel:0x64,output:2\n",
  "set-b.flows": "in_port=1 actions=set_tunnel:0x65,output:2\n",
  "queue-a.flows": "in_port=1 actions=set_queue:5,output:2\n",
  "queue-b.flows": "in_port=1 actions=set_queue:6,output:2\n",
  "in-a.flows": "actions=controller(id=3,userdata=01.02),set_field:7->reg4,controller\n",
  "in-b.flows": "actions=controller(id=3,userdata=01.03),set_field:7->reg4,controller\n",
  "state.flows":
    "table=0,tun_id=0x64,ip actions=set_field:3->pkt_mark,output:1\ntable=0,priority=1 actions=drop\n",
  "vxlan.json": interfaces([
    ["vm", 1, "system"],
    ["vxlan0", 2, "vxlan"],
    ["gone", ["set", []], "patch"],
  ]),
  "patch.json": interfaces([
    ["vm", 1, ""],
    ["patch-tun", 2, "patch"],
  ]),
  "both.json": interfaces([
    ["patch-tun", 2, "patch"],
    ["vxlan0", 2, "vxlan"],
  ]),
  "odd.json": '{"headings":["name","ofport"],"data":[]}',
  "cut.json": '{"headings":["name"',
});
process.on("exit", () => folder.remove());
const run = (...args: string[]): Ran => folder.run(args);
const verdictOf = (...args: string[]): string => {
  const ran = run("diff", ...args, "-q", "--format", "json");
  assert.ok(ran.stdout !== "", ran.stderr);
  return JSON.parse(ran.stdout).verdict;
};

test("a port of unknown type may be a tunnel, and the difference says so", () => {
  const ran = run("diff", "a.flows", "b.flows");
  assert.is(ran.code, 2);
  assert.match(ran.stdout, "if port 2 is a tunnel");
  assert.match(ran.stdout, "in 2 with tun_id=0x65: ");
  const { differences } = JSON.parse(run("diff", "a.flows", "b.flows", "-q", "--format", "json").stdout);
  const [{ state, replay }] = differences;
  assert.match(state, /^tun_id=0x6[45]$/);
  assert.match(replay, `in_port=2,${state} `);
  const shown = folder.shell(replay);
  assert.is(shown.code, 0, shown.stderr);
  assert.match(shown.stdout, "out  1 with tun_id=0x6");
});

test("--tunnel-ports, and lists of interfaces, say which ports are tunnels", () => {
  assert.is(verdictOf("a.flows", "b.flows", "--tunnel-ports", "2"), "different");
  assert.is(verdictOf("a.flows", "b.flows", "--tunnel-ports", "none"), "equal");
  assert.is(verdictOf("a.flows", "b.flows", "--tunnel-ports", "1,7"), "equal");
  assert.is(verdictOf("a.flows", "b.flows", "--ports", "vxlan.json"), "different");
  assert.is(verdictOf("a.flows", "b.flows", "--ports", "patch.json"), "equal");
  assert.is(
    verdictOf("a.flows", "b.flows", "--ports", "both.json"),
    "different",
    "two interfaces have the number",
  );
  assert.is(verdictOf("set-a.flows", "set-b.flows", "--ports", "patch.json"), "equal");
  const named = run(
    "diff",
    "set-a.flows",
    "set-b.flows",
    "--ports",
    "vxlan.json",
    "--tunnel-ports",
    "vxlan0",
  );
  assert.match(named.stdout, "1. tun_id differs for all frames of this packet class");
  assert.match(named.stdout, "out vxlan0 (2) with tun_id=0x64: ");
});

test("wrong lists of ports and interfaces are one line", () => {
  failsWith(run("diff", "a.flows", "b.flows", "-q", "--tunnel-ports", "frob"), "--tunnel-ports", '"frob"');
  failsWith(run("diff", "a.flows", "b.flows", "-q", "--tunnel-ports", ""), "--tunnel-ports");
  failsWith(run("diff", "a.flows", "b.flows", "-q", "--ports", "odd.json"), "odd.json", "no column type");
  failsWith(run("diff", "a.flows", "b.flows", "-q", "--ports", "cut.json"), "cut.json", "is not the JSON");
});

test("--ignore leaves parts out, the verdict and JSON name them, a wrong part is one line", () => {
  const ran = run("diff", "queue-a.flows", "queue-b.flows");
  assert.is(ran.code, 2);
  assert.match(ran.stdout, "queue differs");
  assert.match(ran.stdout, "out 2 with queue 5: ");
  const ignoring = run("diff", "queue-a.flows", "queue-b.flows", "--ignore", "mark,queue");
  assert.is(ignoring.code, 0, ignoring.stderr);
  assert.match(ignoring.stdout, "equal, apart from mark, queue left out by --ignore: ");
  const { compared } = JSON.parse(
    run("diff", "queue-a.flows", "queue-b.flows", "-q", "--ignore", "queue", "--format", "json").stdout,
  );
  assert.equal(compared.left_out, ["queue left out by --ignore"]);
  assert.not.ok(compared.included.includes("its queue"));
  failsWith(
    run("diff", "a.flows", "b.flows", "-q", "--ignore", "queues"),
    '"queues" is not a part',
    "packet-in",
  );
  failsWith(
    run("diff", "a.flows", "b.flows", "-q", "--ignore", "queue", "--ignore", "mark"),
    "--ignore",
    "twice",
  );
});

test("packet-ins are shown with all that they carry", () => {
  const ran = run("diff", "in-a.flows", "in-b.flows");
  assert.is(ran.code, 2);
  assert.match(ran.stdout, "userdata of the packet-in differs");
  assert.match(ran.stdout, /packet-in \w+, id 3, userdata 0102/);
  const { differences } = JSON.parse(
    run("diff", "in-a.flows", "in-b.flows", "-q", "--format", "json").stdout,
  );
  const [first, second] = differences[0].a.packet_ins;
  assert.equal([first.id, first.userdata, second.state], [3, "0102", "reg4=0x7"]);
});

test("trace takes the flow syntax of ofproto/trace, alone or in front of frames", () => {
  const composed = run("trace", "-f", "state.flows", "in_port=2,tun_id=0x64,ip,nw_dst=203.0.113.7,nw_ttl=64");
  assert.is(composed.code, 0, composed.stderr);
  assert.match(composed.stdout, "in   2 with tun_id=0x64: ");
  assert.match(composed.stdout, "out  1 with tun_id=0x64, pkt_mark=0x3: ");
  assert.match(composed.stdout, "> 203.0.113.7 ttl 64");
  const hex = "0200000000020200000000010800450000140000000040fd8db7c0000201c6336401";
  const given = run("trace", "-f", "state.flows", "in_port=2,tun_id=0x64", hex, "--format", "json");
  const { in_port, state, outputs } = JSON.parse(given.stdout);
  assert.equal([in_port, state, outputs[0].state], [2, "tun_id=0x64", "tun_id=0x64,pkt_mark=0x3"]);
  const without = run("trace", "-f", "state.flows", "-i", "2", hex);
  assert.match(without.stdout, "\ndrop");
  const labelled = run("trace", "-f", "state.flows", "in_port=1,mpls,mpls_label=1001,mpls_bos=1,mpls_ttl=64");
  assert.match(labelled.stdout, "MPLS 1001 S ttl 64");
  for (const protocol of ["arp", "tcp", "udp6", "icmp6", "sctp"])
    assert.is(run("trace", "-f", "state.flows", "-i", "1", protocol).code, 0, protocol);
});

test("--batch takes the state of a frame", () => {
  const hex = "0200000000020200000000010800450000140000000040fd8db7c0000201c6336401";
  const lines = [
    { in_port: 2, frame: hex, state: "tun_id=0x64" },
    { in_port: 2, frame: hex },
    { in_port: 2, frame: hex, state: "frob=1" },
    { in_port: 2, frame: hex, state: "ip" },
  ].map(line => JSON.stringify(line));
  const ran = folder.run(["trace", "-f", "state.flows", "--batch", "-"], { input: `${lines.join("\n")}\n` });
  assert.is(ran.code, 1);
  const [first, second, third, fourth] = ran.stdout
    .trim()
    .split("\n")
    .map(line => JSON.parse(line));
  assert.equal([first.verdict, second.verdict], ["output", "drop"]);
  assert.equal([third.type, fourth.type], ["error", "error"]);
});

test("a flow that is no frame is one line", () => {
  failsWith(run("trace", "-f", "state.flows", "in_port=2,frob=1"), "frame: ", "frob");
  failsWith(
    run("trace", "-f", "state.flows", "in_port=2,tun_id=0x64"),
    "the flow has no packet fields",
    "a frame after the flow",
  );
  failsWith(run("trace", "-f", "state.flows", "ip,nw_dst=10.0.0.1"), "needs the input port");
  failsWith(
    run("trace", "-f", "state.flows", "-i", "1", "in_port=2,ip"),
    "-i gives port 1, but the flow has in_port=2",
  );
  failsWith(run("trace", "-f", "state.flows", "in_port=1,ip,nw_dst=10.0.0.0/8"), "ip_dst", "mask");
  failsWith(run("trace", "-f", "state.flows", "in_port=1,tun_metadata0=1,ip"), "tun_metadata0");
});

test.run();
