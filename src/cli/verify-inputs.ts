/**
 * The two sides of verify and diff: an intent, compiled in memory, a dump of flows, or a live bridge that
 * is read. Whatever a side was, from here on it is flows in columns with a name, and knows which part of an
 * intent a flow comes from and which command line traces a frame through it.
 */

import { type LiveBridge, readLiveBridge } from "../host/index.ts";
import type { Intent } from "../intent/index.ts";
import {
  FlowColumns,
  type Group,
  isReplyHeader,
  type PortTypes,
  parsePorts,
  typesIn,
} from "../openflow/index.ts";
import { Flows, flowText } from "../pipeline/index.ts";
import { PortNames } from "../replay/index.ts";
import type { LeftOut } from "../report/index.ts";
import type { BundledBridge } from "./bundle/index.ts";
import { bundledFlows } from "./bundle-input.ts";
import { type Context, say } from "./context.ts";
import { bridgeOf, bytesOf, leaveOut } from "./flows.ts";
import { portWord } from "./names.ts";
import { type loadedIntent, originsOf, shellOf } from "./places.ts";

export interface Side {
  readonly name: string;
  readonly kind: "intent" | "dump" | "bridge";
  readonly flows: FlowColumns;
  readonly groups: readonly Group[];
  readonly ports: PortNames;
  /** Which ports are tunnels, as far as the switch said. */
  readonly types: PortTypes;
  /** Flows that options left out, and those that could not be read. */
  readonly leftOut: readonly LeftOut[];
  readonly unread: number;
  /** False when a bridge changed while it was read. */
  readonly isSteady: boolean;
  /** Null but for intents. */
  readonly intent: Intent | null;
  /**
   * The part of an intent that the flow of a line is for; null for the pipeline's own flows, and for dumps.
   */
  placeOf(line: number): { readonly file: string; readonly line: number } | null;
  /**
   * A shell command that shows a frame's way through this side; `state` is what it brings along, as a
   * match.
   */
  trace(inPort: number, state: string, hex: string, ctNext: readonly string[]): string;
  /** The flows with a push of a tag in place of mod_vlan_vid; null when nothing in them may be one. */
  readPushed(): FlowColumns | null;
}

/** Bytes that a flow of an intent takes as text, roughly: room that is not written to costs nothing. */
const FLOW_BYTES = 320;
const MAX_BYTES = 2 ** 32;

/** The flows of an intent as one text in memory, a flow a line. */
function textOf(flows: Flows): Uint8Array {
  let bytes = Buffer.allocUnsafeSlow(Math.min(MAX_BYTES, (flows.count + 256) * FLOW_BYTES));
  let used = 0;
  for (let index = 0; index < flows.count; index++) {
    const line = flowText(flows.at(index));
    if (used + line.length + 1 > bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.ceil(bytes.length * 1.5));
      bytes.copy(grown, 0, 0, used);
      bytes = grown;
    }
    used += bytes.write(line, used, "latin1");
    bytes[used++] = 10;
  }
  return bytes.subarray(0, used);
}

/** An intent as a side. Line N of its flows is line N of what `slash32 compile` prints. */
export function intentSide(
  context: Context,
  path: string,
  { intent, places }: ReturnType<typeof loadedIntent>,
): Side {
  const name = path === "-" ? "standard input" : path;
  const compiled = new Flows(intent);
  const flows = new FlowColumns(textOf(compiled), name);
  if (flows.errorCount > 0) throw new Error(`assertion: ${flows.problems[0]!.message}`);
  const leftOut = leaveOut(context, flows);
  return {
    name,
    kind: "intent",
    flows,
    groups: [],
    ports: new PortNames(intent),
    types: new Map(),
    leftOut,
    unread: 0,
    isSteady: true,
    intent,
    readPushed: () => null,
    placeOf: originsOf(intent, places, compiled),
    trace(inPort, state, hex, ctNext) {
      const filters = filterWords(context);
      const frame = frameWords(inPort, state, hex, ctNext);
      if (filters.length === 0) return shellOf(["slash32", "trace", "-n", path, ...frame]);
      const words = ["slash32", "trace", "-f", "-", ...filters, ...frame];
      return `${shellOf(["slash32", "compile", path])} | ${shellOf(words)}`;
    },
  };
}

/** Which option names the groups of a side, and what `trace` is told besides the flows. */
export interface DumpOptions {
  /** The intent whose names of ports may stand in the dump, and its path. */
  readonly names: { readonly intent: Intent; readonly path: string } | null;
  readonly groupsOption: string;
}

/** A dump as a side. */
export function dumpSide(context: Context, path: string, options: DumpOptions, read?: Uint8Array): Side {
  const file = path === "-" ? "standard input" : path;
  const told = { intent: options.names?.intent ?? null, groupsOption: options.groupsOption };
  const bridge = bridgeOf(context, file, read ?? bytesOf(path), told);
  const words = [...tracingWords(context, options), ...groupsWords(context, options)];
  return {
    ...sideOf(context, file, "dump", bridge),
    trace: (inPort, state, hex, ctNext) =>
      shellOf([
        "slash32",
        "trace",
        "-f",
        path,
        ...words,
        ...frameWords(portWord(context, inPort), state, hex, ctNext),
      ]),
  };
}

/** The bridge of a bundle as a side. */
export function bundleSide(
  context: Context,
  path: string,
  options: DumpOptions,
  bundled: BundledBridge,
): Side {
  const { groupsOption, names } = options;
  const bridge = bundledFlows(context, bundled, names?.intent ?? null, groupsOption);
  const words = [...tracingWords(context, options), ...groupsWords(context, options)];
  return {
    ...sideOf(context, bundled.name, "dump", bridge),
    types: bundled.types,
    trace: (inPort, state, hex, ctNext) => {
      const frame = frameWords(portWord(context, inPort), state, hex, ctNext);
      return shellOf(["slash32", "trace", "-f", path, "--bridge", bundled.label, ...words, ...frame]);
    },
  };
}

/** Dumps a live bridge. It is read, and nothing else. Throws SwitchError. */
export const liveBridge = (context: Context, name: string): LiveBridge =>
  readLiveBridge(name, { database: context.text("db"), protocols: context.text("protocols") });

/** A live bridge as a side. */
export function bridgeSide(context: Context, name: string, options: DumpOptions, live: LiveBridge): Side {
  const ports = parsePorts(live.ports, `ports of ${name}`).ports;
  const bridge = bridgeOf(context, name, live.flows, {
    intent: options.names?.intent ?? null,
    ports,
    groupsOption: null,
    groups: { text: live.groups, file: `groups of ${name}` },
  });
  if (!live.isSteady)
    say(`${name}: the bridge changed while slash32 read it; the result holds for the last dump`);
  const hasGroups = bridge.options.groups.length > 0;
  const words = [...tracingWords(context, { ...options, names: null })];
  return {
    ...sideOf(context, name, "bridge", bridge),
    types: live.interfaces === null ? new Map() : typesIn(live.interfaces, port => ports.has(port)),
    isSteady: live.isSteady,
    trace(inPort, state, hex, ctNext) {
      const groups = hasGroups ? ` --groups <(${live.commands.groups})` : "";
      const rest = shellOf([...words, ...frameWords(inPort, state, hex, ctNext)]);
      return `${live.commands.flows} | slash32 trace -f -${groups} ${rest}`;
    },
  };
}

function sideOf(
  context: Context,
  name: string,
  kind: Side["kind"],
  bridge: ReturnType<typeof bridgeOf>,
): Omit<Side, "trace"> {
  const { flows, ports, leftOut, options } = bridge;
  const { groups } = options;
  const unread = flows.skipped;
  const nowhere = (): null => null;
  return {
    name,
    kind,
    flows,
    groups,
    ports,
    types: new Map(),
    leftOut,
    unread,
    isSteady: true,
    intent: null,
    placeOf: nowhere,
    readPushed() {
      const pushed = flows.readPushed();
      if (pushed !== null) leaveOut(context, pushed);
      return pushed;
    },
  };
}

const filterWords = (context: Context): string[] =>
  ["ignore-table", "ignore-cookie"].flatMap(name => context.texts(name).flatMap(text => [`--${name}`, text]));

function groupsWords(context: Context, { groupsOption }: DumpOptions): string[] {
  const groups = context.text(groupsOption);
  return groups === undefined ? [] : ["--groups", groups];
}

function tracingWords(context: Context, { names }: DumpOptions): string[] {
  const protocols = context.text("protocols");
  return [
    ...(names === null || names.path === "-" ? [] : ["-n", names.path]),
    ...["ports", "tables"].flatMap(name => {
      const text = context.text(name);
      return text === undefined ? [] : [`--${name}`, text];
    }),
    ...(protocols === undefined ? [] : ["-O", protocols]),
    ...(context.flag("lenient") ? ["--lenient"] : []),
    ...(context.text("ovs") === undefined ? [] : ["--ovs", context.text("ovs")!]),
    ...filterWords(context),
  ];
}

/** How `trace` is told of a frame, and of what it brings along. */
const frameWords = (
  inPort: number | string,
  state: string,
  hex: string,
  ctNext: readonly string[],
): string[] => [
  ...ctNext.flatMap(answer => ["--ct-next", answer]),
  ...(state === "" ? ["-i", String(inPort)] : [`in_port=${inPort},${state}`]),
  hex,
];

const INTENT_NAME = /\.(?:ya?ml|json)$/i;
/** What an intent begins with, and a flow does not. */
const INTENT_TEXT = /^(?:---|\{|["']?[A-Za-z]\w*["']?\s*:(?:\s|$)|[A-Za-z]\w*: )/;
const PEEK_BYTES = 65_536;

/**
 * Whether a file is an intent: by what it holds, and where that does not tell, by its name. `bytes` need
 * only be its beginning.
 */
export function isIntentFile(path: string, bytes: Uint8Array): boolean {
  const lines = new TextDecoder().decode(bytes.subarray(0, PEEK_BYTES)).split("\n");
  const said = lines.map(line => line.trim()).filter(line => line !== "" && !line.startsWith("#"));
  if (said.some(line => isReplyHeader(line) || /\bactions?=/.test(line))) return false;
  if (INTENT_NAME.test(path)) return true;
  return INTENT_TEXT.test(said[0] ?? "");
}
