/**
 * Texts that identify events, and the order in which the events of two machines are compared.
 */
import { ACCOMPANYING_WORDS, KEY } from "../../openflow/index.ts";
import { unreachable } from "../../wire/index.ts";
import type { Event } from "../symbolic/state.ts";
import { namesOf, type Word } from "../symbolic/terms.ts";

/** The parts of an outcome that the user can exclude from the comparison. */
export const IGNORABLE = ["queue", "mark", "packet-in", "sample", "order"] as const;
export type Ignored = (typeof IGNORABLE)[number];

/** A text for an event: equal texts mean equal numbers, words and bytes. */
function nameOf(event: Event): string {
  switch (event.is) {
    case "output": {
      const { port, notTo, maxBytes, wire, state } = event;
      return `o ${port.id} ${notTo?.id} ${maxBytes} ${wire.id} ${namesOf(state)}`;
    }
    case "packet_in": {
      const { reason, id, maxBytes, userdata } = event.to;
      return `p ${reason} ${id} ${maxBytes} ${userdata} ${event.wire.id} ${namesOf(event.state)}`;
    }
    case "effect":
      return `e ${event.effect} ${event.text} ${namesOf(event.words)} ${event.wire?.id}`;
    default:
      return unreachable(event);
  }
}

export const sameEvent = (a: Event, b: Event): boolean => a === b || nameOf(a) === nameOf(b);
export const eventsName = (events: readonly Event[]): string => events.map(nameOf).join("|");

type EffectEvent = Extract<Event, { is: "effect" }>;

/** Whether the switch's own state determines what the event does. */
export const isUncertain = (event: Event): event is EffectEvent =>
  event.is === "effect" && (event.effect === "puts out" || event.effect === "tracks");

/**
 * Events in their order of comparison: outputs, packet-ins, learned flows, samples, each in their own order.
 * Connection tracking and meters may drop what follows, so no event moves past them.
 */
export function inOrder(events: readonly Event[], ignored: ReadonlySet<Ignored>): Event[] {
  const out: Event[] = [];
  let part: Event[] = [];
  const flush = (): void => {
    out.push(...stretch(part, ignored));
    part = [];
  };
  for (const event of events) {
    if (event.is === "effect" && event.effect === "tracks") {
      flush();
      out.push(event);
    } else if (!isIgnored(event, ignored)) part.push(event);
  }
  flush();
  return out;
}

function isIgnored(event: Event, ignored: ReadonlySet<Ignored>): boolean {
  if (event.is === "packet_in") return ignored.has("packet-in");
  return event.is === "effect" && event.effect === "samples" && ignored.has("sample");
}

const RANKS = ["leaves", "packet_in", "learns", "samples"] as const;

export function rankOf(event: Event): (typeof RANKS)[number] {
  if (event.is === "packet_in") return "packet_in";
  return event.is === "effect" && event.effect !== "puts out" && event.effect !== "tracks"
    ? event.effect
    : "leaves";
}

function stretch(events: readonly Event[], ignored: ReadonlySet<Ignored>): Event[] {
  return RANKS.flatMap(rank => {
    const own = events.filter(event => rankOf(event) === rank);
    return rank === "leaves" && ignored.has("order") ? byPort(own) : own;
  });
}

/** Outputs sorted by port if all ports are constant: no receiver sees the order of outputs to other ports. */
function byPort(events: readonly Event[]): readonly Event[] {
  if (!events.every(event => event.is === "output" && event.port.value !== null)) return events;
  const portOf = (event: Event): number => (event.is === "output" ? event.port.value! : 0);
  return [...events].sort((a, b) => portOf(a) - portOf(b));
}

/** The event without ignored ACCOMPANYING_WORDS. */
export function withoutIgnored(event: Event, ignored: ReadonlySet<Ignored>, none: Word): Event {
  if (event.is !== "output" || !(ignored.has("queue") || ignored.has("mark"))) return event;
  const state = event.state.map((word, index) => {
    const at = ACCOMPANYING_WORDS[index];
    const isLeftOut =
      (at === KEY.skbPriority && ignored.has("queue")) || (at === KEY.pktMark && ignored.has("mark"));
    return isLeftOut ? none : word;
  });
  return { ...event, state };
}

/** The events of one list that another list lacks; duplicates are counted. */
export function without(events: readonly Event[], others: readonly Event[]): Event[] {
  const names = others.map(nameOf);
  return events.filter(event => {
    const at = names.indexOf(nameOf(event));
    if (at >= 0) names.splice(at, 1);
    return at < 0;
  });
}

export const comesLater = (a: Event, b: Event): boolean =>
  RANKS.indexOf(rankOf(a)) > RANKS.indexOf(rankOf(b));
