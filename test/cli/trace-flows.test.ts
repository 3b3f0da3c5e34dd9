/**
 * `slash32 trace -f`: frames through the flows of a bridge, as text, JSON and batches. What it says of the
 * pipeline's flows is what the core says of the intent; the rest are the corners of the command line.
 */
import { assert, seed, suite } from "../harness.ts";
import { randomFrame, randomIntent, rng } from "../model/random.ts";
import {
  type Folder,
  fabricFrame,
  failsWith,
  goodPcapng,
  guestFrame,
  inFolder,
  type Ran,
  succeeds,
} from "./base.ts";

const test = suite("trace -f");
const GUEST = Buffer.from(guestFrame()).toString("hex");
const HEADER = "OFPST_FLOW reply (OF1.3) (xid=0x2):\n";
const FLOWS = `${HEADER} cookie=0x0, duration=1.2s, table=0, n_packets=0, n_bytes=0, priority=9,in_port=1,mpls actions=pop_mpls:0x0800,resubmit(,5)
 cookie=0x0, duration=1.2s, table=0, n_packets=0, n_bytes=0, priority=8,in_port=2 actions=NORMAL
 cookie=0x0, duration=1.2s, table=0, n_packets=0, n_bytes=0, priority=7,in_port=3,ip actions=output:4
 cookie=0x0, duration=1.2s, table=0, n_packets=0, n_bytes=0, priority=7,in_port=3,nw_dst=203.0.113.0/24,ip actions=output:5
 cookie=0x0, duration=1.2s, table=0, n_packets=0, n_bytes=0, priority=6,in_port=4 actions=resubmit(,7)
 cookie=0x0, duration=1.2s, table=5, n_packets=0, n_bytes=0, ip,nw_dst=203.0.113.7 actions=dec_ttl,set_field:52:54:00:00:00:0b->eth_dst,output:11,IN_PORT
`;
const LABELLED =
  "eth(dst=02:00:00:00:00:01, src=02:00:00:00:00:fe).mpls(label=1001).ipv4(src=198.51.100.9, dst=203.0.113.7).udp(src=4000, dst=53)";

interface Answer {
  type: string;
  in_port_name?: string;
  outputs: { port: number; port_name?: string; frame: string }[];
  packet_ins: { reason: string; frame: string }[];
  verdict: string;
  reason: string | null;
  unknown: { feature: string; line: number }[];
  ambiguous?: { table: number; lines: number[] }[];
  tables: { table: number; flow: string | null; line: number | null; actions: string | null }[];
  line?: number;
}

const answersIn = (stdout: string): Answer[] =>
  stdout
    .split("\n")
    .slice(0, -1)
    .map(line => JSON.parse(line));

const traced = (folder: Folder, port: string, frame: string, ...args: string[]): Ran =>
  folder.run(["trace", "-f", "flows.txt", "-i", port, "--format", "json", ...args, frame]);

const request = (inPort: number | string, frame: string): string =>
  JSON.stringify({ in_port: inPort, frame });

test("a label popped, the packet read again, two outputs in order: the whole answer", () =>
  inFolder({ "flows.txt": FLOWS }, folder => {
    const ran = traced(folder, "1", LABELLED);
    succeeds(ran);
    const [answer] = answersIn(ran.stdout);
    assert.equal(Object.keys(answer!), [
      "type",
      "schema",
      "in_port",
      "outputs",
      "packet_ins",
      "verdict",
      "reason",
      "unknown",
      "tables",
    ]);
    assert.equal(
      answer!.outputs.map(({ port, frame }) => [port, frame.slice(0, 28)]),
      [
        [11, "52540000000b0200000000fe0800"],
        [1, "52540000000b0200000000fe0800"],
      ],
    );
    assert.is(answer!.verdict, "output");
    assert.is(answer!.reason, null);
    assert.equal(answer!.tables, [
      {
        table: 0,
        flow: "priority=9,mpls,in_port=1",
        line: 2,
        actions: "pop_mpls:0x0800,resubmit(,5)",
      },
      {
        table: 5,
        flow: "ip,nw_dst=203.0.113.7",
        line: 7,
        actions: "dec_ttl,set_field:52:54:00:00:00:0b->eth_dst,output:11,IN_PORT",
      },
    ]);
  }));

test("text says what changed between the tables", () =>
  inFolder({ "flows.txt": FLOWS }, folder => {
    const ran = folder.run(["trace", "-f", "flows.txt", "-n", "hv.yaml", "-i", "uplink0", LABELLED]);
    succeeds(ran);
    const lines = ran.stdout.split("\n").map(line => line.trim());
    const wanted = [
      "table=0, line 2: priority=9,mpls,in_port=1 actions=pop_mpls:0x0800,resubmit(,5)",
      "parsed again: 02:00:00:00:00:fe > 02:00:00:00:00:01 IPv4",
      "dl_dst: 02:00:00:00:00:01 → 52:54:00:00:00:0b",
      "nw_ttl: 64 → 63",
      "out  tap101 (11): 02:00:00:00:00:fe > 52:54:00:00:00:0b IPv4",
      "out  uplink0 (1): 02:00:00:00:00:fe > 52:54:00:00:00:0b IPv4",
    ];
    let at = -1;
    for (const line of wanted) {
      at = lines.findIndex((one, index) => index > at && one.startsWith(line));
      assert.ok(at >= 0, `${line}\n${ran.stdout}`);
    }
  }));

test("unknown, ambiguous, dropped, no match: verdicts, and exit 0", () =>
  inFolder({ "flows.txt": FLOWS }, folder => {
    const at = (port: string): Answer => answersIn(traced(folder, port, GUEST).stdout)[0]!;
    assert.equal([at("2").verdict, at("2").unknown], ["unknown", [{ feature: "NORMAL", line: 3 }]]);
    const toGuest = Buffer.from(fabricFrame()).toString("hex");
    const tied = answersIn(traced(folder, "3", toGuest).stdout)[0]!;
    assert.equal([tied.verdict, tied.ambiguous], ["ambiguous", [{ table: 0, lines: [4, 5] }]]);
    assert.equal(at("9").tables, [{ table: 0, flow: null, line: null, actions: null }]);
    assert.equal(
      at("4").tables.map(({ table, line }) => [table, line]),
      [
        [0, 6],
        [7, null],
      ],
    );
    assert.is(at("9").verdict, "drop");
    assert.equal([at("70000").verdict, at("70000").tables], ["drop", []]);
    for (const port of ["2", "9"]) succeeds(folder.run(["trace", "-f", "flows.txt", "-i", port, GUEST]));
  }));

test("names of ports: a list, what ovs-ofctl show prints, and an intent's", () => {
  const named = FLOWS.replaceAll("output:11", 'output:"web one"').replace("in_port=1,", "in_port=up,");
  const show =
    ' 1(up): addr:02:00:00:00:00:01\n 11("web one"): addr:02:00:00:00:00:02\n LOCAL(br0): addr:02:00:00:00:00:03\n';
  inFolder({ "flows.txt": named, "show.txt": show }, folder => {
    // Without a list the names are symbols, and nobody knows whether port 1 is one of them.
    const nameless = traced(folder, "1", LABELLED);
    assert.is(nameless.code, 0);
    assert.match(nameless.stderr, /^flows\.txt: no list defines ports "up", "web one"/);
    assert.is(answersIn(nameless.stdout)[0]!.verdict, "unknown");
    const ran = traced(folder, "up", LABELLED, "--ports", "show.txt");
    succeeds(ran);
    const [answer] = answersIn(ran.stdout);
    assert.is(answer!.in_port_name, "up");
    assert.equal(
      answer!.outputs.map(({ port, port_name }) => [port, port_name]),
      [
        [11, "web one"],
        [1, "up"],
      ],
    );
    folder.write("flows.txt", FLOWS.replaceAll("output:11", "output:web"));
    assert.is(
      answersIn(traced(folder, "x", LABELLED, "--ports", "x=1,web=12").stdout)[0]!.outputs[0]!.port,
      12,
    );
    failsWith(traced(folder, "y", LABELLED, "--ports", "x=1,web=12"), '-i: "y"', "x, web");
    folder.write("flows.txt", FLOWS);
    const [other] = answersIn(traced(folder, "uplink0", LABELLED, "-n", "hv.yaml").stdout);
    assert.is(other!.outputs[0]!.port_name, "tap101");
  });
});

test("groups come from a file", () =>
  inFolder(
    {
      "flows.txt": "actions=group:7\n",
      "groups.txt": "group_id=7,type=all,bucket=actions=output:2,bucket=actions=output:3\n",
    },
    folder => {
      const ran = traced(folder, "1", GUEST, "--groups", "groups.txt");
      succeeds(ran);
      assert.equal(
        answersIn(ran.stdout)[0]!.outputs.map(({ port }) => port),
        [2, 3],
      );
    },
  ));

test("a header and no flow drops everything; an empty file, errors, lenient", () =>
  inFolder({ "flows.txt": HEADER }, folder => {
    assert.is(answersIn(traced(folder, "1", GUEST).stdout)[0]!.verdict, "drop");
    folder.write("flows.txt", "");
    failsWith(traced(folder, "1", GUEST), "flows.txt: has neither a flow nor a reply header");
    failsWith(folder.run(["trace", "-f", "none.txt", "-i", "1", GUEST]), "none.txt: does not exist");
    failsWith(
      traced(folder, "1", GUEST, "-f", "none.txt"),
      "--flows takes one value",
      '"flows.txt" and "none.txt"',
    );
    folder.write("flows.txt", "actions=output:2\nip,nw_dst=1.2.3 actions=drop\n");
    failsWith(traced(folder, "1", GUEST), /flows\.txt:2:\d+: /);
    const ran = traced(folder, "1", GUEST, "--lenient");
    assert.is(ran.code, 0);
    assert.match(ran.stderr, /skipped 1 flow that cannot be parsed/);
    const piped = folder.run(["trace", "-f", "-", "-i", "1", "--format", "json", GUEST], { input: FLOWS });
    succeeds(piped);
    failsWith(
      folder.run(["trace", "-f", "-", "--batch", "-"]),
      "standard input is given twice, as the flows and the batch",
    );
    failsWith(folder.run(["trace", "-i", "1", GUEST]), "an intent or flows");
    failsWith(
      folder.run(["trace", "-n", "hv.yaml", "-i", "1", "--lenient", GUEST]),
      "--lenient requires --flows FLOWS",
    );
  }));

test("frames of a capture, by number", () =>
  inFolder({ "flows.txt": FLOWS, "in.pcapng": goodPcapng(3) }, folder => {
    const run = (...args: string[]): Ran =>
      folder.run(["trace", "-f", "flows.txt", "--format", "json", ...args]);
    assert.is(answersIn(run("-r", "3=in.pcapng:2").stdout)[0]!.verdict, "output");
    assert.is(answersIn(run("-r", "in.pcapng", "--ports", "tap101=3").stdout).length, 3);
    failsWith(run("-r", "in.pcapng"), 'interface 0, "tap101", is not a port');
  }));

/** A list of ports is complete, as a file is. */
const PORTS = "up=9,a=1,b=2,c=3,d=4,e=5,f=11";

test("a batch: answers in order, bad lines among them, the same as one by one", () =>
  inFolder({ "flows.txt": FLOWS }, folder => {
    const lines = [
      request(1, GUEST),
      "",
      "nonsense",
      request("up", GUEST),
      ` ${request(3, GUEST)} `,
      request(2, "0"),
    ];
    const ran = folder.run(["trace", "-f", "flows.txt", "--ports", PORTS, "--batch", "-"], {
      input: lines.join("\r\n"),
    });
    assert.is(ran.code, 1);
    const answers = answersIn(ran.stdout);
    assert.equal(
      answers.map(({ type, verdict, line }) => (type === "error" ? line : verdict)),
      ["drop", 3, "drop", "output", 6],
    );
    assert.is(`${ran.stdout.split("\n")[0]}\n`, traced(folder, "1", GUEST, "--ports", PORTS).stdout);
  }));

test("the pipeline's flows answer as the core does, line for line", () => {
  const start = seed();
  process.stdout.write(`\n  SEED=${start}\n`);
  for (let round = 0; round < 4; round++) {
    const r = rng((start + round) >>> 0);
    // What an mtu drops, flows let pass.
    const { uplink, vms, ...rest } = randomIntent(r);
    const intent = {
      ...rest,
      uplink: { ...uplink, mtu: undefined },
      vms: vms.map(vm => ({ ...vm, mtu: undefined })),
    };
    inFolder({ "hv.yaml": JSON.stringify(intent) }, folder => {
      succeeds(folder.run(["compile", "-q", "hv.yaml", "-w", "flows.txt"]));
      const input = Array.from({ length: 400 }, () => {
        const { inPort, frame } = randomFrame(r, intent);
        return request(inPort, Buffer.from(frame.subarray(0, 9216)).toString("hex"));
      }).join("\n");
      const core = folder.run(["trace", "-q", "-n", "hv.yaml", "--batch", "-"], { input });
      const flows = folder.run(["trace", "-q", "-f", "flows.txt", "-n", "hv.yaml", "--batch", "-"], {
        input,
      });
      succeeds(core);
      succeeds(flows);
      const expected = answersIn(core.stdout);
      answersIn(flows.stdout).forEach((answer, index) => {
        const { outputs, verdict, packet_ins, tables, reason } = expected[index]!;
        const where = `SEED=${start + round}: ${input.split("\n")[index]}`;
        assert.equal([answer.outputs, answer.verdict], [outputs, verdict], where);
        assert.equal(answer.packet_ins, packet_ins, where);
        if (reason === "too-short" || reason === "unknown-port") return;
        assert.equal(
          answer.tables.map(({ table, line }) => [table, line]),
          tables.map(({ table, line }) => [table, line]),
          where,
        );
      });
    });
  }
});

test.run();
