/**
 * Marker frames, which separate the outputs of one frame from those of the next. An experimental EtherType
 * (IEEE 802 local experimental 1) and a random source MAC for each switch distinguish them from all frames
 * under test.
 */
import { randomBytes } from "node:crypto";

const ETHERTYPE = 0x88b5;
const HEADER_BYTES = 14;
const MARKER_BYTES = HEADER_BYTES + 4;
/** The highest priority, so that no other flow precedes it. */
export const MARKER_PRIORITY = 65_535;
export const MARKER_COOKIE = "0x736c617368333200";

/** The markers of one switch. */
export class Markers {
  readonly #header: Buffer;

  constructor() {
    this.#header = Buffer.concat([
      Buffer.from("06736c333200", "hex"),
      randomBytes(6),
      Buffer.from([0x88, 0xb5]),
    ]);
    // Locally administered, and of one host.
    this.#header[6] = (this.#header[6]! & 0xfc) | 0x02;
  }

  /** The marker `sequence`, 1…2^32 - 1. */
  frame(sequence: number): Buffer {
    const number = Buffer.alloc(4);
    number.writeUInt32BE(sequence);
    return Buffer.concat([this.#header, number]);
  }

  /** The number of a marker, or undefined for any other frame. */
  sequenceOf(frame: Uint8Array): number | undefined {
    if (frame.length !== MARKER_BYTES || this.#header.compare(frame, 0, HEADER_BYTES) !== 0) return undefined;
    return new DataView(frame.buffer, frame.byteOffset).getUint32(HEADER_BYTES);
  }

  /** The flow that sends a marker out by all of `ports` and to the controllers of these ids, once each. */
  flow(ports: readonly number[], controllerIds: readonly number[]): string {
    const mac = this.#header.subarray(6, 12).toString("hex").match(/../g)!.join(":");
    // Open vSwitch drops an output to the ingress port; `in_port` is the output for that port.
    const outputs = ports.map(port => `output:${port}`);
    const actions = ["in_port", ...outputs, ...controllerIds.map(id => `controller(id=${id})`)];
    const match = `dl_src=${mac},dl_type=0x${ETHERTYPE.toString(16)}`;
    const head = `cookie=${MARKER_COOKIE},table=0,priority=${MARKER_PRIORITY}`;
    return `${head},${match} actions=${actions.join(",")}`;
  }
}
