/**
 * `slash32 trace`: frames as hex in every form people paste, frames out of captures, and the batch that
 * other programs talk to: one line in, one line out, in order, at once. What it says of random frames is
 * what the independent model of the pipeline (test/model) says: verdict, reason, output bytes and table
 * numbers.
 */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { assert, seed, suite } from "../harness.ts";
import { runModel } from "../model/model.ts";
import { randomFrame, randomIntent, rng } from "../model/random.ts";
import {
  concat,
  Folder,
  fabricFrame,
  failsWith,
  goodPcap,
  goodPcapng,
  guestFrame,
  inFolder,
  interfaceBlock,
  PROGRAM,
  packet,
  pcapHead,
  pcapRecord,
  type Ran,
  section,
  succeeds,
} from "./base.ts";

const test = suite("trace");

const hexOf = (frame: Uint8Array): string => Buffer.from(frame).toString("hex");
const GUEST = hexOf(guestFrame());

interface Answer {
  type: string;
  schema: number;
  line?: number;
  message?: string;
  in_port: number;
  in_port_name?: string;
  outputs: { port: number; port_name?: string; frame: string }[];
  packet_ins: { reason: string; frame: string }[];
  verdict: string;
  reason: string | null;
  unknown: unknown[];
  tables: { table: number; flow: string; line: number; actions: string }[];
}

function answersIn(stdout: string): Answer[] {
  assert.ok(stdout === "" || stdout.endsWith("\n"), "the last line is whole");
  return stdout
    .split("\n")
    .slice(0, -1)
    .map(line => JSON.parse(line) as Answer);
}

/** Traces frames given as hex, answered as JSON. */
function traceHex(folder: Folder, port: string, ...frames: string[]): Ran {
  return folder.run(["trace", "-n", "hv.yaml", "-i", port, "--format", "json", ...frames]);
}

function batch(folder: Folder, input: string): Ran {
  return folder.run(["trace", "-n", "hv.yaml", "--batch", "-"], { input });
}

const request = (inPort: number | string, frame: Uint8Array | string): string =>
  JSON.stringify({ in_port: inPort, frame: typeof frame === "string" ? frame : hexOf(frame) });

// ── Hex ────────────────────────────────────────────────────────────────────────────────────────────────────

test("a frame in hex: the whole answer", () =>
  inFolder({}, folder => {
    const ran = traceHex(folder, "tap101", GUEST);
    succeeds(ran);
    const model = hexOf(guestFrame());
    const pushed = `0200000000fe0200000000018847${"00bbb13f"}${model.slice(28, 44)}3f11`;
    const [answer] = answersIn(ran.stdout);
    assert.equal(Object.keys(answer!), [
      "type",
      "schema",
      "in_port",
      "in_port_name",
      "outputs",
      "packet_ins",
      "verdict",
      "reason",
      "unknown",
      "tables",
    ]);
    const { outputs, tables, ...rest } = answer!;
    assert.equal(rest, {
      type: "trace",
      schema: 1,
      in_port: 11,
      in_port_name: "tap101",
      packet_ins: [],
      verdict: "output",
      reason: null,
      unknown: [],
    });
    assert.equal(
      outputs.map(({ port, port_name }) => [port, port_name]),
      [[1, "uplink0"]],
    );
    assert.is(outputs[0]!.frame.slice(0, pushed.length), pushed);
    assert.equal(
      tables.map(({ table }) => table),
      [0, 30, 40],
    );
    assert.equal(tables.at(-2), { table: 30, flow: "priority=0", line: 29, actions: "goto_table:40" });
    assert.equal(Object.keys(tables[0]!), ["table", "flow", "line", "actions"]);
    const { flow, actions } = tables.at(-1)!;
    assert.is(flow, "priority=100,ip");
    assert.match(actions, /^dec_ttl,.*,set_field:3003->mpls_label,set_field:0->mpls_tc,output:1$/);
  }));

test("every form of hex is the same frame", () =>
  inFolder({}, folder => {
    const spaced = GUEST.match(/../g)!.join(" ");
    const forms = [
      GUEST.toUpperCase(),
      spaced,
      GUEST.match(/../g)!.join(":"),
      GUEST.match(/../g)!.join("-"),
      GUEST.match(/.{1,4}/g)!.join(" "),
      `0x${GUEST}`,
      `  ${GUEST}\n`,
      GUEST.match(/.{1,32}/g)!.join("\n"),
    ];
    const ran = traceHex(folder, "11", GUEST, ...forms);
    succeeds(ran);
    const lines = ran.stdout.split("\n").slice(0, -1);
    assert.is(lines.length, forms.length + 1);
    for (const [index, line] of lines.entries()) assert.is(line, lines[0], forms[index - 1]);
  }));

test("hex that is none", () =>
  inFolder({}, folder => {
    failsWith(traceHex(folder, "tap101", GUEST.slice(1)), "119 hex digits", "two digits");
    failsWith(traceHex(folder, "tap101", `${GUEST.slice(2)}zz`), '"z" is not a hex digit');
    failsWith(traceHex(folder, "tap101", "good.pcap"), "is not a hex digit");
    const ran = traceHex(folder, "tap101", GUEST, "xyz");
    failsWith(ran, '"x" is not a hex digit');
    assert.is(ran.stdout, "", "all frames are read before the first is answered");
    failsWith(traceHex(folder, "tap101", `0000   ${GUEST.match(/../g)!.join(" ")}`), "offset");
  }));

test("malformed frames and unknown ports are verdicts", () =>
  inFolder({}, folder => {
    const reasons = (port: string, ...frames: string[]): unknown[] => {
      const ran = traceHex(folder, port, ...frames);
      succeeds(ran);
      return answersIn(ran.stdout).map(({ verdict, reason }) => [verdict, reason]);
    };
    const long = "00".repeat(9217);
    const tagged = `${GUEST.slice(0, 24)}81000001${GUEST.slice(24)}`;
    assert.equal(reasons("tap101", "00", GUEST.slice(0, 26), long, tagged, GUEST.slice(0, 60)), [
      ["drop", "too-short"],
      ["drop", "too-short"],
      ["drop", "too-long"],
      ["drop", "vlan-tagged"],
      ["drop", "malformed"],
    ]);
    assert.equal(reasons("tap101", ""), [["drop", "too-short"]]);
    for (const port of ["77", "0", "65534", "LOCAL", "4294967295"])
      assert.equal(reasons(port, GUEST), [["drop", "unknown-port"]]);
    failsWith(traceHex(folder, "tap9", GUEST), '"tap9" is not a port of the intent', "uplink0");
    failsWith(traceHex(folder, "-1", GUEST), "--in-port=");
    failsWith(traceHex(folder, "4294967296", GUEST), "is not a port of the intent");
  }));

test("a TTL that ends asks the controller, as Open vSwitch does", () =>
  inFolder({}, folder => {
    const frame = guestFrame();
    frame[22] = 1;
    const [answer] = answersIn(traceHex(folder, "tap101", hexOf(frame)).stdout);
    assert.equal([answer!.verdict, answer!.reason, answer!.outputs], ["drop", "ttl-expired", []]);
    assert.equal(answer!.packet_ins, [{ reason: "invalid_ttl", frame: hexOf(frame) }]);
  }));

test("text for people", () =>
  inFolder({}, folder => {
    const run = (...extra: string[]): Ran =>
      folder.run(["trace", "-n", "hv.yaml", "-i", "tap101", GUEST, ...extra]);
    succeeds(run());
    const parts = [
      "tap101 (11)",
      "0 classify → 30 local → 40 remote",
      "priority=0 actions=goto_table:40",
      "uplink0 (1)",
    ];
    for (const part of parts) assert.match(run().stdout, part);
    assert.is(run("--color=never").stdout, run().stdout, "a pipe has no colours");
    assert.not.match(run().stdout, "\x1b[");
    assert.match(run("--color=always").stdout, "\x1b[");
  }));

test("what to trace has to be said, once", () =>
  inFolder({ "a.pcap": goodPcap(1) }, folder => {
    const run = (...args: string[]): Ran => folder.run(["trace", "-n", "hv.yaml", ...args]);
    failsWith(run(), "one of");
    failsWith(run("-i", "1"), "one of");
    failsWith(run(GUEST), "-i PORT", "tap101");
    failsWith(run("-i", "1", GUEST, "-r", "a.pcap"), "one of");
    failsWith(run("-i", "1", GUEST, "--batch", "-"), "one of");
    failsWith(folder.run(["trace", "-i", "1", GUEST]), "trace needs an intent", "-n");
    failsWith(folder.run(["trace", "-n", "-", "--batch", "-"]), "given twice");
  }));

// ── Captures ───────────────────────────────────────────────────────────────────────────────────────────────

/** The idents (guestFrame's number) of the frames that left. */
function numbersIn(ran: Ran): number[] {
  return answersIn(ran.stdout).map(({ outputs }) => Number.parseInt(outputs[0]!.frame.slice(44, 48), 16));
}

test("frames of a capture: all, or the Nth", () =>
  inFolder({ "a.pcap": goodPcap(5), "b.pcapng": goodPcapng(5), "c:2": goodPcap(3) }, folder => {
    const run = (...args: string[]): Ran =>
      folder.run(["trace", "-n", "hv.yaml", "--format", "json", ...args]);
    const shows = (args: string[], ...numbers: number[]): void => {
      const ran = run(...args);
      succeeds(ran);
      assert.equal(numbersIn(ran), numbers, args.join(" "));
    };
    shows(["-r", "tap101=a.pcap"], 0, 1, 2, 3, 4);
    shows(["-i", "tap101", "-r", "a.pcap:1"], 0);
    shows(["-r", "tap101=a.pcap:5"], 4);
    shows(["-r", "b.pcapng:3"], 2);
    shows(["-r", "tap101=./c:2"], 0, 1, 2);
    shows(["-r", "tap101=./c:2:3"], 2);
    shows(["-r", "tap101=a.pcap:2", "-r", "b.pcapng:4"], 1, 3);
    shows(["-r", "tap101=a.pcap", "-c", "2"], 0, 1);
    for (const number of [6, 0, 99_999_999_999]) {
      failsWith(run("-r", `tap101=a.pcap:${number}`), "a.pcap", `no frame ${number}`);
    }
    failsWith(run("-r", "a.pcap:1"), "a.pcap: a pcap does not name the port");
    failsWith(run("-r", "tap9=a.pcap:1"), '"tap9" is not a port of the intent');
    failsWith(run("-r", "tap101=none.pcap:1"), "none.pcap: no such file");
  }));

test("a file whose name ends like a frame's number, with its port", () =>
  inFolder({ "c:2": goodPcap(3) }, folder => {
    const ran = folder.run(["trace", "-n", "hv.yaml", "--format", "json", "-r", "tap101=c:2"]);
    succeeds(ran);
    assert.equal(numbersIn(ran), [0, 1, 2]);
  }));

test("a frame beyond the end of the second capture", () =>
  inFolder({ "a.pcap": goodPcap(5) }, folder => {
    const args = ["trace", "-n", "hv.yaml", "-i", "tap101", "-r", "a.pcap:1", "-r", "a.pcap:9"];
    failsWith(folder.run(args), "a.pcap", "no frame 9");
  }));

test("fewer frames are read than the one that is asked for", () =>
  inFolder({ "a.pcap": goodPcap(5) }, folder => {
    const args = ["trace", "-n", "hv.yaml", "-i", "tap101", "-r", "a.pcap:3", "-c", "2"];
    const ran = folder.run([...args, "--format", "json"]);
    // Whether -c counts frames that are passed over is nobody's promise; that nothing is passed over
    // silently is.
    if (ran.code === 0) assert.equal(numbersIn(ran), [2]);
    else failsWith(ran, /no frame/);
  }));

test("damaged, snapped and empty captures", () =>
  inFolder({ "cut.pcap": goodPcap(3).subarray(0, -1), "none.pcap": pcapHead() }, folder => {
    folder.write("snap.pcap", concat(pcapHead(), pcapRecord(guestFrame(), { length: 1500 })));
    const run = (...args: string[]): Ran =>
      folder.run(["trace", "-n", "hv.yaml", "--format", "json", ...args]);
    const cut = run("-r", "tap101=cut.pcap");
    failsWith(cut, "cut.pcap: byte 176: ");
    assert.equal(numbersIn(cut), [0, 1], "the frames before the damage are shown");
    succeeds(run("-r", "tap101=cut.pcap:2"));
    failsWith(run("-r", "tap101=cut.pcap:3"), "cut.pcap: byte 176: ");
    failsWith(run("-r", "tap101=snap.pcap"), "frame 1", "snapped", "60 of 1500");
    failsWith(run("-r", "tap101=snap.pcap:1"), "frame 1", "snapped", "60 of 1500");
    failsWith(run("-r", "tap101=none.pcap"), /no frame/);
  }));

test("a snapped frame, a record that is odd, a damaged capture: what comes behind is traced", () =>
  inFolder({}, folder => {
    const run = (...args: string[]): Ran =>
      folder.run(["trace", "-n", "hv.yaml", "--format", "json", ...args]);
    const snapped = pcapRecord(guestFrame(1).subarray(0, 30), { length: 60 });
    const odd = pcapRecord(guestFrame(2), { length: 59 });
    const mixed = concat(pcapHead(), snapped, pcapRecord(guestFrame(0)), snapped, odd);
    folder.write("mixed.pcap", mixed);
    const ran = run("-r", "tap101=mixed.pcap");
    assert.is(ran.code, 0);
    assert.equal(numbersIn(ran), [0, 2]);
    const lines = ran.stderr.split("\n");
    assert.is(lines[0], "slash32: tap101=mixed.pcap: skipped frame 1, which is snapped: 30 of 60 bytes");
    assert.match(lines[1]!, "frame 3, which is snapped");
    assert.match(lines[2]!, /^mixed.pcap: byte \d+: a record with more bytes captured/);
    assert.is(lines.length, 4);
    // A capture behind a damaged one is read, as replay does.
    folder.write("cut.pcap", goodPcap(2).subarray(0, -1));
    const both = run("-r", "tap101=cut.pcap", "-r", "tap101=mixed.pcap");
    assert.is(both.code, 1);
    assert.equal(numbersIn(both), [0, 0, 2]);
  }));

test("interfaces say the port, each its own", () =>
  inFolder({}, folder => {
    const interfaces = concat(section(), interfaceBlock("uplink0"), interfaceBlock("tap101"));
    const packets = concat(packet(guestFrame(), { number: 1 }), packet(fabricFrame(), { number: 0 }));
    folder.write("two.pcapng", concat(interfaces, packets));
    const ran = folder.run(["trace", "-n", "hv.yaml", "--format", "ndjson", "-r", "two.pcapng"]);
    succeeds(ran);
    assert.equal(
      answersIn(ran.stdout).map(({ in_port, outputs }) => [in_port, outputs[0]?.port]),
      [
        [11, 1],
        [1, 11],
      ],
    );
  }));

// ── Batch ──────────────────────────────────────────────────────────────────────────────────────────────────

test("a batch: ports by number and by name", () =>
  inFolder({}, folder => {
    const lines = [request(11, guestFrame()), request("tap101", guestFrame()), request("11", guestFrame())];
    const ran = batch(folder, `${lines.join("\n")}\n`);
    succeeds(ran);
    const answers = ran.stdout.split("\n").slice(0, -1);
    assert.is(answers.length, 3);
    for (const answer of answers) assert.is(answer, answers[0]);
    const alone = traceHex(folder, "11", GUEST).stdout;
    assert.is(`${answers[0]}\n`, alone, "the same object as --format json gives");
  }));

test("bad lines are answered, the stream goes on, and the exit code is 1", () =>
  inFolder({}, folder => {
    const bad: [string, RegExp][] = [
      ["rubbish", /not JSON/],
      ['{"in_port":1', /not JSON/],
      ["[]", /in_port|object/],
      ["null", /object/],
      ["17", /object/],
      ["{}", /in_port/],
      ['{"in_port":1}', /frame/],
      ['{"frame":"00"}', /in_port/],
      ['{"in_port":"tap9","frame":"00"}', /in_port.*tap9/],
      ['{"in_port":-1,"frame":"00"}', /in_port.*-1/],
      ['{"in_port":1.5,"frame":"00"}', /in_port/],
      ['{"in_port":4294967296,"frame":"00"}', /in_port/],
      ['{"in_port":1e30,"frame":"00"}', /in_port/],
      ['{"in_port":null,"frame":"00"}', /in_port/],
      ['{"in_port":[1],"frame":"00"}', /in_port/],
      ['{"in_port":1,"frame":17}', /frame/],
      ['{"in_port":1,"frame":"0"}', /frame.*1 hex digit/],
      ['{"in_port":1,"frame":"zz"}', /frame.*hex/],
      ['{"in_port":"__proto__","frame":"00"}', /in_port/],
      ['"\u2028"', /object/],
      ["\u0000", /not JSON/],
    ];
    const good = request(11, guestFrame());
    const ran = batch(folder, `${[good, ...bad.map(([line]) => line), good].join("\n")}\n`);
    assert.is(ran.code, 1);
    assert.is(ran.stderr, "", "the answers say it all");
    const answers = answersIn(ran.stdout);
    assert.is(answers.length, bad.length + 2, ran.stdout);
    bad.forEach(([line, message], index) => {
      const answer = answers[index + 1]!;
      assert.equal(Object.keys(answer), ["type", "schema", "line", "message"], line);
      assert.equal([answer.type, answer.schema, answer.line], ["error", 1, index + 2], line);
      assert.match(answer.message!, message, line);
    });
    assert.equal(answers.at(-1), answers[0]);
    assert.is(answers[0]!.type, "trace");
  }));

test("CRLF, blank lines, a BOM of nobody's, and no line end at the end", () =>
  inFolder({}, folder => {
    const good = request(11, guestFrame());
    for (const text of [`${good}\r\n${good}\r\n`, `\n\n${good}\n  \n${good}`, `${good}\n${good}\n\n`]) {
      const ran = batch(folder, text);
      succeeds(ran);
      assert.is(answersIn(ran.stdout).length, 2);
    }
    const counted = batch(folder, `\n${good}\r\n\r\nrubbish\r\n`);
    assert.is(counted.code, 1);
    assert.is(answersIn(counted.stdout)[1]!.line, 4, "blank lines are counted");
  }));

test("nothing to answer is no success", () =>
  inFolder({ "empty.ndjson": "", "blank.ndjson": "\n\n\n" }, folder => {
    failsWith(batch(folder, ""), "standard input", "empty");
    failsWith(batch(folder, "\n\n"), "standard input");
    const run = (file: string): Ran => folder.run(["trace", "-n", "hv.yaml", "--batch", file]);
    failsWith(run("empty.ndjson"), "empty.ndjson", "empty");
    failsWith(run("blank.ndjson"), "blank.ndjson");
    failsWith(run("none.ndjson"), "none.ndjson: no such file");
    failsWith(run("."), "is a directory");
  }));

test("ten thousand lines, answered in order", () =>
  inFolder({}, folder => {
    const lines = Array.from({ length: 10_000 }, (_, i) =>
      i % 1000 === 999
        ? "rubbish"
        : request(i % 2 === 0 ? 11 : 1, (i % 2 === 0 ? guestFrame : fabricFrame)(i)),
    );
    const ran = batch(folder, lines.join("\n"));
    assert.is(ran.code, 1);
    const answers = answersIn(ran.stdout);
    assert.is(answers.length, lines.length);
    answers.forEach((answer, i) => {
      if (i % 1000 === 999) {
        assert.is(answer.line, i + 1);
        return;
      }
      // A label was pushed on the way out of the guest, four bytes in front of the packet.
      const at = i % 2 === 0 ? 44 : 36;
      assert.is(Number.parseInt(answer.outputs[0]!.frame.slice(at, at + 4), 16), i, `line ${i + 1}`);
    });
  }));

test("each line is answered before the next is sent", async () => {
  const folder = new Folder();
  try {
    const child = spawn(process.execPath, [PROGRAM, "trace", "-n", folder.at("hv.yaml"), "--batch", "-"]);
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    for (let number = 0; number < 20; number++) {
      child.stdin.write(`${request(11, guestFrame(number))}\n`);
      const { value } = await lines.next();
      assert.is(
        (JSON.parse(value) as Answer).outputs[0]!.frame.slice(44, 48),
        number.toString(16).padStart(4, "0"),
      );
    }
    child.stdin.write("rubbish\n");
    assert.is(JSON.parse((await lines.next()).value).line, 21);
    const ended = new Promise<number | null>(resolve => child.on("close", resolve));
    child.stdin.end();
    assert.is(await ended, 1);
  } finally {
    folder.remove();
  }
});

test("random frames over random intents: what the model says", () =>
  inFolder({}, folder => {
    const first = seed();
    process.stdout.write(`\n  SEED=${first}\n`);
    for (let world = 0; world < 4; world++) {
      const r = rng((first + world) >>> 0);
      const intent = randomIntent(r);
      const frames = Array.from({ length: 2000 }, () => randomFrame(r, intent));
      folder.write("hv.yaml", JSON.stringify(intent));
      const input = frames.map(({ inPort, frame }) => request(inPort, frame)).join("\n");
      const ran = batch(folder, input);
      assert.is(ran.code, 0, ran.stderr);
      const answers = answersIn(ran.stdout);
      assert.is(answers.length, frames.length);
      frames.forEach(({ inPort, frame }, index) => {
        const model = runModel(intent, inPort, frame);
        const { verdict, reason, outputs, tables } = answers[index]!;
        const got = { verdict, reason, outputs: outputs.map(({ port, frame: out }) => [port, out]) };
        const wanted = {
          verdict: model.verdict,
          reason: model.reason,
          outputs: model.frame === null ? [] : [[model.port, hexOf(model.frame)]],
        };
        const shown = `SEED=${first}, world ${world}: in_port ${inPort}, ${hexOf(frame)}`;
        assert.equal(got, wanted, shown);
        assert.equal(
          tables.map(({ table }) => table),
          model.tables,
          shown,
        );
      });
    }
  }));

test.run();
