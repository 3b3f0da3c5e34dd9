/**
 * Types of interfaces, as `ovs-vsctl list interface` prints them, in JSON (RFC 7047, 5.1: sets and maps are
 * pairs of a word and a list) or as records of lines: which ports there are, by name and number, and which of
 * them are tunnels. The list has the interfaces of all bridges, so that two of them may have one number.
 * `ovs-vsctl show` has names and types of each bridge, and no numbers.
 */

/** Interfaces of a switch. */
export interface Interfaces {
  readonly ports: readonly InterfacePort[];
}

export interface InterfacePort {
  readonly name: string;
  /** Null for an interface that the switch could not open. */
  readonly number: number | null;
  /** Null for a type that is not known here. */
  readonly isTunnel: boolean | null;
}

/** Types of ovs-vswitchd.conf.db(5), "Interface", that put a frame into another packet. */
const TUNNELS: ReadonlySet<string> = new Set([
  "bareudp",
  "erspan",
  "geneve",
  "gre",
  "gtpu",
  "ip6erspan",
  "ip6gre",
  "lisp",
  "srv6",
  "stt",
  "vxlan",
]);
const OTHERS: ReadonlySet<string> = new Set([
  "",
  "afxdp",
  "afxdp-nonpmd",
  "dpdk",
  "dpdkr",
  "dpdkvhostuser",
  "dpdkvhostuserclient",
  "dummy",
  "dummy-internal",
  "internal",
  "patch",
  "system",
  "tap",
]);

const isTunnelType = (type: string): boolean | null =>
  TUNNELS.has(type) ? true : OTHERS.has(type) ? false : null;

/** Whether a text is such a list, and not what `ovs-ofctl show` prints. */
export const isInterfaceList = (text: string): boolean => /^\s*(?:\{|_uuid\s+:)/.test(text);

/** Reads the list; a text says what is wrong with it. */
export function parseInterfaces(text: string): Interfaces | string {
  if (/^\s*_uuid/.test(text)) return parseRecords(text);
  let table: { headings?: unknown; data?: unknown };
  try {
    table = JSON.parse(text);
  } catch {
    return "is not the JSON that ovs-vsctl --format=json list interface prints";
  }
  const { headings, data } = table;
  if (!Array.isArray(headings) || !Array.isArray(data))
    return "has no headings and data, as ovs-vsctl --format=json list interface prints them";
  const [name, number, type] = ["name", "ofport", "type"].map(column => headings.indexOf(column));
  for (const [column, at] of [
    ["name", name],
    ["ofport", number],
    ["type", type],
  ] as const)
    if (at! < 0)
      return `has no column ${column}: ovs-vsctl --format=json --columns=name,ofport,type list interface`;
  const ports: InterfacePort[] = [];
  for (const row of data) {
    if (!Array.isArray(row) || typeof row[name!] !== "string" || typeof row[type!] !== "string")
      return "has a row without a name or type";
    ports.push(portOf(row[name!], row[number!], row[type!]));
  }
  return { ports };
}

function portOf(name: string, ofport: unknown, type: string): InterfacePort {
  const isPort = typeof ofport === "number" && ofport > 0 && ofport < 0x1_0000;
  return { name, number: isPort ? ofport : null, isTunnel: isTunnelType(type) };
}

/** Records of lines `column : value` with an empty line between two of them. */
function parseRecords(text: string): Interfaces | string {
  const ports: InterfacePort[] = [];
  for (const record of text.trim().split(/(?:\r?\n){2,}/)) {
    const values = new Map(
      [...record.matchAll(/^(\w+)\s*: (.*?)\r?$/gm)].map(([, column, value]) => [column!, value!]),
    );
    const [name, ofport, type] = ["name", "ofport", "type"].map(column => values.get(column));
    if (name === undefined || ofport === undefined || type === undefined)
      return "has a record without name, ofport or type";
    ports.push(portOf(unquoted(name), Number(ofport), unquoted(type)));
  }
  return { ports };
}

/** A string of ovs-vsctl, which has quotes where it is not a word. */
const unquoted = (text: string): string => (text.startsWith('"') ? text.slice(1, -1) : text);

/** Which interfaces of a bridge are tunnels, by name, as `ovs-vsctl show` prints them. */
export function interfacesOfShow(text: string, bridge: string): ReadonlyMap<string, boolean> {
  const types = new Map<string, boolean>();
  let name: string | null = null;
  let isOfBridge = false;
  for (const line of text.split(/\r?\n/)) {
    const [, word, value = ""] = /^\s+(Bridge|Interface|type:) (.+)$/.exec(line) ?? [];
    if (word === "Bridge") isOfBridge = unquoted(value) === bridge;
    else if (word === "Interface" && isOfBridge) {
      name = unquoted(value);
      types.set(name, false);
    } else if (word === "type:" && isOfBridge && name !== null) {
      const isTunnel = isTunnelType(unquoted(value));
      if (isTunnel === null) types.delete(name);
      else types.set(name, isTunnel);
    }
  }
  return types;
}

/** What a list of interfaces says of ports, by number: true for tunnels. */
export type PortTypes = ReadonlyMap<number, boolean>;

/**
 * The types in a list, for the interfaces of one bridge. A number that two interfaces have is left out,
 * unless they agree. A list that cannot be read says nothing.
 */
export function typesIn(list: string, isOfBridge: (name: string) => boolean = () => true): PortTypes {
  const interfaces = parseInterfaces(list);
  if (typeof interfaces === "string") return new Map();
  const types = new Map<number, boolean | null>();
  for (const { name, number, isTunnel } of interfaces.ports) {
    if (number === null || !isOfBridge(name)) continue;
    const known = types.get(number);
    types.set(number, known === undefined || known === isTunnel ? isTunnel : null);
  }
  return new Map([...types].flatMap(([number, is]) => (is === null ? [] : [[number, is] as const])));
}
