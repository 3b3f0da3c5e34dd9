/**
 * Notices changes of flows of a bridge. `ovs-ofctl monitor BRIDGE watch:!initial` prints an event for each
 * to standard error (ovs-ofctl(8); OpenFlow 1.4, 7.3.5.17), and a connection to the management socket shows
 * at once that the switch went away or came back. The contents of events are not used: the caller dumps the
 * bridge. Groups and ports have no events, and a switch may refuse the monitor, so that the caller also needs
 * an interval.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { addressOf, socketOf, watchPresence } from "../host/index.ts";

const PROTOCOLS = "OpenFlow15,OpenFlow13";
/** A monitor that ends sooner was refused, or has no bridge. */
const REFUSED_MS = 2000;

export interface MonitorOptions {
  readonly bridge: string;
  readonly database: string | undefined;
  readonly protocols: string | undefined;
  /** The flows may have changed. */
  readonly onChange: () => void;
}

export class FlowMonitor {
  readonly #options: MonitorOptions;
  readonly #address: string;
  /** For the control socket that ovs-ofctl monitor makes: the usual folder may not be ours to write to. */
  readonly #folder = mkdtempSync(join(tmpdir(), "slash32-watch-"));
  readonly #endPresence: () => void;
  #child: ChildProcess | null = null;
  #isClosed = false;

  constructor(options: MonitorOptions) {
    this.#options = options;
    const address = addressOf(options.bridge, options.database);
    this.#address = socketOf(address) ?? address;
    this.#endPresence = watchPresence(address, options.onChange);
  }

  /** Starts the monitor unless it runs; may be called again at any time. */
  keep(): void {
    if (this.#child !== null || this.#isClosed) return;
    const { protocols, onChange } = this.#options;
    const startedAt = performance.now();
    const words = ["-O", protocols ?? PROTOCOLS, "monitor", this.#address, "watch:!initial"];
    const child = spawn("ovs-ofctl", words, {
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...process.env, OVS_RUNDIR: this.#folder },
    });
    this.#child = child;
    child.stderr.on("data", (text: Buffer) => {
      if (text.includes("event=")) onChange();
    });
    const ended = (): void => {
      if (this.#child !== child) return;
      this.#child = null;
      if (!this.#isClosed && performance.now() - startedAt > REFUSED_MS) onChange();
    };
    child.once("error", ended);
    child.once("close", ended);
  }

  /** Ends the monitor; resolves when its process has ended. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#endPresence();
    const child = this.#child;
    if (child !== null) {
      const closed = new Promise(resolve => child.once("close", resolve));
      child.kill("SIGTERM");
      await closed;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
