/**
 * `npm run lab -- --tunnels`: one label against VXLAN, bytes and processor time per packet, on the same
 * traffic: UDP datagrams from one VM to another, over two switches joined by one link. Time is that of the
 * switch's process (proc(5), schedstat) divided by the packets that arrived; it includes all work of the
 * switch, such as its AF_PACKET calls. VXLAN is RFC 7348, by Open vSwitch's userspace tunnels ("Open vSwitch
 * with userspace tunneling").
 */
import { readdirSync, readFileSync } from "node:fs";
import { Bridge } from "./bridge.ts";
import { type Engine, OvsEngine, Slash32Engine } from "./engines.ts";
import { Host } from "./host.ts";
import { LabError, Machine, sleep } from "./machine.ts";
import { VIRTUAL_MAC } from "./plan.ts";

const PACKETS = 16_000;
const WARM_UP = 2_000;
/** 8,000 packets a second: nothing is lost, and batches form. */
const PACE = { burst: 32, everyMs: 4 } as const;
/** Bytes of UDP payload: a small packet, and one that still fits into VXLAN at 1,600. */
const PAYLOADS = [22, 1000] as const;
/** The least of so many measurements is told: what else the machine does only adds. */
const ROUNDS = 3;
const MTU = 1600;

interface Side {
  readonly node: string;
  readonly peer: string;
  readonly vm: string;
  readonly address: string;
  readonly otherAddress: string;
  readonly vmMac: string;
  readonly mac: string;
  readonly otherMac: string;
  readonly label: number;
  readonly otherLabel: number;
  readonly underlay: string;
  readonly otherUnderlay: string;
}

const side = (own: 1 | 2, other: 1 | 2): Side => ({
  node: `hv${own}`,
  peer: `hv${other}`,
  vm: `vm${own}`,
  address: `203.0.113.${own}`,
  otherAddress: `203.0.113.${other}`,
  vmMac: `52:54:00:00:00:0${own}`,
  mac: `02:00:00:00:00:0${own}`,
  otherMac: `02:00:00:00:00:0${other}`,
  label: 1000 + own,
  otherLabel: 1000 + other,
  underlay: `192.0.2.${own}`,
  otherUnderlay: `192.0.2.${other}`,
});
const SIDES = [side(1, 2), side(2, 1)] as const;

const intentOf = (s: Side): string =>
  [
    `name: ${s.node}`,
    "bridge: br0",
    `label: ${s.label}`,
    `uplink: { port: uplink0, ofport: 1, mac: "${s.mac}" }`,
    "vms:",
    `  - { id: 1, name: ${s.vm}, port: tap1, ofport: 11, mac: "${s.vmMac}",`,
    `      addresses: [${s.address}], path: l3 }`,
    "routes:",
    `  - { prefix: ${s.otherAddress}/32, labels: [${s.otherLabel}], via: "${s.otherMac}" }`,
    "",
  ].join("\n");

/** What carries packets between the two VMs; the processes whose time is counted. */
interface Carrier {
  readonly name: string;
  start(machine: Machine, s: Side): Promise<() => number>;
}

const ports = new Map([
  ["uplink0", 1],
  ["tap1", 11],
]);

async function started(engine: Engine, s: Side): Promise<void> {
  const commit = await engine.prepare(intentOf(s));
  await commit();
}

const LABEL_OVS: Carrier = {
  name: "one label, Open vSwitch",
  async start(machine, s) {
    const engine = await OvsEngine.start(machine, s.node, ports);
    await started(engine, s);
    return () => engine.bridge.pid;
  },
};

const LABEL_SLASH32: Carrier = {
  name: "one label, slash32 live",
  async start(machine, s) {
    const engine = new Slash32Engine(machine, s.node, [...ports.keys()]);
    await started(engine, s);
    return () => engine.pid;
  },
};

/**
 * Bridge br0 has the VM and the tunnel, br1 the uplink and the address of the underlay. The flows for the VM
 * check as much as those for labels: the source, and ARP is answered locally.
 */
const VXLAN_OVS: Carrier = {
  name: "VXLAN, Open vSwitch",
  async start(machine, s) {
    const bridge = await Bridge.start(machine, s.node, new Map([["tap1", 11]]));
    const words = ["add-br", "br1", "--", "set", "bridge", "br1", "datapath_type=netdev"];
    words.push(
      "--",
      "add-port",
      "br1",
      "uplink0",
      "--",
      "set",
      "bridge",
      "br1",
      `other_config:hwaddr="${s.mac}"`,
    );
    words.push(
      "--",
      "add-port",
      "br0",
      "vxlan0",
      "--",
      "set",
      "interface",
      "vxlan0",
      "type=vxlan",
      "ofport_request=1",
    );
    words.push(`options:remote_ip=${s.otherUnderlay}`, "options:key=100");
    await bridge.vsctl(words);
    await machine.ip(s.node, [
      `addr add ${s.underlay}/24 dev br1`,
      "link set br1 up",
      `link set br1 mtu ${MTU}`,
    ]);
    await bridge.appctl(["tnl/neigh/set", "br1", s.otherUnderlay, s.otherMac]);
    const answer = [
      "move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[]",
      `set_field:${VIRTUAL_MAC}->eth_src`,
      "set_field:2->arp_op",
      "move:NXM_NX_ARP_SHA[]->NXM_NX_ARP_THA[]",
      `set_field:${VIRTUAL_MAC}->arp_sha`,
      "push:NXM_OF_ARP_SPA[]",
      "move:NXM_OF_ARP_TPA[]->NXM_OF_ARP_SPA[]",
      "pop:NXM_OF_ARP_TPA[]",
      "in_port",
    ].join();
    const fromVm = `in_port=11,dl_src=${s.vmMac}`;
    const arp = `arp,arp_op=1,arp_sha=${s.vmMac},arp_spa=${s.address}`;
    const macs = `dec_ttl,set_field:${VIRTUAL_MAC}->eth_src,set_field:${s.vmMac}->eth_dst`;
    await bridge.replaceFlows(
      [
        `priority=300,${fromVm},${arp} actions=${answer}`,
        `priority=200,${fromVm},ip,nw_src=${s.address},nw_dst=${s.otherAddress} actions=dec_ttl,output:1`,
        `priority=200,in_port=1,ip,nw_dst=${s.address} actions=${macs},output:11`,
        "",
      ].join("\n"),
    );
    return () => bridge.pid;
  },
};

const CARRIERS: readonly Carrier[] = [VXLAN_OVS, LABEL_OVS, LABEL_SLASH32];

/** Processor time of a process so far, in microseconds; all its threads. Its first number, in nanoseconds. */
function timeOf(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`);
  const times = threads.map(id => readFileSync(`/proc/${pid}/task/${id}/schedstat`, "latin1").split(" ")[0]);
  return times.reduce((sum, ns) => sum + Number(ns), 0) / 1000;
}

/** Bytes and frames that an interface received so far; of a VM's, or of the link. */
async function received(
  machine: Machine,
  node: string,
  nic: string,
): Promise<{ bytes: number; frames: number }> {
  const text = await machine.run(node, ["cat", "/proc/net/dev"]);
  const [, bytes, frames] = new RegExp(`${nic}:\\s*(\\d+)\\s+(\\d+)`).exec(text) ?? [];
  return { bytes: Number(bytes), frames: Number(frames) };
}

interface Figure {
  readonly bytes: number;
  readonly inUs: number;
  readonly outUs: number;
  readonly arrived: number;
}

async function measure(
  from: Host,
  to: Host,
  payload: number,
  pids: readonly (() => number)[],
): Promise<Figure> {
  const { machine } = to;
  const look = async () => ({
    times: pids.map(pid => timeOf(pid())),
    link: await received(machine, "hv2", "uplink0"),
    vm: await received(machine, "vm2", "eth0"),
  });
  await from.blast(to, { bytes: payload, count: WARM_UP, ...PACE });
  await sleep(300);
  const before = await look();
  await from.blast(to, { bytes: payload, count: PACKETS, ...PACE });
  await sleep(300);
  const after = await look();
  const arrived = after.vm.frames - before.vm.frames;
  if (arrived < PACKETS * 0.95) throw new LabError(`only ${arrived} of ${PACKETS} packets arrived`);
  const [inUs, outUs] = after.times.map((time, index) => (time - before.times[index]!) / arrived) as [
    number,
    number,
  ];
  const bytes = (after.link.bytes - before.link.bytes) / (after.link.frames - before.link.frames);
  return { bytes, inUs, outUs, arrived };
}

async function carry(carrier: Carrier): Promise<Figure[]> {
  const machine = new Machine();
  try {
    await machine.addNodes(["hv1", "hv2", "vm1", "vm2"]);
    await machine.addLinks([
      {
        a: { node: "hv1", name: "uplink0", mac: SIDES[0].mac },
        b: { node: "hv2", name: "uplink0", mac: SIDES[1].mac },
        mtu: MTU,
      },
      ...SIDES.map(s => ({
        a: { node: s.node, name: "tap1" },
        b: { node: s.vm, name: "eth0", mac: s.vmMac },
        mtu: 1500,
      })),
    ]);
    const [from, to] = SIDES.map(s => new Host(machine, s.vm, s.address)) as [Host, Host];
    for (const host of [from, to]) await host.configure("eth0", 24, "203.0.113.254");
    await to.sink();
    const pids = [];
    for (const s of SIDES) pids.push(await carrier.start(machine, s));
    const { lost } = await from.ping(to, 5);
    if (lost > 0) throw new LabError(`${carrier.name}: ${lost} of 5 pings lost`);
    const figures: Figure[] = [];
    for (const payload of PAYLOADS) {
      const rounds: Figure[] = [];
      while (rounds.length < ROUNDS) rounds.push(await measure(from, to, payload, pids));
      figures.push({
        bytes: rounds[0]!.bytes,
        inUs: Math.min(...rounds.map(({ inUs }) => inUs)),
        outUs: Math.min(...rounds.map(({ outUs }) => outUs)),
        arrived: Math.min(...rounds.map(({ arrived }) => arrived)),
      });
    }
    return figures;
  } finally {
    await machine.close();
  }
}

/** Measures all carriers, prints a Markdown table. */
export async function tunnelNumbers(say: (line: string) => void): Promise<void> {
  say(`${PACKETS.toLocaleString("en-GB")} UDP datagrams from a VM to another, two switches, one link`);
  say(
    "\n| carried by | payload | bytes on the link | more than in the VM | " +
      "µs in the sending switch | µs in the receiving switch | arrived |",
  );
  say("|---|--:|--:|--:|--:|--:|--:|");
  for (const carrier of CARRIERS) {
    const figures = await carry(carrier);
    for (const [index, { bytes, inUs, outUs, arrived }] of figures.entries()) {
      const payload = PAYLOADS[index]!;
      const more = bytes - (payload + 42);
      const share = `${((arrived / PACKETS) * 100).toFixed(1)} %`;
      const sizes = `${payload} | ${bytes.toFixed(1)} | ${more.toFixed(1)}`;
      say(`| ${carrier.name} | ${sizes} | ${inUs.toFixed(2)} | ${outUs.toFixed(2)} | ${share} |`);
    }
  }
}
