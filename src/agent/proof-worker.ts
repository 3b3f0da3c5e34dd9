/**
 * The thread that proves plans and tables, so that a long proof delays no change. It compares two tables as
 * flow text, and returns the verdict and the first difference in one line.
 */
import { parentPort } from "node:worker_threads";
import { FlowColumns } from "../openflow/index.ts";
import { type Difference, type Ignored, type PortKinds, type Proof, prove } from "../verify/index.ts";
import { summarize } from "../wire/index.ts";

/** Two tables to compare; `b` is what is judged. */
export interface Question {
  readonly id: number;
  /** Flow text, as ovs-ofctl prints or takes it. */
  readonly a: Uint8Array<ArrayBuffer>;
  readonly b: Uint8Array<ArrayBuffer>;
  readonly maxSeconds: number;
  /** Parts of an outcome that are not compared. */
  readonly ignored: ReadonlySet<Ignored>;
  /** Which ports are tunnels. */
  readonly ports: PortKinds;
}

export interface Verdict {
  readonly id: number;
  readonly verdict: Proof["verdict"];
  /** A frame and what becomes of it on either side, or what is unknown; null when equal. */
  readonly witness: string | null;
  readonly seconds: number;
}

/** `; --ignore queue excludes it`: the option that excludes a difference; empty if there is none. */
function optionFor({ what, a, b }: Difference): string {
  const isOfPacketIns = what.includes("packet-in") || a.packetIns.length + b.packetIns.length > 0;
  const byWhat: Readonly<Record<string, Ignored>> = { queue: "queue", pkt_mark: "mark" };
  const part = byWhat[what] ?? (what.startsWith("sample") ? "sample" : isOfPacketIns ? "packet-in" : null);
  return part === null ? "" : `; --ignore ${part} excludes it`;
}

function witnessOf({ differences, ambiguous, unknown }: Proof): string | null {
  const [difference] = differences;
  if (difference !== undefined) {
    const { inPort, frame, a, b, what } = difference;
    const ports = (side: typeof a): string => side.outputs.map(({ port }) => port).join(", ") || "nowhere";
    const last = b.flows.at(-1)?.text ?? "no flow";
    const hex = Buffer.from(frame).toString("hex");
    const change = ports(a) === ports(b) ? `${what} differs` : `goes to ${ports(b)} instead of ${ports(a)}`;
    const shown = `in_port ${inPort}: ${summarize(frame)}: ${change}, by ${last}`;
    return `${shown} (frame ${hex})${optionFor(difference)}`;
  }
  const [overlap] = ambiguous;
  if (overlap !== undefined) {
    const [one, other] = overlap.flows;
    const shown = `in_port ${overlap.inPort}: ${summarize(overlap.frame)}`;
    return `${shown}: matches two flows of one priority: ${one.text} and ${other.text}`;
  }
  return unknown.length === 0 ? null : `cannot be proved: ${unknown[0]!.feature}`;
}

parentPort?.on("message", ({ id, a, b, maxSeconds, ignored, ports }: Question) => {
  const columns = (bytes: Uint8Array, name: string) => ({
    flows: new FlowColumns(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), name, {
      isPrinted: true,
    }),
  });
  const [desired, installed] = [columns(a, "desired"), columns(b, "installed")];
  // A flow that cannot be read would be left out of the proof.
  const unread = [desired, installed]
    .flatMap(({ flows }) => flows.problems)
    .find(({ level }) => level === "error");
  if (unread !== undefined) {
    const witness = `cannot be proved: ${unread.file}:${unread.line}:${unread.column}: ${unread.message}`;
    parentPort!.postMessage({ id, verdict: "unknown", witness, seconds: 0 } satisfies Verdict);
    return;
  }
  const proof = prove(desired, installed, { maxSeconds, maxDifferences: 1, hasRows: false, ignored, ports });
  const answer: Verdict = { id, verdict: proof.verdict, witness: witnessOf(proof), seconds: proof.seconds };
  parentPort!.postMessage(answer);
});
