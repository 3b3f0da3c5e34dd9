/**
 * `pcap:IF[,FILTER]` by the npm package `cap` (libpcap): portable, with a BPF filter, and slow. The package
 * does not load in a thread; it runs in the main thread and is connected to the thread that moves frames by a
 * unix socket with the framing of `unix:`. It is optional and built on demand; only this file uses it. It is
 * always promiscuous and receives frames that are sent on the interface, its own included: those are
 * recognized by their bytes.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DeviceSpec } from "./device.ts";
import { LiveError } from "./errors.ts";

/** What is used of the package. */
interface Capture {
  open(device: string, filter: string, bufferBytes: number, buffer: Buffer): string;
  close(): void;
  send(buffer: Buffer, bytes: number): void;
  setMinBytes?(bytes: number): void;
  on(event: "packet", take: (bytes: number, isTruncated: boolean) => void): void;
}
interface CapPackage {
  readonly Cap: { new (): Capture; deviceList(): readonly { readonly name: string }[] };
}

const KERNEL_BYTES = 16 * 1024 * 1024;
const MOST_FRAME_BYTES = 0xffff;
/** Frames of our own that are remembered, to be told from others when they are seen on the interface. */
const REMEMBERED = 4096;
/** Below this a socket takes more; above it frames are lost rather than kept. */
const MOST_QUEUED_BYTES = 8 * 1024 * 1024;

function loadCap(text: string): CapPackage {
  try {
    return createRequire(import.meta.url)("cap") as CapPackage;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const isMissing = code === "MODULE_NOT_FOUND" && /'cap'/.test(message);
    throw new LiveError(
      isMissing
        ? `${text}: the optional package cap is not installed: ` +
            "npm install --ignore-scripts cap, then npm rebuild cap"
        : `${text}: the optional package cap is not built: ` +
            "npm rebuild cap (needs a C++ compiler and libpcap-dev)",
    );
  }
}

export class PcapBridge {
  /** What the thread that moves frames opens instead. */
  readonly spec: DeviceSpec;
  readonly #folder: string;
  readonly #server: Server;
  readonly #capture: Capture;
  /** libpcap writes into it for as long as it is open: it must not be garbage-collected. */
  readonly #buffer: Buffer;
  readonly #own = new Map<string, number>();
  #peer: Socket | null = null;
  /** Frames that came faster than they were taken. */
  lost = 0;
  #pending: Buffer = Buffer.alloc(0);

  private constructor(device: DeviceSpec, folder: string, capture: Capture, buffer: Buffer) {
    this.#folder = folder;
    this.#capture = capture;
    this.#buffer = buffer;
    this.spec = { ...device, backend: "unix", target: join(folder, "s") };
    this.#server = createServer(peer => this.#serve(peer));
    capture.on("packet", bytes => this.#receive(bytes));
  }

  /** Opens the interface. Throws LiveError. */
  static async open(device: DeviceSpec): Promise<PcapBridge> {
    const { Cap } = loadCap(device.text);
    if (!Cap.deviceList().some(({ name }) => name === device.target))
      throw new LiveError(
        `${device.text}: there is no such interface, or no permission: CAP_NET_RAW is needed`,
      );
    const capture = new Cap();
    const buffer = Buffer.alloc(MOST_FRAME_BYTES);
    let linkType: string;
    try {
      linkType = capture.open(device.target, device.filter, KERNEL_BYTES, buffer);
    } catch (error) {
      throw new LiveError(`${device.text}: ${(error as Error).message.split("\n")[0]}`);
    }
    if (linkType !== "ETHERNET") {
      capture.close();
      throw new LiveError(`${device.text}: its frames are not Ethernet but ${linkType}`);
    }
    const folder = mkdtempSync(join(tmpdir(), "slash32-pcap-"));
    const bridge = new PcapBridge(device, folder, capture, buffer);
    await new Promise<void>((resolve, reject) => {
      bridge.#server.once("error", reject).listen(bridge.spec.target, resolve);
    });
    return bridge;
  }

  close(): void {
    this.#capture.close();
    this.#peer?.destroy();
    this.#server.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** A frame came in by the interface, or was sent on it by us. */
  #receive(bytes: number): void {
    const key = this.#buffer.toString("latin1", 0, bytes);
    const sent = this.#own.get(key);
    if (sent !== undefined) {
      if (sent === 1) this.#own.delete(key);
      else this.#own.set(key, sent - 1);
      return;
    }
    if (this.#peer === null || this.#peer.writableLength > MOST_QUEUED_BYTES) {
      this.lost++;
      return;
    }
    const framed = Buffer.allocUnsafe(2 + bytes);
    framed.writeUInt16BE(bytes);
    this.#buffer.copy(framed, 2, 0, bytes);
    this.#peer.write(framed);
  }

  #serve(peer: Socket): void {
    this.#peer = peer;
    peer.on("error", () => {});
    peer.on("close", () => {
      if (this.#peer === peer) this.#peer = null;
    });
    peer.on("data", (chunk: Buffer) => {
      let rest = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
      while (rest.length >= 2 && rest.length >= 2 + rest.readUInt16BE()) {
        const end = 2 + rest.readUInt16BE();
        this.#send(rest.subarray(2, end));
        rest = rest.subarray(end);
      }
      this.#pending = rest;
    });
  }

  #send(frame: Buffer): void {
    const key = frame.toString("latin1");
    this.#own.set(key, (this.#own.get(key) ?? 0) + 1);
    if (this.#own.size > REMEMBERED) this.#own.delete(this.#own.keys().next().value!);
    try {
      this.#capture.send(Buffer.from(frame), frame.length);
    } catch {
      // The interface is down, or the frame too large for it.
      this.#own.delete(key);
    }
  }
}
