/**
 * `slash32 verify` and `slash32 diff`: whether two sets of flows do the same with every frame. Loads the
 * sides, has them judged, and writes the answer where it is wanted; the exit code says it too.
 */
import { appendFileSync } from "node:fs";
import { isAbsolute, relative, resolve } from "node:path";
import packageJson from "../../package.json" with { type: "json" };
import { ioMessage, pcapngHeader, pcapngPacket, Sink } from "../capture/index.ts";
import {
  type Finding,
  type Findings,
  githubAnnotations,
  html,
  junit,
  markdown,
  placeText,
  sarif,
  type VerifyBehaviour,
  type VerifyReport,
  verifyFindings,
  verifyJson,
  verifyNdjson,
  verifyText,
  visible,
} from "../report/index.ts";
import type { ProofOptions } from "../verify/index.ts";
import type { BundledBridge } from "./bundle/index.ts";
import { bundleAt, refuseBridge } from "./bundle-input.ts";
import { type Context, print, printPieces, say, sayText, writePieces } from "./context.ts";
import { ClosedPipe, UsageError, UserError } from "./errors.ts";
import { bytesOf, ovsGiven } from "./flows.ts";
import { ignoredGiven } from "./ignore.ts";
import { offerNames, portClash, symbolsOf } from "./names.ts";
import { loadedIntent } from "./places.ts";
import { portKinds } from "./port-kinds.ts";
import { REPORT_ENDINGS, type ReportEnding } from "./proof-outputs.ts";
import {
  bridgeSide,
  bundleSide,
  type DumpOptions,
  dumpSide,
  intentSide,
  isIntentFile,
  liveBridge,
  type Side,
} from "./verify-inputs.ts";
import { type Judgement, judge } from "./verify-report.ts";

const EXIT_CODES = { equal: 0, different: 2, ambiguous: 2, unknown: 1 } as const;

export async function verify(context: Context): Promise<number> {
  const [intent, flows, bridge] = [context.text("intent")!, context.text("flows"), context.text("bridge")];
  const options = optionsOf(context);
  const bundled = flows === undefined ? null : await bundleAt(context, flows);
  if (bundled !== null) offerNames(context, [bundled]);
  else if (flows !== undefined) refuseBridge(context, flows, "; give -f FLOWS or --bridge BRIDGE");
  const loaded = loadedIntent(context, intent);
  const dump = { names: { intent: loaded.intent, path: intent }, groupsOption: "groups" };
  const b =
    flows === undefined
      ? bridgeSide(context, bridge!, dump, liveBridge(context, bridge!))
      : installedSide(context, { path: flows, bundled, bytes: undefined }, dump);
  return judged(context, options, "verify", intentSide(context, intent, loaded), b);
}

/** A file of flows, or a bundle that has them. */
interface Installed {
  readonly path: string;
  readonly bundled: BundledBridge | null;
  /** Of a file, if it was read. */
  readonly bytes: Uint8Array | undefined;
}

function installedSide(context: Context, { path, bundled, bytes }: Installed, options: DumpOptions): Side {
  if (bundled === null) return dumpSide(context, path, options, bytes);
  return bundleSide(context, path, options, bundled);
}

/** The name of an option of one side: `bridge-a`, unless the option of both is given. */
const optionFor = (context: Context, name: string, index: number): string =>
  context.isGiven(name) ? name : `${name}-${index === 0 ? "a" : "b"}`;

interface DiffInput extends Installed {
  readonly loaded: ReturnType<typeof loadedIntent> | null;
}

async function inputAt(context: Context, path: string, index: number): Promise<DiffInput> {
  return readInput(context, path, await bundleAt(context, path, optionFor(context, "bridge", index)));
}

/** Reads a file of flows or an intent, unless it is a bundle, which was read. */
export function readInput(context: Context, path: string, bundled: BundledBridge | null): DiffInput {
  if (bundled !== null) return { path, bundled, bytes: undefined, loaded: null };
  const bytes = bytesOf(path);
  return {
    path,
    bundled,
    bytes,
    loaded: isIntentFile(path, bytes) ? loadedIntent(context, path, bytes) : null,
  };
}

/** An input as a side: flows or an intent. */
export function inputSide(context: Context, input: DiffInput, options: DumpOptions): Side {
  if (input.loaded !== null) return intentSide(context, input.path, input.loaded);
  return installedSide(context, input, options);
}

export async function diff(context: Context): Promise<number> {
  const paths = context.positionals;
  const options = optionsOf(context);
  const read: DiffInput[] = [];
  for (const [index, path] of paths.entries()) read.push(await inputAt(context, path, index));
  const bundles = read.flatMap(({ bundled }) => bundled ?? []);
  if (bundles.length === 0 && ["bridge", "bridge-a", "bridge-b"].some(name => context.isGiven(name)))
    throw new UsageError("--bridge chooses a bridge of a folder or tarball, and neither A nor B is one");
  offerNames(context, bundles);
  const given = context.text("intent");
  const intent = read.find(({ loaded }) => loaded !== null);
  const names =
    given !== undefined
      ? { intent: context.intent(), path: given }
      : intent === undefined
        ? null
        : { intent: intent.loaded!.intent, path: intent.path };
  const [a, b] = read.map((input, index) =>
    inputSide(context, input, { names, groupsOption: optionFor(context, "groups", index) }),
  ) as [Side, Side];
  if (!context.isQuiet) say(`${a.name} is ${KINDS[a.kind]}, ${b.name} ${KINDS[b.kind]}`);
  return judged(context, options, "diff", a, b);
}

/** Judges two sides and writes the answer where it is wanted; gives the exit status. */
function judged(context: Context, options: Options, type: "verify" | "diff", a: Side, b: Side): number {
  return answer(context, options, judgementOf(context, options, type, a, b));
}

export function judgementOf(
  context: Context,
  options: Options,
  type: VerifyReport["type"],
  a: Side,
  b: Side,
): Judgement {
  const clash = portClash(context, [a, b]);
  const symbols = symbolsOf(context);
  const ports = portKinds(context, [a, b]);
  return judge(type, a, b, { ...options.judge, ports, clash, symbols });
}

const KINDS = { intent: "an intent", dump: "a dump of flows", bridge: "a bridge" } as const;

// ── Options ────────────────────────────────────────────────────────────────────────────────────────────────

export interface Options {
  readonly judge: Omit<Parameters<typeof judge>[3], "clash" | "symbols">;
  readonly reports: readonly { readonly file: string; readonly write: Writer }[];
  readonly witness: string | undefined;
}

type Writer = (report: VerifyReport, findings: Findings) => Iterable<string>;

const WRITERS: Readonly<Record<ReportEnding, Writer>> = {
  ".json": verifyJson,
  ".ndjson": verifyNdjson,
  ".xml": (_, findings) => junit(findings),
  ".sarif": (_, findings) => sarif(findings),
  ".md": (_, findings) => markdown(findings),
  ".html": (_, findings) => html(findings),
};

/** The values of all options, before anything long begins. Throws UsageError. */
export function optionsOf(context: Context): Options {
  const reports = context.texts("report").map(file => {
    const ending = REPORT_ENDINGS.find(one => file.endsWith(one))!;
    return { file, write: WRITERS[ending] };
  });
  const ignored = ignoredGiven(context);
  const isStrictAboutCookies = context.flag("strict-cookies");
  const isOf10Enough = context.flag("of10");
  const ovs = ovsGiven(context);
  return {
    judge: { ...budgetOf(context), ...limitOf(context), ignored, isStrictAboutCookies, isOf10Enough, ovs },
    reports,
    witness: context.text("witness"),
  };
}

/** `60s`, `1000000`, or both: `60s,1000000`. */
function budgetOf(context: Context): Pick<ProofOptions, "maxSeconds" | "maxClasses"> {
  const text = context.text("budget");
  if (text === undefined) return {};
  const budget: { maxSeconds?: number; maxClasses?: number } = {};
  for (const part of text.split(",")) {
    const [, digits, unit] = /^(\d{1,9}(?:\.\d+)?)(s?)$/.exec(part) ?? [];
    const number = Number(digits);
    if (!(number > 0) || (unit === "" && !Number.isInteger(number)))
      throw new UsageError(`--budget: "${part}" is not a valid time or number; expected 60s or 1000000`);
    if (unit === "s") budget.maxSeconds = number;
    else budget.maxClasses = number;
  }
  return budget;
}

function limitOf(context: Context): Pick<ProofOptions, "maxDifferences"> {
  const text = context.text("max-differences");
  if (text === undefined) return {};
  if (text === "all") return { maxDifferences: Number.POSITIVE_INFINITY };
  const number = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (number < 1)
    throw new UsageError(`--max-differences: "${text}" is not valid; expected a number of 1 or more, or all`);
  return { maxDifferences: number };
}

// ── Answer ─────────────────────────────────────────────────────────────────────────────────────────────────

export function answer(context: Context, { reports, witness }: Options, judgement: Judgement): number {
  const { report } = judgement;
  const findings = inRepository(verifyFindings(report, packageJson.version));
  inTurn([
    () => show(context, report, witness),
    () => tellGithub(findings),
    ...reports.map(
      ({ file, write }) =>
        () =>
          writePieces(file, write(report, findings)),
    ),
    () => {
      if (witness !== undefined) writeWitness(witness, judgement);
    },
  ]);
  return EXIT_CODES[report.verdict];
}

/** A reader that has had enough, as `head`, changes nothing about the answer. */
function show(context: Context, report: VerifyReport, witness: string | undefined): void {
  try {
    if (context.format === "json") printPieces(verifyJson(report));
    else if (context.format === "ndjson") printPieces(verifyNdjson(report));
    else if (context.isQuiet) return;
    else if (witness === "-") sayText(verifyText(report, context.palette(2)));
    else print(verifyText(report, context.palette(1)));
  } catch (error) {
    if (!(error instanceof ClosedPipe)) throw error;
  }
}

/**
 * Does all of it, and throws what the first that failed threw: one folder that is missing costs no other
 * report.
 */
function inTurn(parts: readonly (() => void)[]): void {
  const failures: unknown[] = [];
  for (const part of parts) {
    try {
      part();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}

/** Annotations go to standard error, which runners read as well: standard output is data. */
function tellGithub(findings: Findings): void {
  const { GITHUB_ACTIONS, GITHUB_STEP_SUMMARY } = process.env;
  if (GITHUB_ACTIONS !== "true") return;
  for (const line of githubAnnotations(findings)) say(line);
  if (GITHUB_STEP_SUMMARY === undefined || GITHUB_STEP_SUMMARY === "") return;
  try {
    appendFileSync(GITHUB_STEP_SUMMARY, visible([...markdown(findings)].join("")));
  } catch (error) {
    throw new UserError(`${GITHUB_STEP_SUMMARY}: ${ioMessage(error)}`);
  }
}

/** Reports name files as the repository does: relative to its folder, or to this one. */
function inRepository(findings: Findings): Findings {
  const root = process.env.GITHUB_WORKSPACE ?? process.env.CI_PROJECT_DIR ?? process.cwd();
  const placed = <T extends { readonly file: string }>(location: T): T => {
    const path = relative(root, resolve(location.file));
    return path.startsWith("..") || isAbsolute(path) ? location : { ...location, file: path };
  };
  const moved = (finding: Finding): Finding => ({
    ...finding,
    place: placed(finding.place),
    related: finding.related.map(placed),
    *rowPlaces() {
      for (const place of finding.rowPlaces()) yield placed(place);
    },
    ways: finding.ways.map(way => ({ ...way, steps: way.steps.map(placed) })),
  });
  return { ...findings, findings: findings.findings.map(moved) };
}

// ── Witnesses ──────────────────────────────────────────────────────────────────────────────────────────────

/** The frames of differences and ambiguities as pcapng: the interface is the port they come in by. */
function writeWitness(path: string, { report, proof }: Judgement): void {
  const frames = [
    ...report.differences.map((told, index) => ({
      ...told,
      frame: proof.differences[index]!.frame,
      comment: [told.what, comment("a", report.a.name, told.a), comment("b", report.b.name, told.b)].join(
        "\n",
      ),
    })),
    ...report.ambiguous.map((told, index) => ({
      ...told,
      frame: proof.ambiguous[index]!.frame,
      comment: [`ambiguous in ${report[told.side].name}`, ...told.flows.map(lineOf)].join("\n"),
    })),
  ];
  const ports = new Map(frames.map(({ inPort, inPortName }) => [inPort, inPortName ?? String(inPort)]));
  const order = [...ports.keys()].sort((a, b) => a - b);
  const sink = new Sink(path);
  try {
    sink.write(
      pcapngHeader(
        order.map(port => ports.get(port)!),
        6,
      ),
    );
    for (const { inPort, frame, comment } of frames)
      sink.write(pcapngPacket(order.indexOf(inPort), 0n, frame, comment));
    sink.finish();
  } finally {
    sink.abandon();
  }
}

const lineOf = (place: VerifyBehaviour["flows"][number]): string => `  ${placeText(place)}: ${place.text}`;

function comment(
  letter: string,
  name: string,
  { outputs, packetIns, errors, flows }: VerifyBehaviour,
): string {
  const ends = outputs.map(({ port, portName, hex }) => `out ${portName ?? port}: ${hex}`);
  ends.push(...packetIns.map(({ reason }) => `packet-in ${reason}`));
  if (ends.length === 0) ends.push("drop");
  ends.push(...errors.map(error => `outcome discarded: ${error}`));
  return [`${letter}, ${name}: ${ends.join("; ")}`, ...flows.map(lineOf)].join("\n");
}
