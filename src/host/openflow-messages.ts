/**
 * OpenFlow messages on a stream: the header, hello and echo, and the cutting of a stream into messages. It
 * relies on nothing; bodies other than those of hello and echo belong to its callers. Not a controller:
 * slash32 writes flows with ovs-ofctl. OpenFlow Switch Specification 1.3.5, sections 7.1 and 7.5.
 */

/** A version as the first byte of each message gives it. */
export const VERSION = { openflow13: 4, openflow15: 6 } as const;

const HELLO = 0;
const ECHO_REQUEST = 2;
const ECHO_REPLY = 3;
export const HEADER_BYTES = 8;

/** A message as received: `bytes` includes its header. */
export interface Message {
  readonly version: number;
  readonly type: number;
  readonly xid: number;
  readonly bytes: Buffer;
}

/** Header and body of one message. */
export function encodeMessage(
  version: number,
  type: number,
  xid: number,
  body: Uint8Array = Buffer.alloc(0),
): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt8(version, 0);
  header.writeUInt8(type, 1);
  header.writeUInt16BE(HEADER_BYTES + body.length, 2);
  header.writeUInt32BE(xid, 4);
  return Buffer.concat([header, body]);
}

/** The first message on a connection; the lower of both versions is then used. */
export function hello(version: number, xid: number): Buffer {
  return encodeMessage(version, HELLO, xid);
}

/** The reply that keeps the connection alive; undefined if `request` is not an echo request. */
export function echoReply(request: Message): Buffer | undefined {
  if (request.type !== ECHO_REQUEST) return undefined;
  return encodeMessage(request.version, ECHO_REPLY, request.xid, request.bytes.subarray(HEADER_BYTES));
}

/** Cuts complete messages off the front of a stream; `rest` is the incomplete remainder. */
export function splitMessages(stream: Buffer): { messages: Message[]; rest: Buffer } {
  const messages: Message[] = [];
  let rest = stream;
  while (rest.length >= HEADER_BYTES) {
    const length = Math.max(rest.readUInt16BE(2), HEADER_BYTES);
    if (rest.length < length) break;
    const bytes = rest.subarray(0, length);
    messages.push({ version: bytes[0]!, type: bytes[1]!, xid: bytes.readUInt32BE(4), bytes });
    rest = rest.subarray(length);
  }
  return { messages, rest };
}
