/**
 * The counters of live ports for Prometheus (text format 0.0.4), over HTTP on a loopback address. Only this file knows
 * prom-client; numbers are fetched when somebody asks.
 */
import { createServer, type Server } from "node:http";
import { type AddressInfo, isIP } from "node:net";
import { Counter, Gauge, Registry } from "prom-client";
import type { CaptureCounts } from "./capture.ts";
import { LiveError } from "./errors.ts";
import type { Snapshot } from "./thread-protocol.ts";

/** What is shown beside the counters of a snapshot. */
export interface Totals {
  readonly reloads: number;
  readonly refused: number;
  /** Changes over the control socket. */
  readonly edits: number;
  readonly compared: number;
  readonly different: number;
  /** Null: there is no --capture. */
  readonly capture: CaptureCounts | null;
}

/** Where to listen. */
export interface MetricsAddress {
  readonly host: string;
  readonly port: number;
}

/** Reads `PORT` or `HOST:PORT`; HOST must be a loopback address. Throws LiveError. */
export function parseMetricsAddress(text: string): MetricsAddress {
  const [, host = "127.0.0.1", digits = ""] = /^(?:(.*):)?(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits === "" || port > 65535)
    throw new LiveError(`--metrics ${text}: expected PORT or HOST:PORT, as 9432 or 127.0.0.1:9432`);
  const bare = host === "localhost" ? "127.0.0.1" : host.replace(/^\[(.*)\]$/, "$1");
  const isLoopback = (isIP(bare) === 4 && bare.startsWith("127.")) || bare === "::1";
  if (!isLoopback)
    throw new LiveError(
      `--metrics ${text}: ${host} is no loopback address; it is served on this machine only`,
    );
  return { host: bare, port };
}

type Row = readonly [labels: Record<string, string>, value: number];

/** What each metric is, and its rows. */
const METRICS: Readonly<
  Record<
    string,
    { help: string; labels: readonly string[]; rows: (snapshot: Snapshot, totals: Totals) => Row[] }
  >
> = {
  frames_total: {
    help: "Frames, by port and direction (in, out, reply)",
    labels: ["port", "direction"],
    rows: snapshot =>
      named(snapshot).flatMap(({ port, rxFrames, txFrames, replyFrames }): Row[] => [
        [{ port, direction: "in" }, rxFrames],
        [{ port, direction: "out" }, txFrames],
        [{ port, direction: "reply" }, replyFrames],
      ]),
  },
  bytes_total: {
    help: "Bytes of frames, by port and direction (in, out, reply)",
    labels: ["port", "direction"],
    rows: snapshot =>
      named(snapshot).flatMap(({ port, rxBytes, txBytes, replyBytes }): Row[] => [
        [{ port, direction: "in" }, rxBytes],
        [{ port, direction: "out" }, txBytes],
        [{ port, direction: "reply" }, replyBytes],
      ]),
  },
  drops_total: {
    help: "Frames dropped by the pipeline, by reason",
    labels: ["reason"],
    rows: ({ counters }) => [...counters.drops].map(([reason, frames]): Row => [{ reason }, frames]),
  },
  lost_total: {
    help: "Frames lost at a device: not sent, or dropped by the kernel before they were read",
    labels: ["port", "direction"],
    rows: ({ ports }) =>
      ports.flatMap(({ port, counts }): Row[] => [
        [{ port, direction: "in" }, counts.receiveLost],
        [{ port, direction: "out" }, counts.sendLost],
      ]),
  },
  undelivered_total: {
    help: "Frames for a port that has no device, or whose device is away",
    labels: [],
    rows: ({ undelivered }) => [[{}, undelivered]],
  },
  batches_total: { help: "Calls of the core", labels: [], rows: ({ batches }) => [[{}, batches]] },
  reloads_total: {
    help: "Intents read again while running, by result",
    labels: ["result"],
    rows: (_, { reloads, refused }) => [
      [{ result: "taken" }, reloads],
      [{ result: "refused" }, refused],
    ],
  },
  edits_total: {
    help: "Changes of VMs and routes over the control socket",
    labels: [],
    rows: (_, { edits }) => [[{}, edits]],
  },
  capture_packets_total: {
    help: "Packets for --capture, by result",
    labels: ["result"],
    rows: (_, { capture }) =>
      capture === null
        ? []
        : [
            [{ result: "written" }, capture.packets],
            [{ result: "lost" }, capture.lost],
          ],
  },
  capture_bytes_total: {
    help: "Bytes written by --capture",
    labels: [],
    rows: (_, { capture }) => (capture === null ? [] : [[{}, capture.bytes]]),
  },
  compared_total: {
    help: "Frames compared with the flows (--against), by result",
    labels: ["result"],
    rows: (_, { compared, different }) => [
      [{ result: "same" }, compared - different],
      [{ result: "different" }, different],
    ],
  },
};

/** Counters of ports with their names. */
function named({ counters, ports }: Snapshot) {
  const names = new Map(ports.map(({ ofport, port }) => [ofport, port]));
  return counters.ports.map(counted => ({
    ...counted,
    port: names.get(counted.port) ?? String(counted.port),
  }));
}

export class Metrics {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** `http://127.0.0.1:9432/metrics`. */
  get url(): string {
    const { address, port, family } = this.#server.address() as AddressInfo;
    return `http://${family === "IPv6" ? `[${address}]` : address}:${port}/metrics`;
  }

  /** Begins to answer; `look` is asked at each request. Throws LiveError when it cannot listen. */
  static async start(
    where: MetricsAddress,
    look: () => Promise<readonly [Snapshot, Totals]>,
  ): Promise<Metrics> {
    const server = createServer(async (request, response) => {
      try {
        if (request.url?.replace(/\?.*$/, "") !== "/metrics") {
          response.writeHead(404).end("there is /metrics\n");
          return;
        }
        if (request.method !== "GET" && request.method !== "HEAD") {
          response.writeHead(405, { allow: "GET, HEAD", connection: "close" }).end("expected GET or HEAD\n");
          return;
        }
        const text = await render(...(await look()));
        response.writeHead(200, { "content-type": Registry.PROMETHEUS_CONTENT_TYPE }).end(text);
      } catch (error) {
        response.writeHead(503).end(`${(error as Error).message}\n`);
      }
    });
    await new Promise<void>((resolve, reject) => {
      server.once("error", ({ code }: NodeJS.ErrnoException) =>
        reject(new LiveError(`--metrics ${where.host}:${where.port}: cannot listen there: ${code}`)),
      );
      server.listen(where.port, where.host, resolve);
    });
    // A connection that cannot be taken (no descriptor is left) ends nothing else.
    server.on("error", () => undefined);
    return new Metrics(server);
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

/** The text that Prometheus reads. */
export async function render(snapshot: Snapshot, totals: Totals): Promise<string> {
  const registry = new Registry();
  for (const [name, { help, labels, rows }] of Object.entries(METRICS)) {
    const registers = [registry];
    const counter = new Counter({ name: `slash32_${name}`, help, labelNames: [...labels], registers });
    for (const [row, value] of rows(snapshot, totals)) counter.inc(row, value);
  }
  const up = new Gauge({
    name: "slash32_port_up",
    help: "Whether the device of a port is open",
    labelNames: ["port", "device"],
    registers: [registry],
  });
  for (const { port, device, isOpen } of snapshot.ports) up.set({ port, device }, isOpen ? 1 : 0);
  const capturing = new Gauge({
    name: "slash32_capture_running",
    help: "Whether --capture is written: 0 while the disk is full, and when it has ended",
    registers: [registry],
  });
  if (totals.capture === null) registry.removeSingleMetric("slash32_capture_running");
  else capturing.set(totals.capture.state === "running" ? 1 : 0);
  return registry.metrics();
}

/** What other rooms make their metrics of. */
export { Counter, Gauge, Histogram, Registry } from "prom-client";
