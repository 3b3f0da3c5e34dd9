/**
 * Setting a field (ovs-actions(7), "Header Field Modification Actions"): set_field, load, and the actions of
 * older OpenFlow versions that set one field, `mod_dl_dst` and its kind. All of them are one action with a
 * spelling, as a switch prints another spelling in another OpenFlow version.
 */
import type { Consistency, Demand } from "../action-checks.ts";
import { type ActionParser, type ActionReading, arrow, type Nesting, number } from "../arguments.ts";
import type { Action, SetSpelling, Span } from "../ast.ts";
import { FIELD_NAMES, type Field, fieldNamed, plainField } from "../fields.ts";
import { KEY } from "../flow-key.ts";
import { clip, Fault, nearest, type Pair, type Token } from "../lexer.ts";
import type { Reading } from "../parse-context.ts";
import { PROTOCOL } from "../parse-match.ts";
import type { Printing } from "../print-options.ts";
import { formatSubfield, parseSubfield } from "../subfield.ts";
import {
  bytesOf,
  formatDotted,
  formatHex,
  formatMacValue,
  formatValue,
  ones,
  readDotted,
  readInteger,
  readMac,
  readPrintedValue,
  readValue,
} from "../values.ts";
import {
  type ActionEntry,
  type ActionOf,
  ALL_VERSIONS,
  align8,
  type ByteBounds,
  type CanonicalSet,
  type Spelling,
} from "./entry.ts";

type SetAction = ActionOf<"set">;

function setOf(
  pair: Pair,
  spelling: SetSpelling,
  field: Field,
  value: bigint,
  mask = field.valid,
): SetAction {
  return { type: "set", span: pair.span, spelling, field, value, mask };
}

/** A spelling that sets one field as a whole. */
interface Setter extends Spelling<SetAction> {
  readonly format: (action: SetAction) => string;
}

const PRESENT = 0x1000n;

/**
 * From OpenFlow 1.2 on the switch is sent set_field for these, which asks less of the packet than they do.
 */
const SENT_AS_SET_FIELD: ReadonlySet<SetSpelling> = new Set([
  "set_mpls_label",
  "set_mpls_tc",
  "set_vlan_vid",
  "set_vlan_pcp",
  "mod_tp_src",
  "mod_tp_dst",
]);

const isLater = (version: Reading["version"]): boolean => version !== null && version !== "OpenFlow10";

const sentAs = (spelling: SetSpelling, version: Reading["version"]): SetSpelling =>
  SENT_AS_SET_FIELD.has(spelling) && isLater(version) ? "set_field" : spelling;

/** Parses a value of a field that the format's reader returns null for if it is malformed. */
const readerOf =
  (
    spelling: SetSpelling,
    field: string,
    read: (text: string) => bigint | null,
    wrong: string,
  ): ActionParser =>
  (context, pair) => {
    const value = read(pair.value.text);
    if (value === null)
      throw new Fault(pair.value.text === "" ? pair.key : pair.value, `${clip(pair.value.text)} ${wrong}`);
    context.reading.value(pair.value, fieldNamed(field));
    return setOf(pair, spelling, fieldNamed(field), value);
  };

const macSetter = (spelling: SetSpelling, field: string): Setter => ({
  parse: readerOf(spelling, field, readMac, "is not an Ethernet address; expected 52:54:00:00:00:0b"),
  example: `actions=${spelling}:52:54:00:00:00:0b`,
  needs: ["frame"],
  format: ({ value }) => `${spelling}:${formatMacValue(value)}`,
});

const ipv4Setter = (spelling: SetSpelling, field: string): Setter => ({
  parse: readerOf(spelling, field, readDotted, "is not an IPv4 address; expected 203.0.113.7"),
  example: `ip actions=${spelling}:203.0.113.7`,
  needs: ["ipv4"],
  format: ({ value }) => `${spelling}:${formatDotted(value)}`,
});

/** `mod_nw_tos:4`; `max` is the largest number that it takes. */
const numberSetter = (
  spelling: SetSpelling,
  field: string,
  max: number,
  demand: Demand,
  format: Setter["format"] = ({ value }) => `${spelling}:${value}`,
): Setter => ({
  parse: (context, pair) => {
    const value = BigInt(number(context, pair.value, max, spelling));
    const target = fieldNamed(field);
    if ((value & ~target.valid) !== 0n)
      throw new Fault(pair.value, `${spelling}:${value} would change the ECN bits; expected a multiple of 4`);
    return setOf(pair, sentAs(spelling, context.reading.version), target, value);
  },
  example: `${demand} actions=${spelling}:${field === "nw_tos" ? 4 : 3}`,
  needs: [demand],
  format,
});

const labelSetter = (spelling: SetSpelling, field: string, max: number): Setter =>
  numberSetter(spelling, field, max, "mpls", ({ value }) => `${spelling}(${value})`);

function vlanSetter(spelling: SetSpelling): Setter {
  const isVid = spelling.endsWith("vid");
  const isModified = spelling.startsWith("mod_");
  const parse: ActionParser = (context, pair) => {
    const value = BigInt(number(context, pair.value, isVid ? 0xfff : 7, spelling));
    const { version, isPushing } = context.reading;
    const isSent = isModified && (isPushing || isLater(version));
    const set = setOf(
      pair,
      isSent ? "set_field" : sentAs(spelling, version),
      fieldNamed(isVid ? "vlan_vid" : "vlan_pcp"),
      isVid ? value | PRESENT : value,
    );
    // From OpenFlow 1.1 on ovs-ofctl pushes a tag first, unless the match or an action before ensures that
    // there is one.
    if (!isSent || context.consistency.protocols.vlan === "tagged") return set;
    return [{ type: "push_vlan", span: pair.span, ethertype: 0x8100 }, set];
  };
  return {
    parse,
    example: `dl_vlan=5 actions=${spelling}:3`,
    needs: isModified ? ["frame"] : ["tag", "frame"],
    becomes: consistency => {
      consistency.become({ vlan: "tagged" });
    },
    format: ({ value }) => `${spelling}:${isVid ? value & 0xfffn : value}`,
  };
}

const TRANSPORTS: ReadonlyMap<number, string> = new Map([
  [PROTOCOL.tcp, "tcp"],
  [PROTOCOL.udp, "udp"],
  [PROTOCOL.sctp, "sctp"],
]);

function transportSetter(spelling: SetSpelling): Setter {
  const end = spelling.slice(-3);
  return {
    parse: (context, pair) => {
      const value = BigInt(number(context, pair.value, 0xffff, spelling));
      const transport = TRANSPORTS.get(context.consistency.protocols.nwProto);
      // If the match leaves the protocol open (a bucket, an action set), the switch is sent the action
      // itself.
      const sent = transport === undefined ? spelling : sentAs(spelling, context.reading.protocol);
      return setOf(pair, sent, fieldNamed(`${transport ?? "tcp"}_${end}`), value);
    },
    example: `tcp actions=${spelling}:80`,
    needs: ["ports"],
    format: ({ value }) => `${spelling}:${value}`,
  };
}

const tunnelSetter = (spelling: SetSpelling): Setter => ({
  parse: (context, pair) => {
    const value = readInteger(pair.value.text, 8);
    if (typeof value === "string")
      throw new Fault(pair.span, `${spelling}: ${clip(pair.value.text)} ${value}`);
    context.reading.value(pair.value, fieldNamed("tun_id"));
    return setOf(pair, spelling, fieldNamed("tun_id"), value);
  },
  example: `actions=${spelling}:${spelling === "set_tunnel64" ? "0x123456789" : "0x7"}`,
  format: ({ value }) => `${value > ones(32) ? "set_tunnel64" : spelling}:${formatHex(value)}`,
});

/** The spellings that set one field as a whole. */
const SETTERS: Readonly<Record<Exclude<SetSpelling, "set_field" | "load">, Setter>> = {
  mod_dl_src: macSetter("mod_dl_src", "eth_src"),
  mod_dl_dst: macSetter("mod_dl_dst", "eth_dst"),
  mod_nw_src: ipv4Setter("mod_nw_src", "ip_src"),
  mod_nw_dst: ipv4Setter("mod_nw_dst", "ip_dst"),
  mod_nw_tos: numberSetter(
    "mod_nw_tos",
    "nw_tos",
    255,
    "ip",
    ({ field, value }) => `mod_nw_tos:${field.name === "ip_dscp" ? value << 2n : value}`,
  ),
  mod_nw_ecn: numberSetter("mod_nw_ecn", "nw_ecn", 3, "ip"),
  mod_nw_ttl: numberSetter("mod_nw_ttl", "nw_ttl", 255, "ip"),
  mod_tp_src: transportSetter("mod_tp_src"),
  mod_tp_dst: transportSetter("mod_tp_dst"),
  mod_vlan_vid: vlanSetter("mod_vlan_vid"),
  mod_vlan_pcp: vlanSetter("mod_vlan_pcp"),
  set_vlan_vid: vlanSetter("set_vlan_vid"),
  set_vlan_pcp: vlanSetter("set_vlan_pcp"),
  set_mpls_label: labelSetter("set_mpls_label", "mpls_label", 0xfffff),
  set_mpls_tc: labelSetter("set_mpls_tc", "mpls_tc", 7),
  set_mpls_ttl: labelSetter("set_mpls_ttl", "mpls_ttl", 255),
  set_tunnel: tunnelSetter("set_tunnel"),
  set_tunnel64: tunnelSetter("set_tunnel64"),
};

function target(text: Token): Field {
  const field = plainField(text.text);
  if (field !== undefined) return field;
  throw new Fault(
    text,
    `there is no field ${clip(text.text)} for set_field${nearest(text.text, FIELD_NAMES)}`,
  );
}

/** Refuses fields that an action cannot write where it stands. */
export function checkWritable(field: Field, span: Span, nesting: Nesting): void {
  // Open vSwitch accepts these and sets another field: it has no number for them in OpenFlow messages.
  if (field.nxm === null && field.isWritable)
    throw new Fault(span, `${field.name} cannot be set: vlan_vid, vlan_pcp and vlan_tci can`);
  if (!field.isWritable) throw new Fault(span, `${field.name} is read-only`);
  const isCt = field.name === "ct_mark" || field.name === "ct_label";
  if (isCt && nesting !== "ct")
    throw new Fault(span, `${field.name} is set only inside of ct(commit,exec(…))`);
  if (!isCt && nesting === "ct")
    throw new Fault(span, `inside of ct(exec(…)) only ct_mark and ct_label are set, not ${field.name}`);
}

/**
 * Setting bits of the TCI adds or removes the tag for the checks of Open vSwitch: by the value, whatever its
 * mask.
 */
function noteTag(consistency: Consistency, value: bigint): void {
  consistency.become({ vlan: (value & PRESENT) === 0n ? "untagged" : "tagged" });
}

/**
 * `set_field:5->vlan_vid` lacks the presence bit of the tag: OpenFlow 1.0 adds it, later versions refuse the
 * flow.
 */
function withoutPresence(context: ActionReading, pair: Pair, text: Token, value: bigint): Action {
  const message = `vlan_vid is set with its presence bit: ${value | PRESENT} is VLAN ${value}`;
  const { protocol } = context.reading;
  if (isLater(protocol)) throw new Fault(text, message);
  context.consistency.field(fieldNamed("vlan_vid"), pair.span, "set_field");
  context.reading.warn(text, `${message}; OpenFlow 1.1 and later refuse this one`);
  return setOf(pair, "set_field", fieldNamed("vlan_vid"), value | PRESENT);
}

/** The bits of a field that can be set. */
const settable = (field: Field): bigint => (field.name === "arp_op" ? 0xffn : field.valid);

function parseSetField(context: ActionReading, pair: Pair): Action | null {
  const [left, right] = arrow(pair);
  const field = target(right);
  checkWritable(field, right, context.nesting);
  const read = context.reading.isPrinted ? readPrintedValue : readValue;
  const masked = read(field, left.text, context.reading.ports);
  if (typeof masked === "string")
    throw new Fault(left.text === "" ? pair.span : left, `${field.name}: ${clip(left.text)} ${masked}`);
  context.reading.value(left, field);
  const valid = settable(field);
  const mask = masked.mask & valid;
  if ((masked.value & ~valid) !== 0n)
    throw new Fault(
      left,
      `${field.name} has no value ${clip(left.text)}: 0x${valid.toString(16)} has all its bits`,
    );
  const { isPrinted } = context.reading;
  if (!isPrinted && !field.isMaskable && field.format !== "port" && mask !== 0n && mask !== valid)
    throw new Fault(left, `${field.name} takes no mask: it is set whole`);
  if (context.reading.protocol === "OpenFlow15" && (masked.value & ~mask) !== 0n)
    throw new Fault(left, "OpenFlow 1.5 takes no value with bits outside its mask (OFPBMC_BAD_WILDCARDS)");
  if (mask === 0n) return null;
  if (field.name === "vlan_vid" && (masked.value & PRESENT) === 0n)
    return withoutPresence(context, pair, left, masked.value);
  context.consistency.field(field, pair.span, "set_field");
  if (field.name === "vlan_tci") noteTag(context.consistency, masked.value);
  const value = masked.value & mask;
  // All bits of a field that does not fill its bytes are still a mask to Open vSwitch, as they are in a load.
  const isPadded = field.bits % 8 !== 0 && valid === ones(field.bits);
  const isMasked = left.text.includes("/") && mask === valid && isPadded;
  return setOf(pair, isMasked ? "load" : "set_field", field, value, mask === valid ? field.valid : mask);
}

function parseLoad(context: ActionReading, pair: Pair): Action {
  const [left, right] = arrow(pair);
  const { field, start, bits } = parseSubfield(right);
  const value = left.text.startsWith("-") ? "is negative" : readInteger(left.text, 16);
  if (typeof value === "string")
    throw new Fault(left.text === "" ? pair.span : left, `load: ${clip(left.text)} ${value}`);
  if (value > ones(bits))
    throw new Fault(left, `${clip(left.text)} does not fit into the ${bits} bits of ${right.text}`);
  context.reading.value(left, field);
  checkWritable(field, right, context.nesting);
  context.consistency.field(field, pair.span, "set_field");
  const shifted = value << BigInt(start);
  if (context.reading.protocol === "OpenFlow15" && (shifted & ~settable(field)) !== 0n)
    throw new Fault(left, `${field.name} has no such value (OFPBAC_BAD_SET_ARGUMENT)`);
  if (field.name === "vlan_tci") noteTag(context.consistency, shifted);
  return setOf(pair, "load", field, shifted, ones(bits) << BigInt(start));
}

/** `load:` for every run of bits of the mask, from the lowest, at most 64 bits each. */
function formatLoads({ field, value, mask }: SetAction): string[] {
  const parts: string[] = [];
  for (let start = 0; start < field.bits; ) {
    if (((mask >> BigInt(start)) & 1n) === 0n) {
      start++;
      continue;
    }
    let bits = 0;
    while (bits < 64 && ((mask >> BigInt(start + bits)) & 1n) === 1n && start + bits < field.bits) bits++;
    const part = (value >> BigInt(start)) & ones(bits);
    parts.push(`load:${formatHex(part)}->${formatSubfield({ field, start, bits })}`);
    start += bits;
  }
  return parts;
}

function formatSetField({ field, value, mask, spelling }: SetAction, { ports }: Printing): string {
  const isWhole =
    mask === field.valid &&
    (spelling !== "load" || field.bits === 8 * bytesOf(field) || field.valid !== ones(field.bits));
  const text = formatValue(field, { value, mask: isWhole ? ones(field.bits) : mask }, ports);
  const hasMask =
    isWhole || field.format === "ethernet" || field.format.startsWith("ipv") || mask !== ones(field.bits);
  return `set_field:${text}${hasMask ? "" : `/${formatHex(mask)}`}->${field.name}`;
}

/** Actions of OpenFlow 1.0 that set a field as a whole, by the field they set. */
const LEGACY: Readonly<Record<string, keyof typeof SETTERS>> = {
  eth_src: "mod_dl_src",
  eth_dst: "mod_dl_dst",
  ip_src: "mod_nw_src",
  ip_dst: "mod_nw_dst",
  nw_tos: "mod_nw_tos",
  ip_dscp: "mod_nw_tos",
  vlan_vid: "mod_vlan_vid",
  vlan_pcp: "mod_vlan_pcp",
  tcp_src: "mod_tp_src",
  tcp_dst: "mod_tp_dst",
  udp_src: "mod_tp_src",
  udp_dst: "mod_tp_dst",
};

/** Whether only set_field can name the field. */
const isWide = ({ place, nxm }: Field): boolean => place === null || nxm?.startsWith("NXOXM_ET") === true;

/** A setting as OpenFlow 1.0 has it: its own actions, `load` for what they cannot set. */
function formatSet10(action: SetAction, printing: Printing): readonly string[] {
  const { field, spelling, value } = action;
  if (spelling === "set_field" && field.name === "vlan_tci") {
    if ((value & PRESENT) === 0n) return ["strip_vlan"];
    return [`mod_vlan_vid:${value & 0xfffn}`, `mod_vlan_pcp:${value >> 13n}`];
  }
  if (spelling === "set_vlan_vid") return [SETTERS.mod_vlan_vid.format(action)];
  if (spelling === "set_vlan_pcp") return [SETTERS.mod_vlan_pcp.format(action)];
  if (spelling === "mod_nw_ecn" || spelling === "mod_nw_ttl") return formatLoads(action);
  const legacy = spelling === "set_field" ? LEGACY[field.name] : undefined;
  if (legacy !== undefined) return [SETTERS[legacy].format(action)];
  if (spelling !== "set_field" && spelling !== "load") return [SETTERS[spelling].format(action)];
  return isWide(field) ? [formatSetField(action, printing)] : formatLoads(action);
}

/** A setting as OpenFlow 1.3 and 1.5 have it: set_field wherever it can express the setting. */
function formatSet13(action: SetAction, printing: Printing): readonly string[] {
  const { field, spelling, mask, value } = action;
  if (spelling === "mod_nw_ttl" || spelling === "set_mpls_ttl") return [SETTERS[spelling].format(action)];
  if (spelling === "mod_nw_tos") return [`set_field:${value >> 2n}->ip_dscp`];
  if (spelling === "mod_vlan_vid" || spelling === "mod_vlan_pcp") {
    const push = printing.isTagged ? [] : ["push_vlan:0x8100"];
    printing.isTagged = true;
    return [...push, formatSetField(action, printing)];
  }
  const isLoad = spelling === "load" || (spelling === "set_field" && mask !== field.valid);
  if (printing.version === "OpenFlow13" && isLoad && !isWide(field)) return formatLoads(action);
  if (field.name === "vlan_tci" && mask === 0xffffn) printing.isTagged = (value & PRESENT) !== 0n;
  return [formatSetField(action, printing)];
}

function formatAsWritten(action: SetAction, printing: Printing): readonly string[] {
  const { spelling } = action;
  if (spelling === "load") return formatLoads(action);
  if (spelling === "set_field") return [formatSetField(action, printing)];
  return [SETTERS[spelling].format(action)];
}

const TCI = fieldNamed("vlan_tci");
const TOS = fieldNamed("nw_tos");
const IN_PORT = fieldNamed("in_port_oxm");

const settingOf = (field: Field, value: bigint, mask: bigint): CanonicalSet => ({
  type: "set",
  field,
  value: value & mask,
  mask,
});

/** A setting of a field as settings of the widest fields underneath. */
function widen({ field, value, mask }: SetAction): CanonicalSet[] {
  const { name } = field;
  // A packet has a tag, or gets one, if its VID or priority is set.
  if (name === "vlan_vid") return [settingOf(TCI, value | PRESENT, mask | PRESENT)];
  if (name === "vlan_pcp") return [settingOf(TCI, (value << 13n) | PRESENT, (mask << 13n) | PRESENT)];
  // A load of nw_tos does not change the two bits below.
  if (name === "nw_tos") return [settingOf(TOS, value, mask & 0xfcn)];
  if (name === "ip_dscp") return [settingOf(TOS, value << 2n, mask << 2n)];
  if (name === "in_port") {
    const isWhole = mask === 0xffffn;
    const wide = isWhole && value >= 0xfff7n ? value | 0xffff0000n : value;
    return [settingOf(IN_PORT, wide, isWhole ? ones(32) : mask)];
  }
  const register = /^(xx?)reg(\d+)$/.exec(name);
  if (register === null) return [settingOf(field, value, mask)];
  const words = register[1] === "x" ? 2 : 4;
  const parts: CanonicalSet[] = [];
  for (let index = 0; index < words; index++) {
    const shift = BigInt(32 * (words - 1 - index));
    const under = (mask >> shift) & ones(32);
    const number = words * Number(register[2]) + index;
    if (under !== 0n) parts.push(settingOf(fieldNamed(`reg${number}`), (value >> shift) & ones(32), under));
  }
  return parts;
}

/** Set-field stores a value and a mask of the field's bytes behind a head; older actions take 8 bytes. */
const boundsOfWidth = (bytes: number): ByteBounds => [8, 16 + 2 * align8(bytes)];

const BOUNDS: readonly ByteBounds[] = Array.from({ length: 129 }, (_, bytes) => boundsOfWidth(bytes));

/** Bounds of a setting of a field. */
export const setBytes = ({ bits }: Field): ByteBounds => BOUNDS[Math.ceil(bits / 8)]!;

export const set: ActionEntry<SetAction> = {
  spellings: {
    set_field: { parse: parseSetField, example: "actions=set_field:0x1/0xff->reg0" },
    load: { parse: parseLoad, example: "actions=load:0x5->NXM_NX_REG0[]" },
    ...SETTERS,
    set_nw_ttl: { ...SETTERS.mod_nw_ttl, example: "ip actions=set_nw_ttl:3" },
  },
  print: formatAsWritten,
  printIn: { OpenFlow10: formatSet10, OpenFlow13: formatSet13, OpenFlow15: formatSet13 },
  versions: ALL_VERSIONS,
  inWriteActions: true,
  setPart: "change",
  bytes: ({ field }) => setBytes(field),
  recirculates: ({ field: { place }, spelling }) =>
    place === null || place.word >= KEY.nwSrc || spelling.startsWith("set_mpls_"),
  freezing: "alone",
  support: "executed",
  docs: [
    [
      "Ignored if the packet does not have the field. Unknown: tun_metadata and NSH; a change of ARP or of",
      "labels that are cut short, where Open vSwitch writes beyond the end of the packet; a change of IP",
      "headers that Open vSwitch looks for in the wrong place (pushed labels behind LLC/SNAP, label stacks",
      "of zeros).",
    ].join(" "),
  ],
  settings: action => {
    // These do nothing to a packet without a tag; mod_vlan_… pushes one.
    if (action.spelling === "set_vlan_vid" || action.spelling === "set_vlan_pcp") return null;
    return widen(action);
  },
  ports: ({ field, value }) => (field.format === "port" ? [Number(value & 0xffffn)] : []),
};
