/**
 * A client of the control socket of an Open vSwitch daemon, with the protocol of ovs-appctl: JSON-RPC 1.0
 * over a unix stream, requests answered in order. It keeps one connection, because a process per command
 * costs a hundred times as much. ovs-appctl(8), ovs-vswitchd(8).
 */
import { connect, type Socket } from "node:net";

interface Waiting {
  resolve(result: string): void;
  reject(error: Error): void;
}

/** Cuts a stream of JSON objects, which have no separator, into single ones. */
class ObjectSplitter {
  #text = "";
  #at = 0;
  #depth = 0;
  #inString = false;

  /** Appends `chunk`; returns the objects that are complete now. */
  push(chunk: string): string[] {
    const whole: string[] = [];
    this.#text += chunk;
    for (; this.#at < this.#text.length; this.#at++) {
      const char = this.#text[this.#at];
      if (this.#inString) {
        if (char === "\\") this.#at++;
        else if (char === '"') this.#inString = false;
      } else if (char === '"') this.#inString = true;
      else if (char === "{") this.#depth++;
      else if (char === "}" && --this.#depth === 0) {
        whole.push(this.#text.slice(0, this.#at + 1));
        this.#text = this.#text.slice(this.#at + 1);
        this.#at = -1;
      }
    }
    return whole;
  }
}

/** A connection to one daemon. */
export class Unixctl {
  readonly #socket: Socket;
  readonly #waiting: Waiting[] = [];
  #nextId = 0;
  #broken: Error | undefined;

  private constructor(socket: Socket, onClose: () => void) {
    this.#socket = socket;
    const splitter = new ObjectSplitter();
    socket.setEncoding("utf8");
    socket.on("data", (chunk: string) => {
      for (const text of splitter.push(chunk)) this.#answer(text);
    });
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.#broken = new Error("the control socket was closed");
      onClose();
      for (const { reject } of this.#waiting.splice(0)) reject(this.#broken);
    });
    socket.unref();
  }

  /**
   * Connects to the socket at `path`. `onClose` is called once, when either side closes it, before pending
   * calls fail.
   */
  static connect(path: string, onClose: () => void): Promise<Unixctl> {
    return new Promise((resolve, reject) => {
      const socket = connect(path);
      socket.once("error", reject);
      socket.once("connect", () => {
        socket.removeListener("error", reject);
        resolve(new Unixctl(socket, onClose));
      });
    });
  }

  /** Runs a command; returns its text, or rejects with the daemon's message. */
  call(method: string, params: readonly string[]): Promise<string> {
    if (this.#broken !== undefined) return Promise.reject(this.#broken);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#socket.write(JSON.stringify({ id: this.#nextId++, method, params }));
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #answer(text: string): void {
    const { result, error } = JSON.parse(text) as { result: string | null; error: string | null };
    const waiting = this.#waiting.shift();
    if (waiting === undefined) return;
    if (error === null) waiting.resolve(result ?? "");
    else waiting.reject(new Error(error.trim()));
  }
}
