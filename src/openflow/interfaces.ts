/**
 * Types of interfaces, as `ovs-vsctl --format=json list interface` prints them (RFC 7047, 5.1: sets and maps
 * are pairs of a word and a list): which ports there are, by name and number, and which of them are tunnels.
 * The list has the interfaces of all bridges, so that two of them may have one number.
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
export const isInterfaceList = (text: string): boolean => /^\s*\{/.test(text);

/** Reads the list; a text says what is wrong with it. */
export function parseInterfaces(text: string): Interfaces | string {
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
    const ofport: unknown = row[number!];
    const isPort = typeof ofport === "number" && ofport > 0 && ofport < 0x1_0000;
    ports.push({ name: row[name!], number: isPort ? ofport : null, isTunnel: isTunnelType(row[type!]) });
  }
  return { ports };
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
