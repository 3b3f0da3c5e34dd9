/**
 * Live ports on real interfaces, in network namespaces that each test makes and removes: taps and packet
 * sockets with real stacks behind them, senders that leave checksums and segments to hardware, VLAN tags,
 * devices that go and come back, and what is said when one cannot be had. Needs root.
 */
import { once } from "node:events";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pcapHeader } from "../../src/capture/index.ts";
import { assert, peer, skip, suite } from "../harness.ts";
import {
  ADDRESSES,
  Folder,
  fromA,
  INTENT,
  killAll,
  MACS,
  Netns,
  needsRoot,
  Peer,
  type Running,
  runLive,
  startLive,
  summaryOf,
  until,
} from "./base.ts";

const test = suite("live ports on interfaces");

/** A host's namespace with the program in it, and VMs' namespaces. */
class Lab {
  readonly folder = new Folder();
  readonly host = new Netns();
  readonly vms: Record<"a" | "b", Netns> = { a: new Netns(), b: new Netns() };
  live: Running | null = null;

  get intent(): string[] {
    return ["-n", this.folder.at("hv.yaml"), "--format", "json"];
  }

  async start(...words: string[]): Promise<Running> {
    this.live = await startLive([...this.intent, ...words], this.host.name);
    return this.live;
  }

  async stop(signal: NodeJS.Signals = "SIGINT") {
    const ended = await this.live!.end(signal);
    assert.is(ended.code, 0, ended.stderr);
    return summaryOf(ended);
  }

  /** Gives a VM an interface of the host, with its MAC and address. */
  hand(vm: "a" | "b", name: string): void {
    this.host.ip(`link set ${name} netns ${this.vms[vm].name}`);
    this.dress(vm, name);
  }

  dress(vm: "a" | "b", name: string): void {
    const { vms } = this;
    vms[vm].ip(`link set ${name} address ${MACS[vm]}`);
    vms[vm].ip(`addr add ${ADDRESSES[vm]}/24 dev ${name}`);
    vms[vm].ip(`link set ${name} up`);
  }

  /** A veth pair: `NAME` in the host, `eth0` in the VM. */
  wire(vm: "a" | "b", name: string): void {
    this.host.ip(`link add ${name} type veth peer name eth0 netns ${this.vms[vm].name}`);
    this.host.ip(`link set ${name} up`);
    this.dress(vm, "eth0");
  }

  remove(): void {
    killAll();
    for (const netns of [this.host, ...Object.values(this.vms)]) netns.remove();
    this.folder.remove();
  }
}

async function inLab(body: (lab: Lab) => Promise<void>): Promise<void> {
  needsRoot();
  const lab = new Lab();
  try {
    await body(lab);
  } finally {
    lab.remove();
  }
}

/** Sends bytes over TCP from b to a, and gives what arrived as its SHA-256. */
const RECEIVER = `
const hash = require("crypto").createHash("sha256");
require("net").createServer(socket => socket.on("data", piece => hash.update(piece)).on("end", () => {
  console.log(hash.digest("hex")); process.exit();
})).listen(5001, () => console.log("listening"));`;
const SENDER = `
const bytes = require("crypto").randomBytes(5e6);
console.log(require("crypto").createHash("sha256").update(bytes).digest("hex"));
require("net").connect(5001, process.argv[1], function () { this.end(bytes); });`;

async function transfer(lab: Lab): Promise<void> {
  const receiver = lab.vms.a.start(process.execPath, "-e", RECEIVER);
  await once(receiver.stdout!, "data");
  const got = once(receiver.stdout!, "data");
  const sent = lab.vms.b.run(process.execPath, "-e", SENDER, ADDRESSES.a);
  assert.is(String((await got)[0]).trim(), sent.trim());
}

test("two VMs behind taps ping and transfer, and the flows agree", () =>
  inLab(async lab => {
    peer("ping");
    const live = await lab.start("--port", "a=tap:ta", "--port", "b=tap:tb");
    lab.hand("a", "ta");
    lab.hand("b", "tb");
    lab.vms.a.run("ping", "-c", "3", "-i", "0.05", ADDRESSES.b);
    await transfer(lab);
    assert.is(live.child.exitCode, null);
    const summary = await lab.stop();
    assert.ok(summary.replies >= 2, "ARP was answered");
    for (const { send_lost } of summary.ports) assert.is(send_lost, 0);
  }));

test("over veth, checksums and segments that senders left undone are done", () =>
  inLab(async lab => {
    peer("ping");
    lab.wire("a", "va");
    lab.wire("b", "vb");
    await lab.start("--port", "a=afpacket:va", "--port", "b=afpacket:vb");
    lab.vms.a.run("ping", "-c", "3", "-i", "0.05", ADDRESSES.b);
    await transfer(lab);
    const summary = await lab.stop();
    const [a, b] = summary.ports;
    assert.ok(a.completed > 0, "a's acknowledgements had half a checksum");
    assert.ok(b.segmented > 1000, "b sent frames larger than any wire takes");
    assert.equal([a.send_lost, a.receive_lost, b.send_lost, b.receive_lost], [0, 0, 0, 0]);
  }));

test("a tag that the kernel put aside is put back, and the frame is dropped for it", () =>
  inLab(async lab => {
    peer("tcpreplay");
    lab.wire("a", "va");
    const live = await lab.start("--port", "a=afpacket:va", "--count", "1");
    const plain = fromA(1);
    // A kernel takes the tag off every frame that it receives (skb_vlan_untag), whatever the interface can
    // do.
    const tagged = Buffer.concat([plain.subarray(0, 12), Buffer.from("81000005", "hex"), plain.subarray(12)]);
    const record = Buffer.alloc(16);
    for (const at of [8, 12]) record.writeUInt32LE(tagged.length, at);
    writeFileSync(lab.folder.at("tagged.pcap"), Buffer.concat([pcapHeader(6), record, tagged]));
    lab.vms.a.run("tcpreplay", "-q", "-i", "eth0", lab.folder.at("tagged.pcap"));
    const summary = summaryOf(await live.ended);
    assert.ok(summary.drops["vlan-tagged"] >= 1, JSON.stringify(summary));
    assert.ok(summary.ports[0].restored >= 1);
  }));

test("what is sent is not taken for what comes in, and promiscuous is asked for", () =>
  inLab(async lab => {
    lab.host.ip("link add va type veth peer name vb");
    for (const name of ["va", "vb"]) lab.host.ip(`link set ${name} up`);
    const promiscuity = (): number => JSON.parse(lab.host.ip("-d -j link show va"))[0].promiscuity;
    const words = ["--port", "b=afpacket:va", "--port", `a=punix:${lab.folder.at("a")}`];
    await lab.start(...words);
    assert.is(promiscuity(), 0);
    const a = await Peer.connect(lab.folder.at("a"));
    a.send(...Array.from({ length: 100 }, (_, index) => fromA(index)));
    const received = (): number => Number(lab.host.run("cat", "/sys/class/net/vb/statistics/rx_packets"));
    await until(() => received() >= 100);
    const summary = await lab.stop();
    assert.is(summary.outputs[12], 100);
    assert.is(summary.ports[0].in, 0, "own frames came back");
    await lab.start(...words, "--promiscuous");
    assert.is(promiscuity(), 1);
    await lab.stop();
  }));

test("a tap and a veth that go and come back are taken up again", () =>
  inLab(async lab => {
    const makeVeth = (): void => {
      lab.host.ip("link add va mtu 1600 type veth peer name vb");
      for (const name of ["va", "vb"]) lab.host.ip(`link set ${name} up`);
    };
    makeVeth();
    lab.host.ip("tuntap add dev tb mode tap");
    lab.host.ip("link set tb up");
    const ports = [
      "--port",
      "up=afpacket:va",
      "--port",
      "b=tap:tb",
      "--port",
      `a=punix:${lab.folder.at("a")}`,
    ];
    const live = await lab.start(...ports);
    const a = await Peer.connect(lab.folder.at("a"));
    const received = (name: string): number =>
      Number(lab.host.run("cat", `/sys/class/net/${name}/statistics/rx_packets`));
    const both = async (): Promise<void> => {
      const before = [received("vb"), received("tb")];
      a.send(fromA(1), fromA(2, { dst: ADDRESSES.far }));
      await until(() => received("vb") > before[0]! && received("tb") > before[1]!);
    };
    await both();
    lab.host.ip("link del va");
    lab.host.ip("link del tb");
    await live.says(/up: afpacket:va is gone: the interface was removed/);
    await live.says(/b: tap:tb is gone: the interface was removed/);
    makeVeth();
    lab.host.ip("tuntap add dev tb mode tap");
    lab.host.ip("link set tb up");
    await live.says("up: afpacket:va is there");
    await live.says("b: tap:tb is there");
    await both();
    // Down is not away.
    lab.host.ip("link set va down");
    lab.host.ip("link set va up");
    await new Promise(resolve => setTimeout(resolve, 200));
    await both();
    assert.is(
      (await lab.stop()).ports.every(({ open }: { open: boolean }) => open),
      true,
    );
  }));

/** Whether the optional package cap is built; the test builds nothing itself. */
const hasCap = existsSync(join(import.meta.dirname, "../../node_modules/cap/build/Release/cap.node"));

test("pcap: without its package one line says how to build it", () =>
  inLab(async lab => {
    if (hasCap) return;
    lab.wire("a", "va");
    const { code, stderr } = await runLive([...lab.intent, "--port", "a=pcap:va"], lab.host.name);
    assert.is(code, 1);
    assert.match(
      stderr,
      /^slash32: pcap:va: the optional package cap is not (built|installed): .*npm rebuild cap/,
    );
    skip("the optional package cap is not built: npm rebuild cap (needs a C++ compiler and libpcap-dev)");
  }));

test("pcap: frames pass both ways between interfaces, each once, and the filter holds frames back", () =>
  inLab(async lab => {
    peer("ping");
    if (!hasCap) skip("the optional package cap is not built: npm rebuild cap");
    lab.wire("a", "va");
    lab.wire("b", "vb");
    lab.host.ip("link set lo up");
    const live = await lab.start(
      "--metrics",
      "0",
      ...["--port", "a=pcap:va,arp or icmp", "--port", "b=pcap:vb"],
    );
    lab.vms.a.run("ping", "-c", "3", "-i", "0.2", ADDRESSES.b);
    lab.vms.b.run("ping", "-c", "2", "-i", "0.2", "-s", "1400", ADDRESSES.a);
    // No filter on b: its datagram passes. On a the filter leaves it out, as the ping behind it shows.
    const datagram =
      'const s = require("dgram").createSocket("udp4"); s.send("x", 9, process.argv[1], () => s.close());';
    lab.vms.b.run(process.execPath, "-e", datagram, ADDRESSES.a);
    lab.vms.a.run(process.execPath, "-e", datagram, ADDRESSES.b);
    lab.vms.a.run("ping", "-c", "1", ADDRESSES.b);
    const url = /metrics at (http:\S+)/.exec(live.stderr)![1]!;
    const metrics = lab.host.run(
      process.execPath,
      "-e",
      `fetch("${url}").then(r => r.text()).then(console.log)`,
    );
    assert.match(metrics, /^slash32_frames_total\{port="b",direction="out"\} 6$/m);
    const summary = await lab.stop();
    // Each echo and each answer once: what is sent on an interface is not taken for what comes in by it.
    assert.equal(summary.outputs, { 11: 7, 12: 6 });
    const [a, b] = summary.ports;
    // What came in by a and was ARP for the gateway was answered; all else went out by b, and the other way
    // round.
    assert.equal([a.in - a.replies, b.in - b.replies], [6, 7], JSON.stringify(summary.ports));
    assert.equal([a.send_lost, b.send_lost, a.receive_lost, b.receive_lost], [0, 0, 0, 0]);
    assert.equal(summary.drops, {});
  }));

test("pcap: a wrong filter, an interface that is not there, one that is not Ethernet: one line each", () =>
  inLab(async lab => {
    if (!hasCap) skip("the optional package cap is not built: npm rebuild cap");
    lab.wire("a", "va");
    const said = async (device: string): Promise<string> => {
      const { code, stderr } = await runLive([...lab.intent, "--port", `a=${device}`], lab.host.name);
      assert.is(code, 1, stderr);
      // The package warns of an interface without an address, which a port of a bridge never has.
      const own = stderr.replace(/^Warning: \w+: no IPv4 address assigned.*\n/, "");
      assert.match(own, /^[^\n]*\n$/);
      return own;
    };
    assert.match(await said("pcap:va,no such filter"), /^slash32: pcap:va,no such filter: /);
    assert.match(
      await said("pcap:nix0"),
      /^slash32: pcap:nix0: there is no such interface, or no permission/,
    );
    lab.host.ip("tuntap add dev tun9 mode tun");
    lab.host.ip("link set tun9 up");
    assert.match(await said("pcap:tun9"), /^slash32: pcap:tun9: its frames are not Ethernet but /);
  }));

/** What a device is like, and what is said about it. */
const WRONG: readonly (readonly [string, (lab: Lab) => string[] | Promise<string[]>, RegExp])[] = [
  [
    "no such interface",
    () => ["a=afpacket:nix0"],
    /^slash32: afpacket:nix0: there is no such interface; ip link lists them/,
  ],
  [
    "a tap in use",
    async lab => {
      await lab.start("--port", "a=tap:ta");
      return ["a=tap:ta"];
    },
    /^slash32: tap:ta: the device is busy: another program has it open/,
  ],
  [
    "no tap",
    lab => {
      lab.host.ip("link add va type veth peer name vb");
      return ["a=tap:va"];
    },
    /^slash32: tap:va: va is not a tap interface/,
  ],
  [
    "no Ethernet",
    lab => {
      lab.host.ip("tuntap add dev tn mode tun");
      return ["a=afpacket:tn"];
    },
    /^slash32: afpacket:tn: its frames are not Ethernet/,
  ],
  [
    "an uplink too small for labels",
    lab => {
      for (const name of ["va", "vb"]) lab.host.ip(`link add ${name} type veth peer name p${name}`);
      return ["a=afpacket:va", "up=afpacket:vb"];
    },
    /^slash32: up: the MTU of afpacket:vb is 1500, too small for packets of a \(MTU 1500\) with 1 label: make it 1504 or more/,
  ],
];

for (const [what, prepare, said] of WRONG)
  test(`${what} is one clear line`, () =>
    inLab(async lab => {
      const ports = (await prepare(lab)).flatMap(word => ["--port", word]);
      const { code, stderr } = await runLive([...lab.intent, ...ports], lab.host.name);
      assert.is(code, 1, stderr);
      assert.match(stderr, said);
      assert.is(stderr.trimEnd().split("\n").length, 1, stderr);
    }));

test("a small uplink is no obstacle when that is said", () =>
  inLab(async lab => {
    for (const name of ["va", "vb"]) lab.host.ip(`link add ${name} type veth peer name p${name}`);
    await lab.start("--port", "a=afpacket:va", "--port", "up=afpacket:vb", "--allow-small-mtu");
    assert.match(lab.live!.stderr, /MTU of afpacket:vb is 1500, too small/);
    await lab.stop();
  }));

test("without privileges it says which one is missing", () =>
  inLab(async lab => {
    peer("setpriv");
    lab.host.ip("link add va type veth peer name vb");
    const program = new URL("../../bin/slash32", import.meta.url).pathname;
    const unprivileged = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"];
    const said = async (device: string, before = unprivileged): Promise<string> => {
      const words = [process.execPath, program, "live", ...lab.intent, "--port", `a=${device}`];
      const child = lab.host.start(...before, ...words);
      let stderr = "";
      child.stderr!.on("data", text => {
        stderr += text;
      });
      await once(child, "close");
      assert.is(child.exitCode, 1);
      return stderr;
    };
    assert.match(await said("afpacket:va"), /^slash32: afpacket:va: no permission: CAP_NET_RAW is needed/);
    assert.match(
      await said("tap:ta"),
      /^slash32: tap:ta: no permission to create it: CAP_NET_ADMIN is needed/,
    );
    const hidden = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /dev/net && exec "$@"', "sh"];
    assert.match(
      await said("tap:ta", hidden),
      /^slash32: tap:ta: \/dev\/net\/tun does not exist: modprobe tun/,
    );
  }));

test("an intent that is read again loses no frame of a tap", () =>
  inLab(async lab => {
    peer("ping");
    const live = await lab.start("--port", "a=tap:ta", "--port", "b=tap:tb");
    lab.hand("a", "ta");
    lab.hand("b", "tb");
    lab.vms.a.run("ping", "-c", "1", ADDRESSES.b);
    const ping = lab.vms.a.start("ping", "-i", "0.002", "-c", "500", "-q", ADDRESSES.b);
    let report = "";
    ping.stdout!.on("data", text => {
      report += text;
    });
    for (let round = 0; round < 5; round++) {
      lab.folder.write("hv.yaml", INTENT.replace("3003", String(3004 + round)));
      live.child.kill("SIGHUP");
      await until(() => live.stderr.split("reloaded the intent").length - 1 > round);
      await new Promise(resolve => setTimeout(resolve, 150));
    }
    await once(ping, "close");
    assert.match(report, /500 packets transmitted, 500 received, 0% packet loss/);
    assert.is((await lab.stop()).reloads, 5);
  }));

test.run();
