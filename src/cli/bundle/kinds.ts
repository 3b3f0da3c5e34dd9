/**
 * What a file of a bundle is, by what it holds: its first line that is not a log line of ovs-ofctl. The forms
 * are those that ovs-ofctl(8) and ovs-vsctl(8) print (lib/ofp-print.c, ofp-group.c, ofp-port.c of Open
 * vSwitch). Statistics of ports and groups are other kinds, which nothing here needs, and so is the output of
 * `ovs-appctl bridge/dump-flows`, which has flows of the switch itself, and a comma before `actions=`. A file
 * that holds an error message of a command has no kind.
 */
import { isReplyHeader } from "../../openflow/index.ts";

/** `switch`: the output of `ovs-vsctl show`. */
export type Kind = "flows" | "groups" | "ports" | "tables" | "interfaces" | "switch";

export interface Recognized {
  readonly kind: Kind;
  /** N of OpenFlow 1.N, by the header of the reply; null if there is no header. */
  readonly minor: number | null;
}

/** `OFPST_GROUP_DESC reply (OF1.3) (xid=0x2):`; OpenFlow 1.0 has no version there. */
const REPLY = /^\s*(?:OFPST|OFPT|NXST|NXT)_([A-Z_]+?)(?: reply|_REPLY)(?: \(OF1\.(\d)\))? \(xid=/;

const REPLIES: ReadonlyMap<string, Kind> = new Map([
  ["GROUP_DESC", "groups"],
  ["FEATURES", "ports"],
  ["PORT_DESC", "ports"],
  ["TABLE", "tables"],
  ["TABLE_FEATURES", "tables"],
]);

/** First lines of texts without a header. */
const OTHERS: readonly (readonly [Kind, RegExp])[] = [
  ["groups", /^\s*group_id=\d+,type=/],
  ["flows", /^\s*(?:cookie=|duration=|table=|priority=).*\sactions=/],
  ["ports", /^\s*(?:\d+|LOCAL)\(.+\): addr:/],
  ["tables", /^\s*table \d+(?: \(".*"\))?:/],
  ["interfaces", /^_uuid\s+: [0-9a-f-]{36}$/],
  ["switch", /^[0-9a-f-]{36}$/],
];

const LOG = /^\d{4}-\d\d-\d\dT[\d:.]+Z\|/;

/** The kind of a text, by its beginning; null if it is another text. */
export function kindOf(head: Uint8Array): Recognized | null {
  if (head.includes(0)) return null;
  const lines = new TextDecoder().decode(head).split(/\r?\n/);
  const first = lines.find(line => line.trim() !== "" && !line.startsWith("#") && !LOG.test(line));
  if (first === undefined) return null;
  const [, word, minor = "0"] = REPLY.exec(first) ?? [];
  if (isReplyHeader(first)) return { kind: "flows", minor: Number(minor) };
  const kind = word === undefined ? undefined : REPLIES.get(word);
  if (kind !== undefined) return { kind, minor: Number(minor) };
  const other = OTHERS.find(([, form]) => form.test(first))?.[0];
  if (other === undefined || !isWhole(other, lines)) return null;
  return { kind: other, minor: null };
}

/** `ovs-vsctl list` prints other tables in the form of interfaces, and a UUID alone begins many texts. */
function isWhole(kind: Kind, lines: readonly string[]): boolean {
  if (kind === "interfaces") return lines.some(line => /^ofport\s+: /.test(line));
  return kind !== "switch" || lines.some(line => /^ {4}Bridge /.test(line));
}

/** The bridge that a list of ports is of: the name of its LOCAL port. */
export const localPort = (text: string): string | null => /^ LOCAL\((.+)\): addr:/m.exec(text)?.[1] ?? null;
