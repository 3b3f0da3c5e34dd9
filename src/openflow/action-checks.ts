/**
 * Whether actions fit the match before them (ofpact_check() of Open vSwitch): what the packet is known to be
 * is followed through the list, as push_mpls makes it MPLS and pop_mpls what it says. Some misfits are
 * refused by every version of OpenFlow (set_field of a field that is not there), others only from 1.1 on
 * (`dec_ttl` without `ip`).
 */

import type { Span } from "./ast.ts";
import type { Field } from "./fields.ts";
import { Fault } from "./lexer.ts";
import type { Reading } from "./parse-context.ts";
import { ETHERTYPE, PREREQUISITES, PROTOCOL, type Protocols } from "./parse-match.ts";

/** What an action may ask of the packet. */
export type Demand = "ip" | "ipv4" | "ports" | "tcp" | "mpls" | "tag" | "nsh" | "frame";

const isIp = ({ dlType }: Protocols): boolean => dlType === ETHERTYPE.ip || dlType === ETHERTYPE.ipv6;

const DEMANDS: Readonly<Record<Demand, readonly [holds: (p: Protocols) => boolean, remedy: string]>> = {
  ip: [isIp, "ip or ipv6"],
  ipv4: [p => p.dlType === ETHERTYPE.ip, "ip"],
  ports: [
    p => isIp(p) && !p.isLater && [PROTOCOL.tcp, PROTOCOL.udp, PROTOCOL.sctp].includes(p.nwProto),
    "tcp, udp or sctp",
  ],
  frame: [p => p.isEthernet, "an Ethernet frame"],
  // Open vSwitch looks at the protocol alone, which is an ARP's operation, too.
  tcp: [p => p.nwProto === PROTOCOL.tcp, "tcp"],
  nsh: [p => p.dlType === ETHERTYPE.nsh, "dl_type=0x894f"],
  mpls: [p => p.dlType === ETHERTYPE.mpls || p.dlType === ETHERTYPE.mplsm, "mpls"],
  tag: [p => p.vlan === "tagged", "a VLAN tag"],
};

export class Consistency {
  #now: Protocols;
  readonly #reading: Reading;
  readonly #isKnown: boolean;
  readonly #isSet: boolean;

  /**
   * `isKnown` false: nothing is asked, as there is no match (a group's bucket) or the switch has the flow
   * already. `isSet`: an action set, which is carried out later; what it needs then, Open vSwitch does not
   * ask.
   */
  constructor(reading: Reading, protocols: Protocols, isKnown = true, isSet = false) {
    this.#reading = reading;
    this.#now = protocols;
    this.#isKnown = isKnown;
    this.#isSet = isSet;
  }

  /** False where any packet may come. */
  get isKnown(): boolean {
    return this.#isKnown;
  }

  get protocols(): Protocols {
    return this.#now;
  }

  /** A copy for a list inside: what happens there is not seen behind it. */
  inner(what: "list" | "set" | "unchecked" = "list"): Consistency {
    const isKnown = this.#isKnown && what !== "unchecked";
    return new Consistency(this.#reading, this.#now, isKnown, this.#isSet || what === "set");
  }

  /** From here on the packet is something else. */
  become(change: Partial<Protocols>): void {
    this.#now = { ...this.#now, ...change };
  }

  /** Asks for something that OpenFlow 1.0 lets an action go without: it then does nothing. */
  demand(what: Demand, span: Span, action: string): void {
    const [holds, remedy] = DEMANDS[what];
    if (!this.#isKnown || this.#isSet || holds(this.#now)) return;
    const needs = `${action} needs ${remedy} in the match`;
    const message = `${needs}: OpenFlow 1.1 and later refuse this flow (OFPBAC_MATCH_INCONSISTENT)`;
    if (this.#reading.protocol !== null && this.#reading.protocol !== "OpenFlow10")
      throw new Fault(span, message);
    this.#reading.warn(span, `${message}, 1.0 takes it and the action does nothing`);
  }

  /** Asks that a field is there to be read or written; no version goes without. */
  field(field: Field, span: Span, action: string): void {
    const [holds, remedy] =
      PREREQUISITES[field.name === "vlan_vid" && action === "set_field" ? "VLAN VID" : field.prerequisite];
    // An ND message to be set is one of code 0 and the right type; its type is all that is looked at.
    if (this.#isKnown && !holds(this.#now))
      throw new Fault(
        span,
        `${action} of ${field.name} needs ${remedy} in the match (OFPBAC_MATCH_INCONSISTENT)`,
      );
  }
}
