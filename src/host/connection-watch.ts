/**
 * Whether the switch is there: a connection to the bridge's management socket that asks nothing. When it ends, the switch has
 * gone, and one that comes back does so with an empty table; to be told at once is what this is for, as looking every few
 * seconds would leave it empty for so long. Flows are not its business. OpenFlow 1.3.5, sections 6.4, 7.1 and 7.5.2.
 */
import { connect, type Socket } from "node:net";
import { join } from "node:path";

const VERSION = 4;
const HEADER_BYTES = 8;
const HELLO = 0;
const ECHO_REQUEST = 2;
const ECHO_REPLY = 3;
/** Where ovs-ofctl looks, too. */
const RUN_FOLDER = "/var/run/openvswitch";
const AGAIN_MS = 100;

/** The management socket behind what ovs-ofctl is told; null when it is reached in another way. */
export function socketOf(bridge: string, folder = process.env.OVS_RUNDIR ?? RUN_FOLDER): string | null {
  const path = bridge.replace(/^unix:/, "");
  if (path.includes("/")) return path;
  return bridge.includes(":") ? null : join(folder, `${bridge}.mgmt`);
}

function headerOf(type: number, length: number, xid: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt8(VERSION, 0);
  header.writeUInt8(type, 1);
  header.writeUInt16BE(length, 2);
  header.writeUInt32BE(xid, 4);
  return header;
}

/** Answers the echo requests in what has come; gives the rest, which is no whole message yet. */
function answer(socket: Socket, bytes: Buffer): Buffer {
  let rest = bytes;
  while (rest.length >= HEADER_BYTES) {
    const length = Math.max(rest.readUInt16BE(2), HEADER_BYTES);
    if (rest.length < length) break;
    if (rest.readUInt8(1) === ECHO_REQUEST) {
      const reply = headerOf(ECHO_REPLY, length, rest.readUInt32BE(4));
      socket.write(Buffer.concat([reply, rest.subarray(HEADER_BYTES, length)]));
    }
    rest = rest.subarray(length);
  }
  return rest;
}

/** Calls back whenever the switch went away, and whenever it is there again. Returns what ends it. */
export function watchPresence(bridge: string, onChange: (isThere: boolean) => void): () => void {
  const path = socketOf(bridge);
  return path === null ? () => undefined : watchSocket(path, true, onChange);
}

/** The same of whoever listens at a socket; `isSwitch`: it speaks OpenFlow, others are told nothing. */
export function watchSocket(
  path: string,
  isSwitch: boolean,
  onChange: (isThere: boolean) => void,
): () => void {
  let isOver = false;
  /** Null: it was never there. */
  let isThere: boolean | null = null;
  let socket: Socket | null = null;
  let timer: NodeJS.Timeout | null = null;
  const begin = (): void => {
    const made = connect(path);
    let pending: Buffer = Buffer.alloc(0);
    socket = made;
    made.unref();
    made.once("connect", () => {
      if (isSwitch) made.write(headerOf(HELLO, HEADER_BYTES, 1));
      if (isThere === false) onChange(true);
      isThere = true;
    });
    made.on("data", (chunk: Buffer) => {
      if (isSwitch) pending = answer(made, Buffer.concat([pending, chunk]));
    });
    made.on("error", () => undefined);
    made.once("close", () => {
      if (isOver) return;
      if (isThere === true) onChange(false);
      isThere = false;
      timer = setTimeout(begin, AGAIN_MS).unref();
    });
  };
  begin();
  return () => {
    isOver = true;
    if (timer !== null) clearTimeout(timer);
    socket?.destroy();
  };
}
