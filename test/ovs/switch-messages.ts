/**
 * The part of OpenFlow 1.5 that tests use on the private switch's management socket: which packet-ins are
 * sent to which controller id, packet-ins as they come, port counters. Version 1.5, because earlier ones have
 * no number for the reasons action_set, group and packet_out. Not a controller: flows are written by
 * ovs-ofctl. OpenFlow Switch Specification 1.5.1, sections 7.1 to 7.4; include/openflow/nicira-ext.h for
 * NXT_PACKET_IN2.
 */
import { encodeMessage, HEADER_BYTES, hello, type Message, VERSION } from "../../src/host/index.ts";
import { metadataOf } from "./oxm.ts";

const TYPE = {
  error: 1,
  experimenter: 4,
  setConfig: 9,
  multipartRequest: 18,
  multipartReply: 19,
  setAsync: 28,
} as const;

const MULTIPART_PORT_STATS = 4;
const MULTIPART_MORE = 1;
/** Length, port, life and the counters up to the frames; properties follow. */
const PORT_STATS_BYTES = 32;
const PORT_ANY = 0xffffffff;
/**
 * Send whole frames. Open vSwitch sends a service connection such as ours no packet-in at all while this is
 * 0.
 */
const MISS_SEND_LEN = 0xffff;

const NICIRA = 0x2320;
const NICIRA_TYPE = { setPacketInFormat: 16, setControllerId: 20, packetIn2: 30 } as const;
const FORMAT_PACKET_IN2 = 2;
/** Properties of NXT_PACKET_IN2; one that is longer than 0xffff does not exist, so a frame ends within it. */
const PROPERTY = { packet: 0, table: 3, cookie: 4, reason: 5, metadata: 6, userdata: 7 } as const;
/**
 * Types of asynchronous messages: packet-ins to a slave and to others; the rest are port status and removed
 * flows.
 */
const ASYNC = { packetInSlave: 0, packetIn: 1, last: 5 } as const;

const REASONS = ["no_match", "action", "invalid_ttl", "action_set", "group", "packet_out"] as const;
/** Why the switch sent the frame (ofp_packet_in_reason). A miss of a flow that matches all is no_match. */
export type PacketInReason = (typeof REASONS)[number];

/** A packet-in. The frame is complete, because Open vSwitch has no buffers and ignores `max_len`. */
export interface PacketIn {
  reason: PacketInReason;
  frame: Uint8Array;
  inPort: number;
  table: number;
  cookie: bigint;
  /** The id of the connection that it was sent to: that of controller(id=…). */
  controllerId: number;
  userdata: Uint8Array;
  /** Registers, metadata, tunnel, mark and connection that are not zero, by Open vSwitch's names. */
  metadata: ReadonlyMap<string, bigint>;
}

export interface PortCounters {
  rxFrames: number;
  txFrames: number;
}

export interface PortStats {
  more: boolean;
  ports: Map<number, PortCounters>;
}

function message(type: number, xid: number, body: Uint8Array): Buffer {
  return encodeMessage(VERSION.openflow15, type, xid, body);
}

function experimenter(subtype: number, xid: number, body: Uint8Array): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(NICIRA, 0);
  head.writeUInt32BE(subtype, 4);
  return message(TYPE.experimenter, xid, Buffer.concat([head, body]));
}

/**
 * The first messages of a connection: hello, then requests for complete frames, for packet-ins of all reasons
 * with all their properties for this controller id, and for no other asynchronous messages.
 */
export function greeting(controllerId = 0): Buffer {
  const config = Buffer.alloc(4);
  config.writeUInt16BE(MISS_SEND_LEN, 2);
  const everyReason = (1 << REASONS.length) - 1;
  const events = Buffer.alloc(8 * (ASYNC.last + 1));
  for (let type = 0; type <= ASYNC.last; type++) {
    events.writeUInt16BE(type, 8 * type);
    events.writeUInt16BE(8, 8 * type + 2);
    events.writeUInt32BE(type <= ASYNC.packetIn ? everyReason : 0, 8 * type + 4);
  }
  const format = Buffer.alloc(4);
  format.writeUInt32BE(FORMAT_PACKET_IN2);
  const id = Buffer.alloc(8);
  id.writeUInt16BE(controllerId, 6);
  return Buffer.concat([
    hello(VERSION.openflow15, 1),
    message(TYPE.setConfig, 2, config),
    message(TYPE.setAsync, 3, events),
    experimenter(NICIRA_TYPE.setPacketInFormat, 4, format),
    experimenter(NICIRA_TYPE.setControllerId, 5, id),
  ]);
}

/** Requests the counters of all ports; the reply has the same xid. */
export function portStatsRequest(xid: number): Buffer {
  const body = Buffer.alloc(16);
  body.writeUInt16BE(MULTIPART_PORT_STATS, 0);
  body.writeUInt32BE(PORT_ANY, 8);
  return message(TYPE.multipartRequest, xid, body);
}

/** The type and code of an error message as one line, or undefined for any other message. */
export function errorText({ type, bytes }: Message): string | undefined {
  if (type !== TYPE.error) return undefined;
  const [error, code] = [bytes.readUInt16BE(HEADER_BYTES), bytes.readUInt16BE(HEADER_BYTES + 2)];
  return `OpenFlow error type ${error} code ${code}`;
}

/** A packet-in for the connection of `controllerId` (NXT_PACKET_IN2), or undefined for any other message. */
export function packetInOf({ type, bytes }: Message, controllerId = 0): PacketIn | undefined {
  if (type !== TYPE.experimenter || bytes.readUInt32BE(8) !== NICIRA) return undefined;
  if (bytes.readUInt32BE(12) !== NICIRA_TYPE.packetIn2) return undefined;
  const properties = new Map<number, Buffer>();
  for (let at = 16; at + 4 <= bytes.length; ) {
    const length = Math.max(bytes.readUInt16BE(at + 2), 4);
    properties.set(bytes.readUInt16BE(at), bytes.subarray(at + 4, at + length));
    at += (length + 7) & ~7;
  }
  const of = (property: number): Buffer => properties.get(property) ?? Buffer.alloc(0);
  const { inPort, metadata } = metadataOf(of(PROPERTY.metadata));
  return {
    reason: REASONS[of(PROPERTY.reason)[0] ?? 1] ?? "action",
    frame: of(PROPERTY.packet),
    inPort,
    table: of(PROPERTY.table)[0] ?? 0,
    // Four bytes of padding stand before it.
    cookie: properties.has(PROPERTY.cookie) ? of(PROPERTY.cookie).readBigUInt64BE(4) : 0n,
    controllerId,
    userdata: new Uint8Array(of(PROPERTY.userdata)),
    metadata,
  };
}

/**
 * One part of the reply to `portStatsRequest`, undefined for any other message. `more`: another part follows.
 */
export function portStatsOf({ type, bytes }: Message): PortStats | undefined {
  if (type !== TYPE.multipartReply || bytes.readUInt16BE(8) !== MULTIPART_PORT_STATS) return undefined;
  const ports = new Map<number, PortCounters>();
  for (let at = 16; at + PORT_STATS_BYTES <= bytes.length; ) {
    const rxFrames = Number(bytes.readBigUInt64BE(at + 16));
    const txFrames = Number(bytes.readBigUInt64BE(at + 24));
    ports.set(bytes.readUInt32BE(at + 4), { rxFrames, txFrames });
    at += Math.max(bytes.readUInt16BE(at), PORT_STATS_BYTES);
  }
  return { more: (bytes.readUInt16BE(10) & MULTIPART_MORE) !== 0, ports };
}
