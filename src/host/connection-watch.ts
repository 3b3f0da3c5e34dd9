/**
 * Watches whether a peer is there by holding a connection to its unix socket. For a bridge it is the
 * management socket, and the watch sends only hello and echo replies. When a switch restarts, its flow table
 * is empty; the watch reports the restart immediately, polling would leave the table empty for seconds.
 * OpenFlow 1.3.5, sections 6.4 and 7.5.2.
 */
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { echoReply, hello, splitMessages, VERSION } from "./openflow-messages.ts";

/** Where ovs-ofctl looks, too. */
const RUN_FOLDER = "/var/run/openvswitch";
const RECONNECT_MS = 100;

/**
 * Path of the management socket of a bridge, named as for ovs-ofctl; null if the name is a TCP or SSL
 * address.
 */
export function socketOf(bridge: string, folder = process.env.OVS_RUNDIR ?? RUN_FOLDER): string | null {
  const path = bridge.replace(/^unix:/, "");
  if (path.includes("/")) return path;
  return bridge.includes(":") ? null : join(folder, `${bridge}.mgmt`);
}

/** Replies to the echo requests in `stream`; returns the incomplete message at its end. */
function replyToEchoes(socket: Socket, stream: Buffer): Buffer {
  const { messages, rest } = splitMessages(stream);
  for (const message of messages) {
    const reply = echoReply(message);
    if (reply !== undefined) socket.write(reply);
  }
  return rest;
}

/**
 * Calls back when the switch goes away and when it is there again. Returns a function that ends the watch.
 */
export function watchPresence(bridge: string, onChange: (isThere: boolean) => void): () => void {
  const path = socketOf(bridge);
  return path === null ? () => undefined : watchSocket(path, true, onChange);
}

/**
 * As watchPresence, for any listener at a socket. `isSwitch`: it speaks OpenFlow; other peers are sent
 * nothing.
 */
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
      if (isSwitch) made.write(hello(VERSION.openflow13, 1));
      if (isThere === false) onChange(true);
      isThere = true;
    });
    made.on("data", (chunk: Buffer) => {
      if (isSwitch) pending = replyToEchoes(made, Buffer.concat([pending, chunk]));
    });
    made.on("error", () => undefined);
    made.once("close", () => {
      if (isOver) return;
      if (isThere === true) onChange(false);
      isThere = false;
      timer = setTimeout(begin, RECONNECT_MS).unref();
    });
  };
  begin();
  return () => {
    isOver = true;
    if (timer !== null) clearTimeout(timer);
    socket?.destroy();
  };
}
