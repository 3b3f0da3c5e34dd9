/**
 * The smallest BGP speaker that can say odd things: it opens a session from one address to another, announces and
 * withdraws labelled /32s with whatever is to stand in the label field, and never looks at what comes back. RFC 4271
 * section 4, RFC 4760, RFC 8277. Run by itself: `raw-speaker FROM TO AS`; its standard input has an UPDATE a line, as
 * `reach PREFIX HEX…` or `unreach PREFIX HEX…`, each HEX three bytes of label field.
 */
import { connect } from "node:net";
import { createInterface } from "node:readline";

const OPEN = 1;
const UPDATE = 2;
const KEEPALIVE = 4;
const HOLD_SECONDS = 90;
/** AFI 1, SAFI 4. */
const FAMILY = [0, 1, 4];

const addressBytes = (address: string): number[] => address.split(".").map(Number);
const u16 = (value: number): number[] => [value >> 8, value & 255];

function message(type: number, body: readonly number[]): Buffer {
  return Buffer.from([...Array<number>(16).fill(0xff), ...u16(19 + body.length), type, ...body]);
}

function openMessage(as: number, id: string): Buffer {
  // Capabilities: multiprotocol for the family (1), autonomous systems of four bytes (65).
  const capabilities = [1, 4, 0, 1, 0, 4, 65, 4, 0, 0, ...u16(as)];
  const parameters = [2, capabilities.length, ...capabilities];
  return message(OPEN, [
    4,
    ...u16(as),
    ...u16(HOLD_SECONDS),
    ...addressBytes(id),
    parameters.length,
    ...parameters,
  ]);
}

function nlri(prefix: string, fields: readonly string[]): number[] {
  const labels = fields.flatMap(hex => [...Buffer.from(hex, "hex")]);
  return [labels.length * 8 + 32, ...labels, ...addressBytes(prefix)];
}

function updateMessage(line: string, nextHop: string): Buffer {
  const [what, prefix, ...fields] = line.split(" ");
  const reachable = nlri(prefix!, fields);
  const attributes: number[] = [];
  if (what === "reach") {
    const value = [...FAMILY, 4, ...addressBytes(nextHop), 0, ...reachable];
    attributes.push(0x40, 1, 1, 0, 0x40, 2, 0, 0x40, 5, 4, 0, 0, 0, 100, 0x80, 14, value.length, ...value);
  } else {
    attributes.push(0x80, 15, FAMILY.length + reachable.length, ...FAMILY, ...reachable);
  }
  return message(UPDATE, [0, 0, ...u16(attributes.length), ...attributes]);
}

const [from, to, as] = process.argv.slice(2);
const socket = connect({ host: to!, port: 179, localAddress: from! });
socket.on("error", error => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});
socket.once("connect", () => socket.write(openMessage(Number(as), from!)));
// The first thing that comes is its OPEN; from then on all that is needed is to stay alive.
socket.once("data", () => {
  socket.write(message(KEEPALIVE, []));
  setInterval(() => socket.write(message(KEEPALIVE, [])), 10_000);
  createInterface({ input: process.stdin }).on("line", line => socket.write(updateMessage(line, from!)));
});
socket.resume();
