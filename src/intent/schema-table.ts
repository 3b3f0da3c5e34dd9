/**
 * The table of the intent file's keys: type, range, whether the key is optional, and the description that an
 * editor shows. The run-time checker (check.ts) and the JSON Schema for editors (schema.ts, with zod) are
 * both derived from it, so there is one schema. Rules that join two values (used twice, a VM's MAC equal to
 * the uplink's) are in load.ts.
 */
import type { Ipv4Address, MacAddress, Prefix } from "../wire/index.ts";
import { LABELS_MAX } from "./limits.ts";
import type { Path } from "./types.ts";
import { LABEL, type Range } from "./values.ts";

export interface IntegerSpec extends Range {
  readonly kind: "integer";
}
/** A name: not blank, no control characters, at most `max` UTF-16 units. */
export interface TextSpec {
  readonly kind: "text";
  readonly what: string;
  readonly max: number;
}
export interface MacSpec {
  readonly kind: "mac";
  readonly what: string;
}
export interface AddressSpec {
  readonly kind: "address";
  readonly what: string;
}
export interface PrefixSpec {
  readonly kind: "prefix";
  readonly what: string;
}
export interface ChoiceSpec<C extends string = string> {
  readonly kind: "choice";
  readonly choices: readonly C[];
  readonly what: string;
}
export interface ListSpec<Of = unknown> {
  readonly kind: "list";
  readonly of: Of;
  readonly what: string;
  /** Fewest and most items, and the reason for `max` in the message. */
  readonly min: number;
  readonly max: number | null;
  readonly maxReason: string;
}
export interface RecordSpec<Keys extends KeyTable = KeyTable> {
  readonly kind: "record";
  readonly what: string;
  readonly keys: Keys;
}
export type Spec =
  | IntegerSpec
  | TextSpec
  | MacSpec
  | AddressSpec
  | PrefixSpec
  | ChoiceSpec
  | ListSpec
  | RecordSpec;

export interface Key {
  readonly spec: Spec;
  readonly required: boolean;
  /** One or two sentences for editors, without Markdown. */
  readonly description: string;
  /** The value of an absent key, for the JSON Schema; load.ts applies it. */
  readonly fallback?: string | number | readonly never[];
  readonly examples: readonly (string | number | readonly (string | number)[])[];
}
export type KeyTable = { readonly [name: string]: Key };

/** The value of a spec after checking. */
export type ValueOf<S> = S extends { readonly kind: keyof ScalarValues }
  ? ScalarValues[S["kind"]]
  : S extends ChoiceSpec<infer C>
    ? C
    : S extends ListSpec<infer Of>
      ? (Located<ValueOf<Of>> | null)[]
      : S extends RecordSpec<infer Keys>
        ? { [K in keyof Keys]: Located<ValueOf<Keys[K]["spec"]>> | null }
        : never;

interface ScalarValues {
  readonly integer: number;
  readonly text: string;
  readonly mac: MacAddress;
  readonly address: Ipv4Address;
  readonly prefix: Prefix;
}

/** A checked value and its offset in the text. In a record, null is an absent or invalid value. */
export interface Located<T> {
  readonly at: number;
  readonly value: T;
}

/** Longest name of a hypervisor, VM, bridge or port, in UTF-16 units; pcapng and OVSDB would carry more. */
const NAME_MAX = 255;
/** Longest name of a routesFile: PATH_MAX of Linux. */
const PATH_MAX = 4096;

const OFPORT: IntegerSpec = { kind: "integer", min: 1, max: 65_279, what: "an OpenFlow port number" };
const MTU: IntegerSpec = { kind: "integer", min: 68, max: 65_535, what: "an MTU in bytes" };
const LABEL_SPEC: IntegerSpec = { kind: "integer", ...LABEL };
const MAC: MacSpec = { kind: "mac", what: "a MAC address" };
const PORT_NAME: TextSpec = { kind: "text", what: "a port's name", max: NAME_MAX };
const PATH: ChoiceSpec<Path> = {
  kind: "choice",
  choices: ["l2", "dual-l2", "dual-l3", "l3"],
  what: "a path",
};

const MTU_KEY = {
  spec: MTU,
  required: false,
  description:
    "Largest layer-3 packet in bytes that leaves by this port, without the 14 bytes of Ethernet header; " +
    "labels count. Frames above it drop as too-long. Absent: not checked.",
  examples: [1500, 9000],
} as const satisfies Key;

const UPLINK = {
  kind: "record",
  what: "the uplink",
  keys: {
    port: {
      spec: PORT_NAME,
      required: true,
      description: "Name of the port towards the fabric, as Open vSwitch and captures call it.",
      examples: ["uplink0"],
    },
    ofport: {
      spec: OFPORT,
      required: true,
      description: "OpenFlow port number of the uplink, 1 to 65279. No VM may have the same.",
      examples: [1],
    },
    mac: {
      spec: MAC,
      required: true,
      description: "MAC address of the uplink: labelled packets come to it, routed packets leave from it.",
      examples: ["02:00:00:00:00:01"],
    },
    mtu: MTU_KEY,
  },
} as const satisfies RecordSpec;

export const VM = {
  kind: "record",
  what: "a VM",
  keys: {
    id: {
      spec: { kind: "integer", min: 1, max: 4_294_967_295, what: "an id" },
      required: true,
      description: "Number of the VM, 1 to 4294967295; marks its flows, in the upper half of their cookie.",
      examples: [101],
    },
    name: {
      spec: { kind: "text", what: "a VM's name", max: NAME_MAX },
      required: true,
      description: "Name of the VM, for people; no two VMs share one.",
      examples: ["web-1"],
    },
    port: {
      spec: PORT_NAME,
      required: true,
      description: "Name of the VM's port, as Open vSwitch and captures call it.",
      examples: ["tap101"],
    },
    ofport: {
      spec: OFPORT,
      required: true,
      description: "OpenFlow port number of the VM's port, 1 to 65279.",
      examples: [11],
    },
    mac: {
      spec: MAC,
      required: true,
      description: "MAC address of the VM; frames it sends from any other drop as spoofed-source.",
      examples: ["52:54:00:00:00:0b"],
    },
    addresses: {
      spec: {
        kind: "list",
        of: { kind: "address", what: "an IPv4 address" },
        what: "a list of IPv4 addresses",
        min: 1,
        max: null,
        maxReason: "",
      },
      required: true,
      description:
        "The VM's IPv4 addresses, at least one. Each is a /32 of its own; no address is used twice.",
      examples: [["203.0.113.7"]],
    },
    path: {
      spec: PATH,
      required: true,
      description:
        "How the VM is attached. l2: bridged. dual-l2: sends bridged, is reached both ways. dual-l3: sends " +
        "routed, is reached both ways. l3: routed.",
      examples: ["l3"],
    },
    mtu: MTU_KEY,
  },
} as const satisfies RecordSpec;

const ROUTE = {
  kind: "record",
  what: "a route",
  keys: {
    prefix: {
      spec: { kind: "prefix", what: "a prefix" },
      required: true,
      description: "IPv4 prefix that lives elsewhere, without host bits. The longest match wins.",
      examples: ["203.0.113.200/32", "0.0.0.0/0"],
    },
    labels: {
      spec: {
        kind: "list",
        of: LABEL_SPEC,
        what: "a list of labels",
        min: 0,
        max: LABELS_MAX,
        maxReason: `Open vSwitch supports ${LABELS_MAX}`,
      },
      required: false,
      description: "MPLS labels to push, outermost first, at most 3. None: the packet leaves as plain IPv4.",
      fallback: [],
      examples: [[2002], [2002, 3003]],
    },
    via: {
      spec: MAC,
      required: true,
      description: "MAC address of the next hop on the fabric.",
      examples: ["02:00:00:00:00:fe"],
    },
  },
} as const satisfies RecordSpec;

/** The whole file. */
export const INTENT = {
  kind: "record",
  what: "an intent",
  keys: {
    name: {
      spec: { kind: "text", what: "the hypervisor's name", max: NAME_MAX },
      required: true,
      description: "Name of the hypervisor, for people.",
      examples: ["hv1"],
    },
    bridge: {
      spec: { kind: "text", what: "a bridge's name", max: NAME_MAX },
      required: true,
      description: "Name of the Open vSwitch bridge that carries the flows.",
      examples: ["br0"],
    },
    label: {
      spec: LABEL_SPEC,
      required: true,
      description: "MPLS label of the label-switched path that ends at this hypervisor, 16 to 1048575.",
      examples: [1001],
    },
    virtualMac: {
      spec: MAC,
      required: false,
      description: "MAC address every VM sees as its gateway; the ARP responder answers with it.",
      fallback: "fe:00:00:00:01:01",
      examples: ["fe:00:00:00:01:01"],
    },
    trafficClass: {
      spec: { kind: "integer", min: 0, max: 7, what: "a traffic class" },
      required: false,
      description: "Traffic class (TC, once EXP) written into every pushed label, 0 to 7.",
      fallback: 0,
      examples: [0],
    },
    uplink: {
      spec: UPLINK,
      required: true,
      description: "The one port towards the fabric.",
      examples: [],
    },
    vms: {
      spec: { kind: "list", of: VM, what: "a list of VMs", min: 0, max: null, maxReason: "" },
      required: false,
      description: "The VMs on this hypervisor, at most 4,095 with at most 65,536 addresses in all.",
      fallback: [],
      examples: [],
    },
    routes: {
      spec: { kind: "list", of: ROUTE, what: "a list of routes", min: 0, max: null, maxReason: "" },
      required: false,
      description: "Prefixes that live elsewhere. Many of them are better kept in routesFile.",
      fallback: [],
      examples: [],
    },
    routesFile: {
      spec: { kind: "text", what: "a file's name", max: PATH_MAX },
      required: false,
      description:
        "A file with further routes, relative to this file's folder: one a line, PREFIX LABELS VIA, with " +
        "LABELS 2002 or 2002/3003 or - and # comments.",
      examples: ["routes.txt"],
    },
  },
} as const satisfies RecordSpec;

export type RawIntent = ValueOf<typeof INTENT>;
export type RawVm = ValueOf<typeof VM>;
export type RawRoute = ValueOf<typeof ROUTE>;
