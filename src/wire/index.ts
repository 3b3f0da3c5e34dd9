/**
 * The wire module's only entry point: addresses, the frame builder, one-line summaries and hex text. Nothing
 * here runs in the data path, and nothing here imports another module.
 */
export * from "./address.ts";
export { ARP_REQUEST, type ArpFields } from "./arp.ts";
export { eth, type FrameBuilder } from "./build.ts";
export { summarize } from "./dissect.ts";
export type { EthFields, SnapFields, VlanFields } from "./ethernet.ts";
export { frameOfExpression, isExpression } from "./expression.ts";
export { formatHex, parseHex } from "./hex.ts";
export type { Ipv4Fields, Ipv6Fields } from "./ip.ts";
export { type Ipv4Like, internetChecksum, type MacLike } from "./layer.ts";
export type { MplsFields } from "./mpls.ts";
export type { EchoFields, TcpFields, UdpFields } from "./transport.ts";
export { unreachable } from "./unreachable.ts";
