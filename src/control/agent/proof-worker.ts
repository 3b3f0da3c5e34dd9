/**
 * The thread in which plans and tables are proved, so that a proof of seconds holds up no change. Takes two tables as
 * flow text, answers with the verdict and the first thing that shows a difference, in one line.
 */
import { parentPort } from "node:worker_threads";
import { FlowColumns } from "../../openflow/index.ts";
import { type Proof, prove } from "../../verify/index.ts";
import { summarize } from "../../wire/index.ts";

/** Two tables to compare; `b` is what is judged. */
export interface Question {
  readonly id: number;
  /** Flow text, as ovs-ofctl prints or takes it. */
  readonly a: Uint8Array<ArrayBuffer>;
  readonly b: Uint8Array<ArrayBuffer>;
  readonly maxSeconds: number;
}

export interface Verdict {
  readonly id: number;
  readonly verdict: Proof["verdict"];
  /** A frame and what becomes of it on either side, or what is unknown; null when equal. */
  readonly witness: string | null;
  readonly seconds: number;
}

function witnessOf({ differences, ambiguous, unknown }: Proof): string | null {
  const [difference] = differences;
  if (difference !== undefined) {
    const { inPort, frame, a, b } = difference;
    const ports = (side: typeof a): string => side.outputs.map(({ port }) => port).join(", ") || "nowhere";
    const last = b.flows.at(-1)?.text ?? "no flow";
    const hex = Buffer.from(frame).toString("hex");
    return `in_port ${inPort}: ${summarize(frame)}: goes to ${ports(b)} instead of ${ports(a)}, by ${last} (frame ${hex})`;
  }
  const [overlap] = ambiguous;
  if (overlap !== undefined) {
    const [one, other] = overlap.flows;
    return `in_port ${overlap.inPort}: ${summarize(overlap.frame)}: meets two flows of one priority: ${one.text} and ${other.text}`;
  }
  return unknown.length === 0 ? null : `cannot be proved: ${unknown[0]!.feature}`;
}

parentPort?.on("message", ({ id, a, b, maxSeconds }: Question) => {
  const columns = (bytes: Uint8Array, name: string) => ({
    flows: new FlowColumns(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), name, {
      isPrinted: true,
    }),
  });
  const [wanted, installed] = [columns(a, "wanted"), columns(b, "installed")];
  // A flow that cannot be read would be left out of the proof.
  const unread = [wanted, installed]
    .flatMap(({ flows }) => flows.problems)
    .find(({ level }) => level === "error");
  if (unread !== undefined) {
    const witness = `cannot be proved: ${unread.file}:${unread.line}:${unread.column}: ${unread.message}`;
    parentPort!.postMessage({ id, verdict: "unknown", witness, seconds: 0 } satisfies Verdict);
    return;
  }
  const proof = prove(wanted, installed, { maxSeconds, maxDifferences: 1, hasRows: false });
  const answer: Verdict = { id, verdict: proof.verdict, witness: witnessOf(proof), seconds: proof.seconds };
  parentPort!.postMessage(answer);
});
