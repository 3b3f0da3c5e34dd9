/**
 * Findings as SARIF 2.1.0 (OASIS), for GitHub's code scanning and similar tools: one run, one result a
 * finding, the paths of a frame as code flows. A run without findings has an empty list of results, which
 * closes earlier alerts.
 */
import {
  type Finding,
  type Findings,
  type Location,
  type Related,
  RULES,
  type Rule,
  uniqueNames,
} from "./finding.ts";
import { jsonPieces } from "./json-pieces.ts";

const SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json";
const ALL_RULES = Object.keys(RULES) as Rule[];

export function* sarif(run: Findings): Generator<string> {
  const rules = ALL_RULES.map(id => ({
    id,
    shortDescription: { text: `${RULES[id]}.` },
    defaultConfiguration: { level: id === "unknown" ? "warning" : "error" },
  }));
  const driver = { name: "slash32", semanticVersion: run.version, rules };
  const names = uniqueNames(run.findings);
  const results = run.findings.map((finding, index) => resultOf(finding, names[index]!));
  const invocation = { executionSuccessful: true, exitCodeDescription: run.headline };
  const log = {
    $schema: SCHEMA,
    version: "2.1.0",
    runs: [
      {
        tool: { driver },
        automationDetails: { id: `slash32/${run.command}/` },
        invocations: [invocation],
        columnKind: "utf16CodeUnits",
        results,
      },
    ],
  };
  yield* jsonPieces(log, 2);
  yield "\n";
}

function resultOf(finding: Finding, name: string): object {
  const { rule, level, title, details, place, ways } = finding;
  return {
    ruleId: rule,
    ruleIndex: ALL_RULES.indexOf(rule),
    level,
    message: { text: [title, ...details].join("\n") },
    locations: [{ physicalLocation: physical(place) }],
    relatedLocations: relatedOf(finding),
    ...(ways.some(({ steps }) => steps.length > 0) ? { codeFlows: [codeFlow(finding)] } : {}),
    partialFingerprints: { "slash32/v1": fnv1a(`${rule}\n${firstWording(name)}`) },
  };
}

/** How names begin, and how they began when `slash32/v1` was defined. */
const FIRST_WORDINGS = [
  ["b has an output that a lacks", "b puts out what a does not"],
  ["b lacks an output that a has", "b does not put out what a does"],
  [
    "two flows of equal priority match this frame and their actions differ",
    "two flows of one priority match this frame and do different things",
  ],
  [
    "the order of conjunction flows decides which of two flows this frame matches, and their actions differ",
    [
      "the order of conjunction flows decides which of two flows this frame finds,",
      "and they do different things",
    ].join(" "),
  ],
] as const;

/**
 * The name whose hash is the fingerprint. One that changed with the wording would close every open alert
 * and raise it again.
 */
function firstWording(name: string): string {
  const reworded = FIRST_WORDINGS.find(([now]) => name.startsWith(now));
  const text = reworded === undefined ? name : reworded[1] + name.slice(reworded[0].length);
  return text.replace(/ if (ports? .* (?:is a tunnel|are tunnels))(?= \(|$)/, ", if $1");
}

/** Every place once. */
function* relatedOf({ related, rowPlaces }: Finding): Generator<object> {
  let id = 0;
  const of = (location: Related): object => ({
    id: id++,
    physicalLocation: physical(location),
    message: { text: location.message },
  });
  for (const location of related) yield of(location);
  for (const location of rowPlaces()) yield of(location);
}

function codeFlow({ ways }: Finding): object {
  return {
    threadFlows: ways
      .filter(({ steps }) => steps.length > 0)
      .map(({ title, steps, end }, id) => ({
        id: String(id),
        message: { text: end === "" ? title : `${title}: ${end}` },
        locations: steps.map(step => ({
          location: { physicalLocation: physical(step), message: { text: step.text } },
        })),
      })),
  };
}

const physical = ({ file, line }: Location): object => ({
  artifactLocation: { uri: uriOf(file) },
  region: { startLine: Math.max(1, line) },
});

/** A path as a URI reference: relative ones stay relative, to the folder that the program ran in. */
function uriOf(file: string): string {
  const path = file.split("/").map(encodeURIComponent).join("/");
  return path.startsWith("/") ? `file://${path}` : path;
}

/** A 64-bit hash (FNV-1a) in hex: the same everywhere, of no cryptographic worth. */
function fnv1a(text: string): string {
  let hash = 0xcbf29ce484222325n;
  for (const byte of new TextEncoder().encode(text))
    hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & 0xffffffffffffffffn;
  return hash.toString(16).padStart(16, "0");
}
