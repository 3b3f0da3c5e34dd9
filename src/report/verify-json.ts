/** The JSON of verify, diff and watch: the object of docs/verify.md, complete, in pieces. */
import { outputObject, packetInObject } from "./ends.ts";
import { jsonPieces } from "./json-pieces.ts";
import {
  rowsOf,
  type VerifyAmbiguity,
  type VerifyBehaviour,
  type VerifyDifference,
  type VerifyPlace,
  type VerifyReport,
  type VerifyRow,
  type VerifyRows,
  type VerifySide,
  type VerifyStep,
} from "./verify.ts";

export const placeObject = ({ file, line, text, compiledLine, origin }: VerifyPlace): object => ({
  file,
  line,
  text,
  ...(compiledLine === null ? {} : { compiled_line: compiledLine }),
  ...(origin === null ? {} : { intent: { file: origin.file, line: origin.line } }),
});

const stepObject = (step: VerifyStep): object => ({
  ...placeObject(step),
  ...(step.clauses === undefined ? {} : { clauses: step.clauses.map(placeObject) }),
});

const behaviourObject = ({ outputs, packetIns, others, errors, flows }: VerifyBehaviour): object => ({
  outputs: outputs.map(outputObject),
  packet_ins: packetIns.map(packetInObject),
  ...(others.length === 0 ? {} : { effects: others }),
  ...(errors.length === 0 ? {} : { errors }),
  flows: flows.map(stepObject),
});

const frameObject = ({
  inPort,
  inPortName,
  state,
  tracker,
  hex,
}: Pick<VerifyDifference, "inPort" | "inPortName" | "state" | "tracker" | "hex">): object => ({
  in_port: inPort,
  ...(inPortName === null ? {} : { in_port_name: inPortName }),
  ...(state === "" ? {} : { state }),
  ...(tracker.length === 0 ? {} : { tracker }),
  frame: hex,
});

const rowObject = ({ a, b, missing }: VerifyRow): object => ({
  a: a === null ? null : placeObject(a),
  b: b === null ? null : placeObject(b),
  ...(missing === null ? {} : { missing }),
});

function* rowObjects(rows: VerifyRows): Generator<object> {
  for (const row of rowsOf(rows)) yield rowObject(row);
}

const differenceObject = (difference: VerifyDifference): object => ({
  ...frameObject(difference),
  what: difference.what,
  a: behaviourObject(difference.a),
  b: behaviourObject(difference.b),
  affected: difference.affected,
  ...(difference.rows.openCount === 0 ? {} : { rows_open: difference.rows.openCount }),
  rows: rowObjects(difference.rows),
  replay: difference.replay,
});

const ambiguityObject = (ambiguity: VerifyAmbiguity): object => ({
  ...frameObject(ambiguity),
  side: ambiguity.side,
  flows: ambiguity.flows.map(stepObject),
  replay: ambiguity.replay,
});

const sideObject = ({ name, kind, leftOut, unread, isSteady }: VerifySide): object => ({
  name,
  kind,
  ...(leftOut.length === 0 ? {} : { left_out: leftOut.reduce((sum, { flows }) => sum + flows, 0) }),
  ...(unread === 0 ? {} : { unread }),
  ...(kind === "bridge" ? { steady: isSteady } : {}),
});

function* cookiePairs(cookies: NonNullable<VerifyReport["cookies"]>): Generator<object> {
  for (let index = 0; index < cookies.count; index++) {
    const { a, b } = cookies.at(index);
    yield { a: placeObject(a), b: placeObject(b) };
  }
}

function reportObject(report: VerifyReport): object {
  const { type, verdict, classes, packets, seconds, a, b, cookies, compared } = report;
  return {
    type,
    schema: 1,
    ...(report.at === undefined ? {} : { at: report.at }),
    verdict,
    classes,
    packets,
    flows: { a: a.flows, b: b.flows },
    seconds: Number(seconds.toFixed(6)),
    compared: {
      included: compared.included,
      left_out: compared.leftOut,
      ...(compared.readAs.length === 0 ? {} : { read_as: compared.readAs }),
      ...(compared.extent === null ? {} : { extent: compared.extent }),
      ...(compared.symbols === null ? {} : { symbols: compared.symbols }),
    },
    complete: report.isComplete,
    differences: report.differences.map(differenceObject),
    unknown: report.unknown,
    ambiguous: report.ambiguous.map(ambiguityObject),
    ...(cookies === null
      ? {}
      : {
          cookies: {
            count: cookies.count,
            pairs: cookiePairs(cookies),
          },
        }),
    sides: { a: sideObject(a), b: sideObject(b) },
  };
}

/** The JSON object of docs' contract on one line, in pieces. */
export function* verifyJson(report: VerifyReport): Generator<string> {
  yield* jsonPieces(reportObject(report));
  yield "\n";
}

/** A line each for what was found, and the whole object last, in pieces. */
export function* verifyNdjson(report: VerifyReport): Generator<string> {
  const lines = [
    ...report.differences.map(one => ({ type: "difference", schema: 1, ...differenceObject(one) })),
    ...report.ambiguous.map(one => ({ type: "ambiguous", schema: 1, ...ambiguityObject(one) })),
    ...report.unknown.map(one => ({ type: "unknown", schema: 1, ...one })),
  ];
  for (const line of lines) {
    yield* jsonPieces(line);
    yield "\n";
  }
  yield* verifyJson(report);
}
