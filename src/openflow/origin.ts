/**
 * Where a text of flows comes from. What a switch printed has a reply header, statistics, or a blank in front
 * of each flow; it was installed, so that the checks of add-flow do not apply, and the OpenFlow version it
 * was printed in says what it cannot show. Anything else is a file for add-flows, which says nothing of its
 * version. Lines of ovs-ofctl that are no flows are known here, too: logs, errors, and the bytes of replies
 * that it could not decode.
 */

import { clip } from "./lexer.ts";
import { saidIn } from "./lines.ts";
import type { Protocol } from "./parse-context.ts";

/** What is known of a text of flows. */
export interface Origin {
  /** A switch printed it; else it is a file for add-flows. */
  readonly isPrinted: boolean;
  /** The version of its header, or of words that only this version prints; null when nothing tells. */
  readonly version: Protocol | null;
  /** The line that tells the version, from 1 on; 0 without one. */
  readonly line: number;
}

const HEADER =
  /^\s*(?:NXST|OFPST)_FLOW reply(?: \(OF1\.(\d)\))? \(xid=0x[0-9a-f]+\):(?: flags=\[more\])?\s*$/;

/** True for a line that begins the reply of a switch. It may stand in front of any flow. */
export const isReplyHeader = (line: string): boolean => HEADER.test(line);

/** The version of a reply header; null for another line. OpenFlow 1.0 has no version there. */
export function versionOfHeader(line: string): Protocol | null {
  const found = HEADER.exec(line);
  if (found === null) return null;
  if (found[1] === undefined || found[1] === "0") return "OpenFlow10";
  return Number(found[1]) >= 5 ? "OpenFlow15" : "OpenFlow13";
}

/**
 * `OpenFlow15,OpenFlow13`, as -O has it, as the version that flows are sent in: the highest. Null when there
 * is none.
 */
export function protocolOf(list: string): Protocol | null {
  const versions = list
    .split(",")
    .map(one => /^(?:OpenFlow|OXM-OpenFlow)1([0-6])$|^(NXM(?:\+table_id)?)$/i.exec(one.trim()));
  if (versions.includes(null)) return null;
  const highest = Math.max(...versions.map(found => Number(found![1] ?? 0)));
  return highest === 0 ? "OpenFlow10" : highest >= 5 ? "OpenFlow15" : "OpenFlow13";
}

const STATISTICS = /\b(?:duration|n_packets|n_bytes)=/;

/**
 * Whether a line with a flow was printed by a switch: it has statistics, or the blank that ovs-ofctl prints
 * first.
 */
const isPrintedFlow = (line: string): boolean =>
  /^ \S/.test(line) || STATISTICS.test(line.split("actions=")[0]!);

/**
 * Actions that only OpenFlow 1.0 prints. `ovs-appctl bridge/dump-flows`, which joins match and actions by a
 * comma, prints them, too, and hides nothing.
 */
const ONLY_10 = new RegExp(
  String.raw`(?:^|\s)actions=.*?\b(?:strip_vlan\b|enqueue:|` +
    "mod_(?:vlan_(?:vid|pcp)|dl_(?:src|dst)|nw_(?:src|dst|tos)|tp_(?:src|dst)):)",
);

export const isSpelledIn10 = (line: string): boolean => ONLY_10.test(line);

/** Actions that OpenFlow 1.0 never prints. */
const NEVER_10 = new RegExp(
  String.raw`(?:^|\s)actions=.*?(?:\b(?:push_vlan|goto_table|meter):|` +
    String.raw`\bpop_vlan\b|\bclear_actions\b|\bwrite_actions\(|->(?:eth|ip|vlan)_\w)`,
);

export const isSpelledLater = (line: string): boolean => NEVER_10.test(line);

/**
 * Fields of a match that Open vSwitch prints without their masks: it may be another match than the one that
 * is read.
 */
const UNPRINTED = /\b(?:tun_gbp_flags|tun_erspan_\w+|gtpu_\w+)=/;

export const hasUnprintedMask = (line: string): boolean => UNPRINTED.test(line.split("actions=")[0]!);

const LOG = /^\d{4}-\d\d-\d\dT[\d:.]+Z\|\d+\|[^|]*\|(INFO|DBG|WARN|ERR|EMER)\|(.*)$/;
const HEX_DUMP = /^[0-9a-f]{8} {2}(?:[0-9a-f]{2}[ -]| {3}){1,16}/;
const DECODE_ERROR = /\*\*\*\s*decode error: ([^*]+?)\s*\*\*\*/;
const NOT_WHOLE =
  /bad action|bad instruction|parse error|decod|unknown OpenFlow|instruction ordering|malformed|truncated/;

/**
 * A line of ovs-ofctl that is no flow. `reason`: why the dump is not whole; null when the line does not
 * matter.
 */
export function messageOf(line: string): { readonly reason: string | null } | null {
  const broken = DECODE_ERROR.exec(line);
  if (broken !== null) return { reason: `a reply of the switch could not be decoded (${clip(broken[1]!)})` };
  const log = LOG.exec(line);
  if (log !== null) {
    const matters = log[1] === "ERR" || log[1] === "EMER" || (log[1] === "WARN" && NOT_WHOLE.test(log[2]!));
    return { reason: matters ? `ovs-ofctl logged "${clip(log[2]!)}"` : null };
  }
  if (/^ovs-(?:ofctl|appctl|vswitchd): /.test(line)) return { reason: `it ends with "${clip(line)}"` };
  if (/\b(?:OFPT_ERROR|NXT_ERROR)\b/.test(line))
    return { reason: `the switch answered "${clip(line.trim())}"` };
  return HEX_DUMP.test(line) ? { reason: "it has the bytes of a message in place of flows" } : null;
}

/** What a text's first line with a flow or a header tells. `lines` may end early. */
export function isPrintedText(lines: Iterable<string>): boolean {
  for (const raw of lines) {
    const line = saidIn(raw);
    if (line === null || messageOf(line) !== null) continue;
    return isReplyHeader(line) || isPrintedFlow(line);
  }
  return false;
}
