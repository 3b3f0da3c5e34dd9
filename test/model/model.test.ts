/**
 * The model itself: cases worked out by hand from the description of the pipeline, byte by
 * byte, and a count that random frames reach every row and every verdict. Whether the model
 * does what Open vSwitch does is ovs.test.ts.
 */
import { assert, seed, suite } from "../harness.ts";
import { flowsOf } from "./flows.ts";
import type { ModelIntent } from "./model.ts";
import { correctedChecksum, ipNumber, macBytes, maskOf, rowName, runModel, traceModel } from "./model.ts";
import { internetChecksum, randomFrame, randomIntent, rng } from "./random.ts";

const test = suite("model");

/** One VM of each path (a: l3, b: dual-l3, c: dual-l2, d: l2), routes with 0 to 3 labels, traffic class 5. */
const INTENT: ModelIntent = {
  name: "hand",
  bridge: "br0",
  label: 1001,
  virtualMac: "fe:00:00:00:01:01",
  trafficClass: 5,
  uplink: { port: "uplink0", ofport: 1, mac: "02:00:00:00:00:01" },
  vms: [
    {
      id: 101,
      name: "a",
      port: "tap1",
      ofport: 11,
      mac: "52:54:00:00:00:0a",
      addresses: ["10.0.0.1"],
      path: "l3",
    },
    {
      id: 102,
      name: "b",
      port: "tap2",
      ofport: 12,
      mac: "52:54:00:00:00:0b",
      addresses: ["10.0.0.2", "10.0.0.22"],
      path: "dual-l3",
    },
    {
      id: 103,
      name: "c",
      port: "tap3",
      ofport: 13,
      mac: "52:54:00:00:00:0c",
      addresses: ["10.0.0.3"],
      path: "dual-l2",
    },
    {
      id: 104,
      name: "d",
      port: "tap4",
      ofport: 14,
      mac: "52:54:00:00:00:0d",
      addresses: ["10.0.0.4"],
      path: "l2",
    },
  ],
  routes: [
    { prefix: "10.9.0.0/16", labels: [], via: "02:00:00:00:00:fe" },
    { prefix: "10.9.9.0/24", labels: [2002], via: "02:00:00:00:00:fe" },
    { prefix: "10.9.9.9/32", labels: [2002, 3003, 4004], via: "02:00:00:00:00:fd" },
    { prefix: "10.8.0.0/16", labels: [17, 1048575], via: "02:00:00:00:00:fe" },
    { prefix: "0.0.0.0/4", labels: [], via: "02:00:00:00:00:fe" },
  ],
};
const U = 1;
const [A, B, C, D] = [11, 12, 13, 14];

// MACs as they are written in the frames below.
const UP = "020000000001";
const FAR = "0200000000fe";
const FAR3 = "0200000000fd";
const VMAC = "fe0000000101";
const [MA, MB, MC, MD] = ["52540000000a", "52540000000b", "52540000000c", "52540000000d"];
const ALL = "ffffffffffff";
const SNAP = "aaaa03000000";

const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(" ", ""), "hex"));
const hex = (frame: Uint8Array | null): string => (frame === null ? "" : Buffer.from(frame).toString("hex"));

/** The frame leaves by `port` with exactly these bytes, having passed these tables. */
function leaves(inPort: number, frame: string, port: number, wanted: string, tables: number[]): void {
  const result = runModel(INTENT, inPort, bytes(frame));
  assert.is(result.reason, null);
  assert.is(result.verdict, "output");
  assert.is(result.port, port);
  assert.is(hex(result.frame), wanted.replaceAll(" ", ""));
  assert.equal(result.tables, tables);
}

function answers(inPort: number, frame: string, wanted: string): void {
  const result = runModel(INTENT, inPort, bytes(frame));
  assert.is(result.verdict, "reply");
  assert.is(result.reason, null);
  assert.is(result.port, inPort);
  assert.is(hex(result.frame), wanted.replaceAll(" ", ""));
  assert.equal(result.tables, [0, 20]);
}

function drops(inPort: number, frame: string, reason: string, tables: number[], intent = INTENT): void {
  const result = runModel(intent, inPort, bytes(frame));
  assert.equal(result, { verdict: "drop", reason, port: null, frame: null, tables });
}

/** From 203.0.113.9, TTL and checksum given, 8 bytes of UDP header behind; 28 bytes. */
const fromAfar = (ttl: string, sum: string, dst: string): string => {
  return `4500001c 00010000 ${ttl}11${sum} cb007109 ${dst} 0102030405060708`;
};
/** From 10.0.0.1 (VM a). */
const fromA = (ttl: string, sum: string, dst: string): string => {
  return `4500001c 00010000 ${ttl}11${sum} 0a000001 ${dst} 0102030405060708`;
};
const [A1, A2, A3, A4] = ["0a000001", "0a000002", "0a000003", "0a000004"];

test("numbers and checksums", () => {
  assert.is(ipNumber("203.0.113.9"), 0xcb007109);
  assert.is(maskOf(0), 0);
  assert.is(maskOf(32), 0xffffffff);
  assert.is(maskOf(31), 0xfffffffe);
  assert.equal(macBytes("02:00:ff:00:00:0a"), [2, 0, 255, 0, 0, 10]);
  assert.is(correctedChecksum(0x34c6, 0x4000, 0x3f00), 0x35c6);
  assert.is(correctedChecksum(0xfeff, 0x4000, 0x3f00), 0x0000);
  assert.is(correctedChecksum(0xffff, 0x4000, 0x3f00), 0x0100);
  assert.is(correctedChecksum(0x0000, 0x4000, 0x3f00), 0x0100);
  assert.is(correctedChecksum(0xdead, 0x4000, 0x3f00), 0xdfad);
  assert.is(correctedChecksum(0xfefe, 0xff00, 0xfe00), 0xfffe);
  assert.is(internetChecksum([...bytes(fromAfar("40", "0000", A1))].slice(0, 20)), 0x34c6);
});

test("in by the uplink: pop, deliver", () => {
  const want = `${MA} ${VMAC} 0800 ${fromAfar("3f", "35c6", A1)}`;
  const ours = "003e9140"; // 1001, TC 0, S 1, TTL 64
  leaves(U, `${UP} ${FAR} 8847 ${ours} ${fromAfar("40", "34c6", A1)}`, A, want, [0, 10, 30]);
  // Explicit null, TC 7, TTL 0: neither TC nor TTL of the label matters.
  leaves(U, `${UP} ${FAR} 8847 00000f00 ${fromAfar("40", "34c6", A1)}`, A, want, [0, 10, 30]);
  leaves(U, `${UP} ${FAR} 0800 ${fromAfar("40", "34c6", A1)}`, A, want, [0, 30]);
  // TTL 2 is the last that lives; TTL 255; padding stays.
  leaves(
    U,
    `${UP} ${FAR} 0800 ${fromAfar("02", "72c6", A1)} 000000`,
    A,
    `${MA} ${VMAC} 0800 ${fromAfar("01", "73c6", A1)} 000000`,
    [0, 30],
  );
  // A VM with both layers is delivered to by the route, not by the bridge.
  leaves(
    U,
    `${UP} ${FAR} 0800 ${fromAfar("40", "34c4", A3)}`,
    C,
    `${MC} ${VMAC} 0800 ${fromAfar("3f", "35c4", A3)}`,
    [0, 30],
  );
});

test("wrong checksums stay wrong, protocol 0 keeps its header, versions do not matter", () => {
  for (const [before, after] of [
    ["0000", "0100"],
    ["ffff", "0100"],
    ["feff", "0000"],
    ["fefe", "fffe"],
    ["dead", "dfad"],
  ]) {
    leaves(
      U,
      `${UP} ${FAR} 0800 ${fromAfar("40", before!, A1)}`,
      A,
      `${MA} ${VMAC} 0800 ${fromAfar("3f", after!, A1)}`,
      [0, 30],
    );
  }
  const proto0 = (src: string, dst: string): string => `45000014 00010000 4000beef ${src} ${dst}`;
  leaves(U, `${UP} ${FAR} 0800 ${proto0(A4, A1)}`, A, `${MA} ${VMAC} 0800 ${proto0(A4, A1)}`, [0, 30]);
  // … while the label gets the TTL that the packet should have had: 63.
  leaves(
    A,
    `${VMAC} ${MA} 0800 ${proto0(A1, "0a090901")}`,
    U,
    `${FAR} ${UP} 8847 007d2b3f ${proto0(A1, "0a090901")}`,
    [0, 30, 40],
  );
  drops(U, `${UP} ${FAR} 0800 45000014 00010000 0100beef ${A4} ${A1}`, "ttl-expired", [0, 30]);
  leaves(
    U,
    `${UP} ${FAR} 0800 f5000014 0001ffff 4011beef ${A4} ${A1}`,
    A,
    `${MA} ${VMAC} 0800 f5000014 0001ffff 3f11bfef ${A4} ${A1}`,
    [0, 30],
  );
  // Options: IHL 6, total length 24.
  leaves(
    U,
    `${UP} ${FAR} 0800 46000018 00010000 4011beef ${A4} ${A1} 01020304`,
    A,
    `${MA} ${VMAC} 0800 46000018 00010000 3f11bfef ${A4} ${A1} 01020304`,
    [0, 30],
  );
});

test("out by the uplink: 0 to 3 labels, the longest prefix", () => {
  const tables = [0, 30, 40];
  leaves(
    A,
    `${VMAC} ${MA} 0800 ${fromA("40", "65c6", "0a090101")}`,
    U,
    `${FAR} ${UP} 0800 ${fromA("3f", "66c6", "0a090101")}`,
    tables,
  );
  leaves(
    A,
    `${VMAC} ${MA} 0800 ${fromA("40", "5dc6", "0a090901")}`,
    U,
    `${FAR} ${UP} 8847 007d2b3f ${fromA("3f", "5ec6", "0a090901")}`,
    tables,
  );
  leaves(
    A,
    `${VMAC} ${MA} 0800 ${fromA("40", "66c7", "0a080001")}`,
    U,
    `${FAR} ${UP} 8847 00011a3f fffffb3f ${fromA("3f", "67c7", "0a080001")}`,
    tables,
  );
  leaves(
    A,
    `${VMAC} ${MA} 0800 ${fromA("40", "5dbe", "0a090909")}`,
    U,
    `${FAR3} ${UP} 8847 007d2a3f 00bbba3f 00fa4b3f ${fromA("3f", "5ebe", "0a090909")}`,
    tables,
  );
  // Any unicast destination MAC will do. To a local l3 VM: no uplink. To a
  // local l2 VM: 10.0.0.4 has the route 0/4.
  leaves(
    A,
    `000000000000 ${MA} 0800 ${fromA("40", "66ce", A2)}`,
    B,
    `${MB} ${VMAC} 0800 ${fromA("3f", "67ce", A2)}`,
    [0, 30],
  );
  leaves(
    A,
    `${MD} ${MA} 0800 ${fromA("40", "0000", A4)}`,
    U,
    `${FAR} ${UP} 0800 ${fromA("3f", "0100", A4)}`,
    tables,
  );
});

test("LLC/SNAP: rewritten in place, labels behind the LLC header", () => {
  leaves(
    A,
    `${VMAC} ${MA} 0024 ${SNAP} 0800 ${fromA("40", "5dbe", "0a090909")}`,
    U,
    `${FAR3} ${UP} 8847 ${SNAP} 0800 007d2a3f 00bbba3f 00fa4b3f ${fromA("3f", "5ebe", "0a090909")}`,
    [0, 30, 40],
  );
  leaves(
    A,
    `${VMAC} ${MA} 0024 ${SNAP} 0800 ${fromA("40", "65c6", "0a090101")}`,
    U,
    `${FAR} ${UP} 0024 ${SNAP} 0800 ${fromA("3f", "66c6", "0a090101")}`,
    [0, 30, 40],
  );
  answers(
    A,
    `${ALL} ${MA} 0024 ${SNAP} 0806 0001080006040001 ${MA}${A1} 000000000000 08080808`,
    `${MA} ${VMAC} 0024 ${SNAP} 0806 0001080006040002 ${VMAC} 08080808 ${MA}${A1}`,
  );
  // A length field of 0 does as well; a tag's type in SNAP is an unknown type; so is one below 0x0600.
  drops(A, `${VMAC} ${MA} 0000 ${SNAP} 8100 ${fromA("40", "65c6", "0a090101")}`, "not-ip", [0]);
  drops(A, `${VMAC} ${MA} 0000 ${SNAP} 05ff ${fromA("40", "65c6", "0a090101")}`, "not-ip", [0]);
  drops(A, `${VMAC} ${MA} 0000 aaaa03000001 0800 ${fromA("40", "65c6", "0a090101")}`, "not-ip", [0]);
  // Cut to 21 bytes there is no SNAP type; with 22 there is, and nothing behind it.
  drops(A, `${VMAC} ${MA} 0000 ${SNAP} 08`, "not-ip", [0]);
  drops(A, `${VMAC} ${MA} 0000 ${SNAP} 0800`, "malformed", [0]);
});

test("LLC/SNAP: what is left after a pop is read again from byte 14", () => {
  // Behind the pop: aa aa 0300 0000 8847 = IHL 10, total length 768; the IPv4 header of the sender is not one
  // any more, and its bytes 4-7 from byte 22 on stand where TTL, protocol and checksum are.
  const snapped = (body: string): string => `${UP} ${FAR} 0030 ${SNAP} 8847 003e9140 ${body}`;
  drops(U, snapped(fromAfar("40", "34c6", A1)), "malformed", [0, 10, 30]);
  const rest = "77".repeat(748);
  const before = `4006dead ${"01020304"} ${A1} ${rest}`;
  const after = `3f06dfad ${"01020304"} ${A1} ${rest}`;
  leaves(U, snapped(before), A, `${MA} ${VMAC} 0800 ${SNAP} 8847 ${after}`, [0, 10, 30]);
  // One byte less and the total length does not fit.
  drops(U, snapped(before).slice(0, -2), "malformed", [0, 10, 30]);
  drops(U, snapped(before.replace("4006", "0106")), "ttl-expired", [0, 10, 30]);
});

test("ARP from an l3 VM: answered, or told apart", () => {
  const request = (dst: string, body: string): string => `${dst} ${MA} 0806 ${body}`;
  const ask = (spa: string, tpa: string): string => `0001080006040001 ${MA}${spa} 0123456789ab ${tpa}`;
  const reply = (tpa: string): string => `${MA} ${VMAC} 0806 0001080006040002 ${VMAC}${tpa} ${MA}${A1}`;
  const padding = "000102030405060708090a0b0c0d0e0f1011";
  answers(A, request(ALL, `${ask(A1, "08080808")} ${padding}`), `${reply("08080808")} ${padding}`);
  answers(A, request(VMAC, ask(A1, A4)), reply(A4));
  // It answers for every target, 0.0.0.0 and VMs next door with an L2-in port of their own as well.
  answers(A, request(ALL, ask(A1, "00000000")), reply("00000000"));
  answers(A, request(ALL, ask(A1, A2)), reply(A2));
  drops(A, request(ALL, ask("00000000", A4)), "arp-probe", [0, 20]);
  drops(A, request(ALL, ask("00000000", A1)), "arp-probe", [0, 20]);
  drops(A, request(ALL, ask(A1, A1)), "arp-suppressed", [0, 20]);
  drops(A, request(MD, ask(A1, A4)), "arp-suppressed", [0, 20]);
  drops(A, request(ALL, ask(A1, A4).replace("0001 ", "0003 ")), "arp-suppressed", [0, 20]);
  // Op 0x0101 reads as 0; an l3 VM's replies go nowhere, a dual-l3 VM's go over the bridge.
  drops(A, request(ALL, ask(A1, A4).replace("0001 ", "0101 ")), "arp-suppressed", [0, 20]);
  drops(A, request(UP, ask(A1, A4).replace("0001 ", "0002 ")), "arp-suppressed", [0, 20]);
  const said = `${FAR} ${MB} 0806 0001080006040002 ${MB}${A2} ${FAR} 0a000009`;
  leaves(B, said, U, said, [0, 20, 50]);
  const over = `${MC} ${MB} 0806 0001080006040002 ${MB}0a000016 ${MC}${A3}`;
  leaves(B, over, C, over, [0, 20, 50]);
});

test("ARP on the bridge: only the owner hears a request", () => {
  const fromD = (op: string, spa: string, tpa: string): string => {
    return `${ALL} ${MD} 0806 00010800060400${op} ${MD}${spa} 000000000000 ${tpa}`;
  };
  leaves(D, fromD("01", A4, A3), C, fromD("01", A4, A3), [0, 20]);
  leaves(D, fromD("01", "00000000", A2), B, fromD("01", "00000000", A2), [0, 20]);
  // The l3 VM does not; a frame for it leaves by the uplink.
  leaves(D, fromD("01", A4, A1), U, fromD("01", A4, A1), [0, 20, 50]);
  leaves(D, fromD("01", A4, A4), U, fromD("01", A4, A4), [0, 20]);
  leaves(D, fromD("01", "00000000", A4), U, fromD("01", "00000000", A4), [0, 20]);
  // A reply that gratuitously names itself goes where its MAC says: 370 stands above 350.
  leaves(D, fromD("02", A4, A4), U, fromD("02", A4, A4), [0, 20, 50]);
  const fromUp = (op: string, tpa: string): string => {
    return `${ALL} ${FAR} 0806 00010800060400${op} ${FAR}0a000009 000000000000 ${tpa}`;
  };
  leaves(U, fromUp("01", A4), D, fromUp("01", A4), [0, 20]);
  drops(U, fromUp("01", A1), "arp-suppressed", [0, 20]);
  drops(U, fromUp("03", A4), "arp-suppressed", [0, 20]);
  drops(U, fromUp("02", A4), "bridge-suppressed", [0, 20, 50]);
  const toD = fromUp("02", A4).replace(ALL, MD);
  leaves(U, toD, D, toD, [0, 20, 50]);
  drops(U, fromUp("01", A4).replace("0604", "0605"), "malformed", [0, 20]);
  drops(U, fromUp("01", A4).slice(0, -2), "malformed", [0, 20]);
});

test("the bridge", () => {
  const frame = (dst: string, src: string): string => `${dst} ${src} 0800 ${fromA("01", "0000", A1)}`;
  const fromC = (dst: string): string => frame(dst, MC).replace(A1, A3);
  leaves(C, fromC(MD), D, fromC(MD), [0, 50]);
  leaves(C, fromC(ALL), U, fromC(ALL), [0, 50]);
  leaves(C, fromC(MA), U, fromC(MA), [0, 50]);
  drops(C, fromC(MC), "same-port", [0, 50]);
  leaves(U, frame(MB, FAR), B, frame(MB, FAR), [0, 50]);
  drops(U, frame(MA, FAR), "bridge-suppressed", [0, 50]);
  drops(U, frame(ALL, FAR), "bridge-suppressed", [0, 50]);
  // From the uplink anything at all is bridged: IPv6, half a tag, LLC, somebody else's label, bare headers.
  for (const rest of [
    "86dd60",
    "8100000000",
    "88a8000000",
    "0003424203",
    "8847003e",
    "8848",
    "0000",
    "0800",
  ]) {
    const text = `${MD} ${FAR} ${rest}`;
    leaves(U, text, D, text, [0, 50]);
  }
});

test("drops of the first table", () => {
  drops(U, "", "too-short", []);
  drops(99, `${UP} ${FAR} 08`, "too-short", []);
  drops(99, `${UP} ${FAR} 0800 ${"00".repeat(9203)}`, "too-long", []);
  drops(99, `${UP} ${FAR} 81000001 0800`, "unknown-port", []);
  drops(U, `${MD} ${FAR} 81000001 0800`, "vlan-tagged", [0]); // 18 bytes: a tag; 17 are bridged, see above
  drops(A, `${MD} ${FAR} 88a80001 0800`, "vlan-tagged", [0]);
  drops(A, `${MD} ${MA} 8100 0001 08`, "not-ip", [0]);
  drops(A, `${VMAC} ${MB} 0800 00`, "spoofed-source", [0]);
  drops(A, `${VMAC} ${MA} 0800 00`, "malformed", [0]);
  drops(A, `${VMAC} ${MA} 0806 00`, "malformed", [0]);
  drops(A, `${VMAC} ${MA} 86dd 00`, "not-ip", [0]);
  drops(D, `${VMAC} ${MD} 8847 003e9140`, "not-ip", [0]);
  drops(A, `${VMAC} ${MA} 0800 ${fromA("40", "0000", A2).replace("0a000001", A3)}`, "spoofed-source", [0]);
  drops(
    A,
    `${VMAC} ${MA} 0800 ${fromA("40", "0000", A2).replace("0a000001", "00000000")}`,
    "spoofed-source",
    [0],
  );
  drops(A, `${ALL} ${MA} 0806 0001080006040001 ${MB}${A1} ${MA} ${A2}`, "spoofed-source", [0]);
  drops(A, `${ALL} ${MA} 0806 0001080006040001 ${MA}${A2} ${MA} ${A2}`, "spoofed-source", [0]);
  drops(A, `01005e000001 ${MA} 0800 ${fromA("40", "0000", A2)}`, "multicast-destination", [0]);
  drops(A, `${ALL} ${MA} 0800 ${fromA("40", "0000", A2)}`, "multicast-destination", [0]);
  // The source counts before the destination MAC.
  drops(A, `${ALL} ${MA} 0800 ${fromA("40", "0000", A2).replace("0a000001", A3)}`, "spoofed-source", [0]);
});

test("IPv4 that cannot be read", () => {
  const good = fromAfar("40", "0000", A1);
  // IHL 4, IHL beyond the total length, total length beyond the frame, total length 19.
  for (const start of ["4400001c", "4800001c", "4500001d", "45000013"]) {
    drops(U, `${UP} ${FAR} 0800 ${good.replace("4500001c", start)}`, "malformed", [0, 30]);
  }
  // 20 bytes will do, 19 and 0 will not; a total length of 20 is fine over 28 bytes.
  const short = `45000014 00010000 4011beef ${A4} ${A1}`;
  const after = `45000014 00010000 3f11bfef ${A4} ${A1}`;
  leaves(U, `${UP} ${FAR} 0800 ${short}`, A, `${MA} ${VMAC} 0800 ${after}`, [0, 30]);
  leaves(U, `${UP} ${FAR} 0800 ${short} 0102`, A, `${MA} ${VMAC} 0800 ${after} 0102`, [0, 30]);
  drops(U, `${UP} ${FAR} 0800 ${short.slice(0, -2)}`, "malformed", [0, 30]);
  drops(U, `${UP} ${FAR} 0800`, "malformed", [0, 30]);
});

test("drops of the tables behind", () => {
  const stack = (entries: string): string => `${UP} ${FAR} 8847 ${entries}`;
  drops(U, stack(""), "malformed", [0, 10]);
  drops(U, stack("003e91"), "malformed", [0, 10]);
  drops(U, stack("003e8140"), "unknown-label", [0, 10]);
  drops(U, stack("003e8040"), "unknown-label", [0, 10]);
  drops(U, stack("00003140"), "unknown-label", [0, 10]);
  drops(U, stack(`003e9040 003e9140 ${fromAfar("40", "34c6", A1)}`), "label-stack", [0, 10]);
  drops(U, stack("00000000"), "label-stack", [0, 10]);
  drops(U, stack("003e9140"), "malformed", [0, 10, 30]);
  drops(U, stack(`003e9140 ${fromAfar("40", "0000", A4)}`), "no-local-vm", [0, 10, 30]);
  drops(U, `${UP} ${FAR} 0800 ${fromAfar("01", "0000", A1)}`, "ttl-expired", [0, 30]);
  drops(U, `${UP} ${FAR} 0800 ${fromAfar("00", "0000", A1)}`, "ttl-expired", [0, 30]);
  drops(U, `${UP} ${FAR} 0800 ${fromAfar("01", "0000", A4)}`, "no-local-vm", [0, 30]);
  const out = (ttl: string, dst: string): string => `${VMAC} ${MA} 0800 ${fromA(ttl, "0000", dst)}`;
  drops(A, out("40", A1), "same-port", [0, 30]);
  drops(A, out("01", A1), "ttl-expired", [0, 30]);
  drops(A, out("01", "0a090901"), "ttl-expired", [0, 30, 40]);
  drops(A, out("40", "00ffffff"), "martian", [0, 30, 40]);
  drops(A, out("01", "7f000001"), "martian", [0, 30, 40]);
  drops(A, out("40", "e0000001"), "martian", [0, 30, 40]);
  drops(A, out("40", "ffffffff"), "martian", [0, 30, 40]);
  drops(A, out("01", "10000000"), "no-route", [0, 30, 40]);
  drops(A, out("40", "dfffffff"), "no-route", [0, 30, 40]);
});

test("a port's MTU counts the finished frame without its Ethernet header", () => {
  const sized = (mtu: number): ModelIntent => ({
    ...INTENT,
    uplink: { ...INTENT.uplink, mtu },
    vms: INTENT.vms.map(vm => ({ ...vm, mtu })),
  });
  const inbound = `${UP} ${FAR} 8847 003e9140 ${fromAfar("40", "34c6", A1)}`;
  assert.is(runModel(sized(28), U, bytes(inbound)).verdict, "output");
  drops(U, inbound, "too-long", [0, 10, 30], sized(27));
  const outbound = `${VMAC} ${MA} 0800 ${fromA("40", "5dbe", "0a090909")}`;
  assert.is(runModel(sized(40), A, bytes(outbound)).verdict, "output");
  drops(A, outbound, "too-long", [0, 30, 40], sized(39));
  const asks = `${ALL} ${MA} 0806 0001080006040001 ${MA}${A1} 000000000000 ${A2} 00`;
  assert.is(runModel(sized(29), A, bytes(asks)).verdict, "reply");
  drops(A, asks, "too-long", [0, 20], sized(28));
  // TTL and the way back by its own port come first.
  drops(A, `${VMAC} ${MA} 0800 ${fromA("40", "0000", A1)}`, "same-port", [0, 30], sized(10));
});

test("the longest frame, and what it becomes", () => {
  const long = bytes(`${VMAC} ${MA} 0800 ${fromA("40", "5dbe", "0a090909")} ${"00".repeat(9174)}`);
  assert.is(long.length, 9216);
  assert.is(runModel(INTENT, A, long).frame?.length, 9228);
});

test("flow lines", () => {
  const lines = flowsOf(INTENT);
  for (const line of [
    "cookie=0x10000,table=0,priority=500,vlan_tci=0x1000/0x1000 actions=drop",
    "cookie=0x1000a,table=10,priority=100,mpls,mpls_label=1001,mpls_bos=1 actions=pop_mpls:0x0800,goto_table:30",
    "cookie=0x6700050014,table=20,priority=350,in_port=13,arp,arp_tpa=10.0.0.3 actions=output:1",
  ]) {
    assert.ok(lines.includes(line), line);
  }
  assert.is(new Set(lines).size, lines.length);
});

const REASONS = [
  ..."too-short too-long unknown-port vlan-tagged spoofed-source malformed multicast-destination not-ip".split(
    " ",
  ),
  ..."unknown-label label-stack arp-probe arp-suppressed ttl-expired no-local-vm martian no-route".split(" "),
  ..."bridge-suppressed same-port".split(" "),
];
const ROWS = [
  ..."0/500 0/400 0/390 0/380 0/370 0/0 10/0 20/400 20/390 20/370 20/360 20/350 20/300 20/290".split(" "),
  ..."20/200 20/0 30/200 30/100 30/0 40/0 50/200 50/100 50/0".split(" "),
  ...["0/300 arp", "0/300 ip L3-out", "0/300 ip L2-out", "10/100 own", "10/100 explicit-null"],
  ...["20/380 broadcast", "20/380 virtual-mac", "40/300 0/8", "40/300 127/8", "40/300 224/3"],
  ...[0, 1, 2, 3].map(count => `40/route of ${count} labels`),
];

test("random frames reach every row and every verdict", () => {
  const first = seed();
  const verdicts = new Map<string, number>();
  const rows = new Map<string, number>();
  const count = (map: Map<string, number>, key: string): unknown => map.set(key, (map.get(key) ?? 0) + 1);
  for (let i = 0; i < 40; i++) {
    const r = rng(first + i);
    const intent = randomIntent(r);
    for (let n = 0; n < 1000; n++) {
      const { inPort, frame } = randomFrame(r, intent);
      const before = hex(frame);
      const { result, steps } = traceModel(intent, inPort, frame);
      assert.is(hex(frame), before, "the frame that was given is not changed");
      assert.is(result.reason !== null, result.verdict === "drop");
      assert.is(result.frame === null, result.verdict === "drop");
      count(verdicts, result.reason ?? result.verdict);
      for (const { row } of steps) count(rows, rowName(row));
    }
  }
  process.stdout.write(`\n  seed ${first}: ${[...verdicts].map(([key, n]) => `${key} ${n}`).join(", ")}\n`);
  assert.equal([...verdicts.keys()].sort(), [...REASONS, "output", "reply"].sort());
  assert.equal([...rows.keys()].sort(), [...ROWS].sort());
});

test("random intents are valid, and the same for the same seed", () => {
  const first = seed();
  process.stdout.write(`\n  seed ${first}\n`);
  for (let i = 0; i < 500; i++) {
    const intent = randomIntent(rng(first + i));
    assert.equal(randomIntent(rng(first + i)), intent);
    validate(intent);
  }
});

function validate(intent: ModelIntent): void {
  const distinct = (list: readonly unknown[]): void => assert.is(new Set(list).size, list.length, `${list}`);
  const ports = [intent.uplink, ...intent.vms];
  distinct(ports.map(({ ofport }) => ofport));
  distinct(ports.map(({ port }) => port));
  distinct([...ports.map(({ mac }) => mac), intent.virtualMac]);
  distinct(intent.vms.map(({ id }) => id));
  distinct(intent.vms.map(({ name }) => name));
  distinct(intent.vms.flatMap(({ addresses }) => addresses));
  distinct(intent.routes.map(({ prefix }) => prefix));
  const macs = [...ports.map(({ mac }) => mac), intent.virtualMac, ...intent.routes.map(({ via }) => via)];
  for (const mac of macs) {
    assert.match(mac, /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/);
    assert.is(macBytes(mac)[0]! & 1, 0);
    assert.is.not(mac, "00:00:00:00:00:00");
  }
  for (const { ofport } of ports) assert.ok(ofport >= 1 && ofport <= 65279);
  for (const { id, addresses } of intent.vms) {
    assert.ok(id >= 1 && id <= 0xffffffff && addresses.length >= 1);
    for (const address of addresses) {
      const first = Number(address.split(".")[0]);
      assert.ok(first !== 0 && first !== 127 && first < 224, address);
    }
  }
  for (const { prefix, labels } of intent.routes) {
    const [base, length] = prefix.split("/");
    assert.is((ipNumber(base!) & ~maskOf(Number(length))) >>> 0, 0, prefix);
    assert.ok(labels.length <= 3);
  }
  for (const label of [intent.label, ...intent.routes.flatMap(({ labels }) => labels)]) {
    assert.ok(label >= 16 && label <= 1048575);
  }
}

test.run();
