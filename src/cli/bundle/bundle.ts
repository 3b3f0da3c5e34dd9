/**
 * One bridge of a folder or tarball that a person sends: sos, must-gather, ovs-dbg, antctl, or files kept by
 * hand. Each file is recognized by what it holds; its path tells which bridge of which host it is of. Of
 * several dumps of the same flows the one of the highest OpenFlow version is taken, because it shows most.
 * Two that nothing ranks, and two bridges of which none is chosen, are errors: nothing is guessed. The
 * archive is read twice: first the beginning of each file, then the chosen files, so that only they are in
 * memory.
 */
import { basename, dirname } from "node:path";
import {
  interfacesOfShow,
  type PortTypes,
  type Protocol,
  parsePorts,
  parseTables,
  typesIn,
} from "../../openflow/index.ts";
import { UserError } from "../errors.ts";
import { type Archive, archiveAt, type Limits, type Member } from "./archive.ts";
import { foldedName, hintsOf } from "./file-names.ts";
import { type Kind, kindOf, localPort } from "./kinds.ts";

/** The files of a bridge. */
export interface BundledBridge {
  /** The bundle and the bridge, for reports. */
  readonly name: string;
  /** Chooses the bridge again, as a value of --bridge. */
  readonly label: string;
  readonly flows: { readonly file: string; readonly bytes: Uint8Array };
  /** The version that the name of the file gives; null if it gives none, or the text has its own. */
  readonly version: Protocol | null;
  readonly groups: { readonly file: string; readonly text: string } | null;
  readonly ports: ReadonlyMap<string, number>;
  readonly tables: ReadonlyMap<string, number>;
  readonly types: PortTypes;
  /** Names each file that is used. */
  readonly note: string;
}

/** Bridges that a message lists. */
const SHOWN = 12;

/** A file of a kind. */
interface Found {
  readonly path: string;
  readonly kind: Kind;
  readonly minor: number | null;
  /** The same by the name of the file: the program was given -O. */
  readonly asked: number | null;
  readonly host: string;
  readonly hint: string | null;
  /** Of kinds other than flows and groups. */
  readonly text: string;
}

/** What is known of a bridge of a host. */
interface Candidate {
  readonly host: string;
  readonly bridge: string;
  readonly files: readonly Found[];
  readonly label: string;
}

/** The bridge that `chosen` names in the bundle at a path, null without one. Rejects with UserError. */
export async function bundledBridge(
  path: string,
  chosen: string | undefined,
  option: string,
  limits?: Limits,
): Promise<BundledBridge | null> {
  const archive = await archiveAt(path, limits);
  if (archive === null) return null;
  const found = await filesOf(archive);
  const candidate = chosenOf(path, candidatesOf(path, found), chosen, option);
  return bridgeOf(archive, candidate, found);
}

/** The files that are recognized. */
async function filesOf(archive: Archive): Promise<Found[]> {
  const found: Found[] = [];
  for await (const member of archive.members()) {
    const recognized = kindOf(member.head);
    if (recognized === null) continue;
    const { bridge, host, minor } = hintsOf(member.path.replace(/^(?:\.\/)+/, ""));
    const { kind } = recognized;
    found.push({
      path: member.path,
      kind,
      minor: recognized.minor,
      asked: minor,
      host,
      hint: bridge,
      text: kind === "flows" || kind === "groups" ? "" : await textOf(member),
    });
  }
  return found;
}

const textOf = async (member: Member): Promise<string> => new TextDecoder().decode(await member.read());

// ── Bridges ────────────────────────────────────────────────────────────────────────────────────────────────

const OF_BRIDGES: ReadonlySet<Kind> = new Set(["flows", "groups", "ports", "tables"]);

/** Bridges that have flows. */
function candidatesOf(path: string, found: readonly Found[]): Candidate[] {
  const bridges = [...byHost(found)].flatMap(([host, files]) => bridgesOf(path, host, files));
  const withFlows = bridges.filter(({ files }) => files.some(({ kind }) => kind === "flows"));
  const names = withFlows.map(({ bridge }) => foldedName(bridge));
  const isAlone = (bridge: string): boolean => names.filter(name => name === foldedName(bridge)).length === 1;
  return withFlows.map(one => ({
    ...one,
    label: one.host === "" || isAlone(one.bridge) ? one.bridge : `${one.host}/${one.bridge}`,
  }));
}

function byHost(found: readonly Found[]): Map<string, Found[]> {
  const hosts = new Map<string, Found[]>();
  for (const one of found) hosts.set(one.host, [...(hosts.get(one.host) ?? []), one]);
  return hosts;
}

/** The bridges of a host: by the names of files; without these by the LOCAL port, else by the folder. */
function bridgesOf(path: string, host: string, files: readonly Found[]): Omit<Candidate, "label">[] {
  const own = files.filter(({ kind }) => OF_BRIDGES.has(kind));
  const bridges = new Map<string, { bridge: string; files: Found[] }>();
  const add = (bridge: string, one: Found): void => {
    const key = foldedName(bridge);
    const known = bridges.get(key);
    if (known === undefined) bridges.set(key, { bridge, files: [one] });
    else known.files.push(one);
  };
  const locals = localsOf(own);
  for (const one of own) {
    const local = one.kind === "ports" ? localPort(one.text) : null;
    const bridge = one.hint === null ? local : (locals.get(foldedName(one.hint)) ?? one.hint);
    if (bridge !== null) add(bridge, one);
  }
  const folder = host.split("/").at(-1)!;
  const rest = bridges.size === 1 ? [...bridges.values()][0]!.bridge : folder === "" ? path : folder;
  for (const one of own)
    if (one.hint === null && (one.kind !== "ports" || localPort(one.text) === null)) add(rest, one);
  return [...bridges.values()].map(one => ({ host, ...one }));
}

/** The LOCAL port of each bridge as its files are named, where no two of them have the same. */
function localsOf(files: readonly Found[]): ReadonlyMap<string, string> {
  const locals = new Map<string, string>();
  for (const { kind, hint, text } of files) {
    const local = kind === "ports" && hint !== null ? localPort(text) : null;
    if (local !== null) locals.set(foldedName(hint!), local);
  }
  const isTwice = (local: string): boolean =>
    [...locals.values()].filter(one => foldedName(one) === foldedName(local)).length > 1;
  return new Map([...locals].filter(([, local]) => !isTwice(local)));
}

function chosenOf(
  path: string,
  candidates: readonly Candidate[],
  chosen: string | undefined,
  option: string,
): Candidate {
  if (candidates.length === 0)
    throw new UserError(`${path}: no file in it has flows; expected the output of ovs-ofctl dump-flows`);
  const fits = ({ label, bridge }: Candidate): boolean =>
    chosen === undefined || label === chosen || foldedName(bridge) === foldedName(chosen);
  const fitting = candidates.filter(fits);
  const exact = fitting.filter(({ label }) => label === chosen);
  if (exact.length === 1) return exact[0]!;
  if (fitting.length === 1) return fitting[0]!;
  if (fitting.length === 0)
    throw new UserError(`${path}: has no flows of a bridge "${chosen}"; it has ${listed(candidates)}`);
  throw new UserError(`${path}: has flows of several bridges: ${listed(fitting)}; choose one with ${option}`);
}

function listed(candidates: readonly Candidate[]): string {
  const labels = candidates.map(({ label }) => label).sort();
  const more = labels.length > SHOWN ? ` and ${labels.length - SHOWN} more` : "";
  return `${labels.slice(0, SHOWN).join(", ")}${more}`;
}

// ── Files of a bridge ──────────────────────────────────────────────────────────────────────────────────────

/** A dump of OpenFlow 1.0 shows least; one without a version comes next. */
const rankOf = ({ minor, asked }: Found): number => minor ?? asked ?? 0.5;

/**
 * The one file of a kind: of the highest version, then from the folder with most files of the bridge, then
 * the one of `-O`, as sos has both for an old switch. Throws UserError if that leaves two.
 */
function bestOf(path: string, { files }: Candidate, kind: Kind): Found | null {
  const folderOf = ({ path: file }: Found): string => file.slice(0, file.lastIndexOf("/") + 1);
  const beside = (one: Found): number => files.filter(other => folderOf(other) === folderOf(one)).length;
  const isAsked = ({ asked }: Found): number => (asked === null ? 0 : 1);
  const order = (a: Found, b: Found): number =>
    rankOf(b) - rankOf(a) || beside(b) - beside(a) || isAsked(b) - isAsked(a);
  const [first, second] = files.filter(one => one.kind === kind).sort(order);
  if (first === undefined) return null;
  if (second !== undefined && order(first, second) === 0 && (kind === "flows" || kind === "groups"))
    throw new UserError(
      `${path}: has two files with the ${kind} of the bridge, ${first.path} and ${second.path}; remove one`,
    );
  return first;
}

async function bridgeOf(
  archive: Archive,
  candidate: Candidate,
  found: readonly Found[],
): Promise<BundledBridge> {
  const { path } = archive;
  const best = (kind: Kind): Found | null => bestOf(path, candidate, kind);
  const [flows, groups, ports, tables] = [best("flows")!, best("groups"), best("ports"), best("tables")];
  const ofHost = (kind: Kind): Found | undefined =>
    found.find(one => one.kind === kind && one.host === candidate.host);
  const [list, show] = [ofHost("interfaces"), ofHost("switch")];
  const numbers = ports === null ? new Map<string, number>() : parsePorts(ports.text, ports.path).names;
  const read = await contentsOf(archive, [flows, groups]);
  const used = [flows, groups, ports, tables, list, show].filter(one => one != null);
  return {
    name: `${path} (${candidate.label})`,
    label: candidate.label,
    flows: { file: `${path}/${flows.path}`, bytes: read.get(flows.path)! },
    version: flows.minor === null && flows.asked !== null ? protocolAt(flows.asked) : null,
    groups:
      groups === null
        ? null
        : { file: `${path}/${groups.path}`, text: new TextDecoder().decode(read.get(groups.path)!) },
    ports: numbers,
    tables: tables === null ? new Map() : parseTables(tables.text, tables.path).names,
    types: typesOf(numbers, list?.text, show?.text, candidate.bridge),
    note: `${path}: bridge ${candidate.label}: ${filesText(used)}`,
  };
}

/** `flows A, ports B in FOLDER; interface types C in FOLDER`. */
function filesText(used: readonly Found[]): string {
  const folders = new Map<string, string[]>();
  for (const { kind, path } of used) {
    const folder = dirname(path);
    folders.set(folder, [...(folders.get(folder) ?? []), `${WORDS[kind]} ${basename(path)}`]);
  }
  return [...folders]
    .map(([folder, files]) => `${files.join(", ")}${folder === "." ? "" : ` in ${folder}`}`)
    .join("; ");
}

const WORDS: Readonly<Record<Kind, string>> = {
  flows: "flows",
  groups: "groups",
  ports: "ports",
  tables: "table names",
  interfaces: "interface types",
  switch: "bridges",
};

const protocolAt = (minor: number): Protocol =>
  minor === 0 ? "OpenFlow10" : minor >= 5 ? "OpenFlow15" : "OpenFlow13";

/** The bytes of some files, by their paths. */
async function contentsOf(
  archive: Archive,
  files: readonly (Found | null)[],
): Promise<ReadonlyMap<string, Uint8Array>> {
  const wanted = new Set(files.flatMap(one => one?.path ?? []));
  const read = new Map<string, Uint8Array>();
  for await (const member of archive.members()) {
    if (!wanted.has(member.path) || read.has(member.path)) continue;
    read.set(member.path, await member.read());
    if (read.size === wanted.size) break;
  }
  if (read.size < wanted.size) throw new UserError(`${archive.path}: changed while slash32 read it`);
  return read;
}

/** Which ports are tunnels: by the list of interfaces, else by what `ovs-vsctl show` says of the bridge. */
function typesOf(
  ports: ReadonlyMap<string, number>,
  list: string | undefined,
  show: string | undefined,
  bridge: string,
): PortTypes {
  const shown = show === undefined ? new Map<string, boolean>() : interfacesOfShow(show, bridge);
  if (list !== undefined) return typesIn(list, name => ports.has(name) || shown.has(name));
  return new Map(
    [...shown].flatMap(([name, is]) => (ports.has(name) ? [[ports.get(name)!, is] as const] : [])),
  );
}
