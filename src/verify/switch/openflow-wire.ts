/**
 * The little OpenFlow 1.3 that the private switch is asked over its management socket: hello, which packet-ins are
 * wanted, port counters; packet-ins as they come. Not a controller: flows are written by ovs-ofctl, whose text and
 * messages are the ones to hold against. OpenFlow Switch Specification 1.3.5, sections 7.1 to 7.4.
 */

const VERSION = 4;
const HEADER_BYTES = 8;

const TYPE = {
  hello: 0,
  error: 1,
  echoRequest: 2,
  echoReply: 3,
  setConfig: 9,
  packetIn: 10,
  multipartRequest: 18,
  multipartReply: 19,
  setAsync: 28,
} as const;

const MULTIPART_PORT_STATS = 4;
const MULTIPART_MORE = 1;
const PORT_STATS_BYTES = 112;
const PORT_ANY = 0xffffffff;
/** Whole frames, and (for a service connection such as ours) any packet-in at all: OVS sends none while this is 0. */
const MISS_SEND_LEN = 0xffff;
const OXM_IN_PORT = 0x80000004;

const REASONS = ["no_match", "action", "invalid_ttl"] as const;
/** Why the switch gave a frame to its controller (ofp_packet_in_reason). */
export type PacketInReason = (typeof REASONS)[number];

/** A frame given to the controller: the whole of it, because OVS keeps no buffers and so heeds no `max_len`. */
export interface PacketIn {
  reason: PacketInReason;
  frame: Uint8Array;
  inPort: number;
  table: number;
  cookie: bigint;
}

export interface PortCounters {
  rxFrames: number;
  txFrames: number;
}

/** A message as read from the stream, its header included. */
export interface Message {
  type: number;
  xid: number;
  bytes: Buffer;
}

/** One message: header and body. */
function message(type: number, xid: number, body: Uint8Array = Buffer.alloc(0)): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt8(VERSION, 0);
  header.writeUInt8(type, 1);
  header.writeUInt16BE(HEADER_BYTES + body.length, 2);
  header.writeUInt32BE(xid, 4);
  return Buffer.concat([header, body]);
}

/** What a connection begins with: hello, whole frames, and packet-ins of all three reasons but no other events. */
export function greeting(): Buffer {
  const config = Buffer.alloc(4);
  config.writeUInt16BE(MISS_SEND_LEN, 2);
  const masks = Buffer.alloc(24);
  const everyReason = (1 << REASONS.length) - 1;
  masks.writeUInt32BE(everyReason, 0);
  masks.writeUInt32BE(everyReason, 4);
  return Buffer.concat([
    message(TYPE.hello, 1),
    message(TYPE.setConfig, 2, config),
    message(TYPE.setAsync, 3, masks),
  ]);
}

/** Asks for the counters of all ports; the answer carries the same xid. */
export function portStatsRequest(xid: number): Buffer {
  const body = Buffer.alloc(16);
  body.writeUInt16BE(MULTIPART_PORT_STATS, 0);
  body.writeUInt32BE(PORT_ANY, 8);
  return message(TYPE.multipartRequest, xid, body);
}

/** The answer that keeps the connection alive, or undefined if `request` is no echo request. */
export function echoReply(request: Message): Buffer | undefined {
  if (request.type !== TYPE.echoRequest) return undefined;
  return message(TYPE.echoReply, request.xid, request.bytes.subarray(HEADER_BYTES));
}

/** Cuts whole messages off the front of a stream; `rest` is what is left of it. */
export function splitMessages(stream: Buffer): { messages: Message[]; rest: Buffer } {
  const messages: Message[] = [];
  let rest = stream;
  while (rest.length >= HEADER_BYTES) {
    const length = Math.max(rest.readUInt16BE(2), HEADER_BYTES);
    if (rest.length < length) break;
    messages.push({ type: rest[1]!, xid: rest.readUInt32BE(4), bytes: rest.subarray(0, length) });
    rest = rest.subarray(length);
  }
  return { messages, rest };
}

/** The type and code of an error message as one line, or undefined for any other message. */
export function errorText({ type, bytes }: Message): string | undefined {
  if (type !== TYPE.error) return undefined;
  return `OpenFlow error type ${bytes.readUInt16BE(8)} code ${bytes.readUInt16BE(10)}`;
}

/** The in_port among the OXM fields of a packet-in; 0 if it has none. */
function inPortOf(fields: Buffer): number {
  let rest = fields;
  while (rest.length >= 8) {
    if (rest.readUInt32BE(0) === OXM_IN_PORT) return rest.readUInt32BE(4);
    rest = rest.subarray(4 + rest[3]!);
  }
  return 0;
}

/** A packet-in (section 7.4.1), or undefined for any other message. */
export function packetInOf({ type, bytes }: Message): PacketIn | undefined {
  if (type !== TYPE.packetIn) return undefined;
  const matchAt = 24;
  const matchBytes = bytes.readUInt16BE(matchAt + 2);
  const padded = (matchBytes + 7) & ~7;
  return {
    reason: REASONS[bytes[14]!] ?? "action",
    // Two bytes of padding put the frame's layer 3 on a boundary of four.
    frame: bytes.subarray(matchAt + padded + 2),
    inPort: inPortOf(bytes.subarray(matchAt + 4, matchAt + matchBytes)),
    table: bytes[15]!,
    cookie: bytes.readBigUInt64BE(16),
  };
}

/** One part of the answer to `portStatsRequest`, or undefined for any other message. `more`: another part follows. */
export function portStatsOf({
  type,
  bytes,
}: Message): { more: boolean; ports: Map<number, PortCounters> } | undefined {
  if (type !== TYPE.multipartReply || bytes.readUInt16BE(8) !== MULTIPART_PORT_STATS) return undefined;
  const ports = new Map<number, PortCounters>();
  for (let at = 16; at + PORT_STATS_BYTES <= bytes.length; at += PORT_STATS_BYTES) {
    const rxFrames = Number(bytes.readBigUInt64BE(at + 8));
    const txFrames = Number(bytes.readBigUInt64BE(at + 16));
    ports.set(bytes.readUInt32BE(at), { rxFrames, txFrames });
  }
  return { more: (bytes.readUInt16BE(10) & MULTIPART_MORE) !== 0, ports };
}
