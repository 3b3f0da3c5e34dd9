/**
 * A connection to the private switch's management socket: packet-ins of one controller id as they come, port
 * counters on request. Not a controller: the bridge has none, and flows are written by ovs-ofctl.
 * ovs-vswitchd(8) calls such a connection a service connection.
 */
import { connect, type Socket } from "node:net";
import { echoReply, type Message, splitMessages } from "../../src/host/index.ts";
import {
  errorText,
  greeting,
  type PacketIn,
  type PortCounters,
  packetInOf,
  portStatsOf,
  portStatsRequest,
} from "./switch-messages.ts";

interface Request {
  counters: Map<number, PortCounters>;
  resolve(counters: Map<number, PortCounters>): void;
  reject(error: Error): void;
}

export class Management {
  readonly #socket: Socket;
  readonly #onPacketIn: (packetIn: PacketIn) => void;
  readonly #controllerId: number;
  readonly #requests = new Map<number, Request>();
  #pending: Buffer = Buffer.alloc(0);
  #nextXid = 100;

  private constructor(
    socket: Socket,
    controllerId: number,
    onPacketIn: (packetIn: PacketIn) => void,
    onClose: () => void,
  ) {
    this.#socket = socket;
    this.#controllerId = controllerId;
    this.#onPacketIn = onPacketIn;
    socket.on("data", chunk => this.#take(chunk));
    socket.on("error", () => undefined);
    socket.on("close", () => {
      onClose();
      for (const { reject } of this.#requests.values()) reject(new Error("the management socket was closed"));
      this.#requests.clear();
    });
    socket.unref();
  }

  /**
   * Connects to the socket at `path`, for this controller id. Packet-ins go to `onPacketIn`, certainly once a
   * `portCounters` has resolved. `onClose` is called once, when either side closes the connection, before
   * pending requests fail.
   */
  static connect(
    path: string,
    controllerId: number,
    onPacketIn: (packetIn: PacketIn) => void,
    onClose: () => void,
  ): Promise<Management> {
    return new Promise((resolve, reject) => {
      const socket = connect(path);
      socket.once("error", reject);
      socket.once("connect", () => {
        socket.removeListener("error", reject);
        socket.write(greeting(controllerId));
        resolve(new Management(socket, controllerId, onPacketIn, onClose));
      });
    });
  }

  /** Frames that each port has received and sent since it was made, by port number; LOCAL is 0xfffffffe. */
  portCounters(): Promise<Map<number, PortCounters>> {
    if (this.#socket.destroyed) return Promise.reject(new Error("the management socket was closed"));
    const xid = this.#nextXid++;
    return new Promise((resolve, reject) => {
      this.#requests.set(xid, { counters: new Map(), resolve, reject });
      this.#socket.write(portStatsRequest(xid));
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    const { messages, rest } = splitMessages(Buffer.concat([this.#pending, chunk]));
    this.#pending = rest;
    for (const message of messages) this.#handle(message);
  }

  #handle(message: Message): void {
    const packetIn = packetInOf(message, this.#controllerId);
    if (packetIn !== undefined) this.#onPacketIn(packetIn);
    const reply = echoReply(message);
    if (reply !== undefined) this.#socket.write(reply);
    const request = this.#requests.get(message.xid);
    if (request === undefined) return;
    const error = errorText(message);
    if (error !== undefined) request.reject(new Error(error));
    const part = portStatsOf(message);
    for (const [port, counters] of part?.ports ?? []) request.counters.set(port, counters);
    if (part?.more === true) return;
    this.#requests.delete(message.xid);
    request.resolve(request.counters);
  }
}
