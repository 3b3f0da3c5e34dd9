/**
 * What a bridge has been told: its flows by table, its groups, its ports. Made once, then only read. It does
 * not know frames.
 */
import { type Flow, type Group, type GroupType, PORT } from "../ast.ts";
import type { FlowColumns } from "../columnar/dump.ts";
import { compileActions, type Step } from "./compile-actions.ts";
import { widePort } from "./field-access.ts";
import { SearchedTables } from "./linear-scan.ts";
import { type Lookup, Tables } from "./load.ts";
import { OVS_VERSIONS, type OvsBehaviour, type OvsVersion, USUAL_OVS } from "./versions.ts";

/** What there is besides flows. */
export interface RulesetOptions {
  readonly groups?: readonly Group[];
  /**
   * Numbers of the ports that exist, LOCAL (65534) aside, which always does. Not given: every number is a
   * port.
   */
  readonly ports?: Iterable<number>;
  /** Whether a port is up, for fast failover groups. Not given: such a group is unknown. */
  readonly isPortLive?: (port: number) => boolean;
  /** Open vSwitch's other_config:vlan-limit; 1 by default, as there. 0 in the database stands for 2 here. */
  readonly vlanLimit?: number;
  /**
   * Only a few frames will come: a dump in columns is searched then, and not made ready for lookups first.
   */
  readonly isForFew?: boolean;
  /**
   * Flows of a dump in columns that are kept once a frame has met them; all by default, and each takes some 3
   * kB.
   */
  readonly keptFlows?: number;
  /** The version of Open vSwitch whose behaviour is executed; 3.1 by default. */
  readonly ovs?: OvsVersion;
}

export interface BucketEntry {
  readonly steps: readonly Step[];
  readonly watchPort: number | null;
  readonly watchGroup: number | null;
}

export interface GroupEntry {
  readonly type: GroupType;
  readonly buckets: readonly BucketEntry[];
  /** Type, selection and buckets as a text: equal texts are the same group. */
  readonly text: string;
  readonly line: number;
}

/** Groups that watch groups that watch groups … */
const MAX_WATCH_DEPTH = 128;
const MAX_PORT = 0xfeff;

export class Ruleset {
  readonly tables: ReadonlyMap<number, Lookup>;
  readonly groups = new Map<number, GroupEntry>();
  /** Port numbers as the key has them, in order, LOCAL last; null when they are not known. */
  readonly ports: readonly number[] | null;
  readonly vlanLimit: number;
  readonly behaviour: OvsBehaviour;
  readonly #known: ReadonlySet<number> | null;
  readonly #isPortLive: ((port: number) => boolean) | null;

  /** Flows one by one, or a dump in columns, which is not copied. */
  constructor(flows: Iterable<Flow> | FlowColumns, options: RulesetOptions = {}) {
    const isSearched = options.isForFew === true && "templates" in flows;
    this.tables = (isSearched ? new SearchedTables(flows) : new Tables(flows, options.keptFlows)).byNumber;
    for (const { id, type, buckets, source, text } of options.groups ?? []) {
      const entries = buckets.map(({ actions, watchPort, watchGroup }) => ({
        steps: compileActions(actions, source.line),
        watchPort,
        watchGroup,
      }));
      const what = text.replace(/^.*?type=/, "");
      this.groups.set(id, { type, buckets: entries, text: what, line: source.line });
    }
    const ports = options.ports === undefined ? null : new Set([...options.ports].map(widePort));
    ports?.add(PORT.local);
    this.#known = ports;
    this.ports = ports === null ? null : [...ports].sort((a, b) => a - b);
    this.vlanLimit = options.vlanLimit ?? 1;
    this.behaviour = OVS_VERSIONS[options.ovs ?? USUAL_OVS];
    this.#isPortLive = options.isPortLive ?? null;
  }

  /** Whether a frame can leave by this port: LOCAL, or one that exists. */
  hasPort(port: number): boolean {
    if (this.#known !== null) return this.#known.has(port);
    return port === PORT.local || (port > 0 && port <= MAX_PORT);
  }

  /** Whether a bucket may be used: what it watches is up, or it watches nothing. Null when nobody said. */
  isLive(bucket: BucketEntry, depth = 0): boolean | null {
    const { watchPort, watchGroup } = bucket;
    if (depth > MAX_WATCH_DEPTH) return false;
    if (watchPort === null && watchGroup === null) return true;
    if (watchPort !== null) {
      if (this.#isPortLive === null) return null;
      if (this.#isPortLive(watchPort)) return true;
    }
    if (watchGroup === null) return false;
    let isKnown = true;
    for (const watched of this.groups.get(watchGroup)?.buckets ?? []) {
      const isLive = this.isLive(watched, depth + 1);
      if (isLive === true) return true;
      if (isLive === null) isKnown = false;
    }
    return isKnown ? false : null;
  }
}
