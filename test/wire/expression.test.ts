/** Builder expressions give the frames that the builder gives, and bad ones say where and what. */
import { eth, formatHex, frameOfExpression, isExpression } from "../../src/wire/index.ts";
import { assert, suite } from "../harness.ts";

const test = suite("wire/expression");
const MACS = { dst: "52:54:00:00:00:0b", src: "02:00:00:00:00:fe" };
const ETH = "eth(dst=52:54:00:00:00:0b, src=02:00:00:00:00:fe)";
const BUILT = eth(MACS).mpls({ label: 1001 }).ipv4({ src: "198.51.100.9", dst: "203.0.113.7", ttl: 9 });

const same: readonly (readonly [text: string, frame: Uint8Array])[] = [
  [`${ETH}.mpls(label=1001).ipv4(src=198.51.100.9, dst=203.0.113.7, ttl=9)`, BUILT.bytes()],
  [`${ETH}/mpls(1001)/ipv4(src=198.51.100.9,dst=203.0.113.7,ttl=0x9)`, BUILT.bytes()],
  [
    `eth({ dst: "52:54:00:00:00:0b", src: '02:00:00:00:00:fe' })
       .mpls({ label: 1001 })
       .ipv4({ src: "198.51.100.9", dst: "203.0.113.7", ttl: 9 }).bytes()`,
    BUILT.bytes(),
  ],
  [`${ETH}.vlan(7).payload(5a00ff)`, eth(MACS).vlan({ id: 7 }).payload([0x5a, 0, 0xff]).bytes()],
  [
    `${ETH}.snap().arp(op=2, sha=02:00:00:00:00:fe, spa=10.0.0.1, tpa=10.0.0.2).pad(60)`,
    eth(MACS).snap().arp({ op: 2, sha: MACS.src, spa: "10.0.0.1", tpa: "10.0.0.2" }).pad(60).bytes(),
  ],
  [
    `${ETH}.mpls(label=3, bos=false, tc=7, ttl=1).ipv6(src=2001:db8::1, dst=::1).tcp(src=1, dst=2, flags=SA)`,
    eth(MACS)
      .mpls({ label: 3, bos: false, tc: 7, ttl: 1 })
      .ipv6({ src: "2001:db8::1", dst: "::1" })
      .tcp({ src: 1, dst: 2, flags: "SA" })
      .bytes(),
  ],
];

for (const [text, frame] of same) {
  test(`reads ${text.slice(0, 70).replace(/\s+/g, " ")}`, () => {
    assert.ok(isExpression(text));
    assert.is(formatHex(frameOfExpression(text)), formatHex(frame));
  });
}

const wrong: readonly (readonly [text: string, message: RegExp])[] = [
  ["eth(dst=1, src=2)", /^column 5: dst: "1" is not valid; expected a MAC address such as/],
  ["ipv4(src=1.1.1.1, dst=2.2.2.2)", /^column 1: a frame begins with eth/],
  [`${ETH}.${ETH}`, /^column 51: eth\(…\) is valid only at the beginning/],
  [`${ETH}.mpls(lable=3)`, /^column 56: mpls: has no field "lable"; its fields are label, tc, bos, ttl/],
  [`${ETH}.mpls(1048576)`, /^column 51: mpls: label is 1048576, it must be an integer from 0 to 1048575/],
  [`${ETH}.mpls(tc=1)`, /^column 51: mpls needs label/],
  [`${ETH}.mpls(1, label=2)`, /^column 59: mpls: label is given twice/],
  [`${ETH}.nsh()`, /^column 51: "nsh" is not a layer; expected eth, /],
  [`${ETH}.payload(xyz)`, /^column 59: bytes: "xyz" is not valid; expected bytes in hex/],
  [`${ETH}.ipv6(src=2001:::1, dst=::1)`, /^column 51: ipv6: "2001:::1" is not an IPv6 address/],
  [`${ETH}.ipv4(src=1.1.1.1, dst=2.2.2.2`, /^column 51: expected a layer/],
  ["eth(dst=52:54:00:00:00:0b", /^column 1: expected a layer/],
  ["__proto__(a=1)", /is not a layer|expected a layer/],
];

for (const [text, message] of wrong) {
  test(`refuses ${text}`, () => {
    assert.throws(() => frameOfExpression(text), message);
  });
}

test("hex is no expression", () => {
  for (const text of ["0200", "ffff ffff", "0x00", "ee:01"]) assert.not.ok(isExpression(text));
});

test.run();
