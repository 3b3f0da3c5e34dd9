/**
 * Which metrics live ports have, and their values from one snapshot. Serving and text format are in the host
 * module; docs/live.md lists the names.
 */
import { MetricSet, type MetricsAddress, MetricsServer } from "../host/index.ts";
import type { CaptureCounts } from "./capture.ts";
import type { Snapshot } from "./thread-protocol.ts";

/** Shown beside the counters of a snapshot. */
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

/** One line of a metric. */
type Sample = readonly [labels: Record<string, string>, value: number];

/** Counters by name. */
const COUNTERS: Readonly<
  Record<
    string,
    { help: string; labels: readonly string[]; samples: (snapshot: Snapshot, totals: Totals) => Sample[] }
  >
> = {
  frames_total: {
    help: "Frames, by port and direction (in, out, reply)",
    labels: ["port", "direction"],
    samples: snapshot =>
      named(snapshot).flatMap(({ port, rxFrames, txFrames, replyFrames }): Sample[] => [
        [{ port, direction: "in" }, rxFrames],
        [{ port, direction: "out" }, txFrames],
        [{ port, direction: "reply" }, replyFrames],
      ]),
  },
  bytes_total: {
    help: "Bytes of frames, by port and direction (in, out, reply)",
    labels: ["port", "direction"],
    samples: snapshot =>
      named(snapshot).flatMap(({ port, rxBytes, txBytes, replyBytes }): Sample[] => [
        [{ port, direction: "in" }, rxBytes],
        [{ port, direction: "out" }, txBytes],
        [{ port, direction: "reply" }, replyBytes],
      ]),
  },
  drops_total: {
    help: "Frames dropped by the pipeline, by reason",
    labels: ["reason"],
    samples: ({ counters }) => [...counters.drops].map(([reason, frames]): Sample => [{ reason }, frames]),
  },
  lost_total: {
    help: "Frames lost at a device: not sent, or dropped by the kernel before they were read",
    labels: ["port", "direction"],
    samples: ({ ports }) =>
      ports.flatMap(({ port, counts }): Sample[] => [
        [{ port, direction: "in" }, counts.receiveLost],
        [{ port, direction: "out" }, counts.sendLost],
      ]),
  },
  undelivered_total: {
    help: "Frames for a port that has no device, or whose device is not open",
    labels: [],
    samples: ({ undelivered }) => [[{}, undelivered]],
  },
  batches_total: { help: "Calls of the core", labels: [], samples: ({ batches }) => [[{}, batches]] },
  reloads_total: {
    help: "Intents loaded again while running, by result",
    labels: ["result"],
    samples: (_, { reloads, refused }) => [
      [{ result: "taken" }, reloads],
      [{ result: "refused" }, refused],
    ],
  },
  edits_total: {
    help: "Changes of VMs and routes over the control socket",
    labels: [],
    samples: (_, { edits }) => [[{}, edits]],
  },
  capture_packets_total: {
    help: "Packets for --capture, by result",
    labels: ["result"],
    samples: (_, { capture }) =>
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
    samples: (_, { capture }) => (capture === null ? [] : [[{}, capture.bytes]]),
  },
  compared_total: {
    help: "Frames compared with the flows (--against), by result",
    labels: ["result"],
    samples: (_, { compared, different }) => [
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

/** Serves the metrics; `look` is called for each request. Throws SocketError if it cannot listen. */
export function startMetrics(
  where: MetricsAddress,
  look: () => Promise<readonly [Snapshot, Totals]>,
): Promise<MetricsServer> {
  return MetricsServer.start(where, async () => textOf(...(await look())));
}

function textOf(snapshot: Snapshot, totals: Totals): Promise<string> {
  const set = new MetricSet("slash32_");
  for (const [name, { help, labels, samples }] of Object.entries(COUNTERS)) {
    const counter = set.counter(name, help, labels);
    for (const [sample, value] of samples(snapshot, totals)) counter.inc(sample, value);
  }
  const up = set.gauge("port_up", "Whether the device of a port is open", ["port", "device"]);
  for (const { port, device, isOpen } of snapshot.ports) up.set({ port, device }, isOpen ? 1 : 0);
  if (totals.capture !== null) {
    const help = "Whether --capture is written: 0 while the disk is full, and when it has ended";
    set.gauge("capture_running", help).set(totals.capture.state === "running" ? 1 : 0);
  }
  return set.text();
}
