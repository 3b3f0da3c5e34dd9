/**
 * Edits of flow tables that are written in the whole language: neutral ones, that leave everything as it is,
 * and such as change it, mostly by little, so that many frames do not notice. Lines in, lines out; what does
 * not parse is thrown away by whoever asks. An edit knows nothing of what a flow does.
 */
import { formatFlow, type Protocol, parseFlow } from "../../../src/openflow/index.ts";
import { randomAction, type Scene, TABLES } from "../../fuzz/actions.ts";
import type { Rng } from "../../model/random.ts";

/** Gives other lines, or null where there is nothing for it to do. */
type Edit = (r: Rng, lines: readonly string[], protocol: Protocol) => string[] | null;

/** `table=…,priority=…,match` and the actions. */
interface Parts {
  readonly head: string;
  readonly actions: readonly string[];
}

/** Actions apart, at the commas that are in no parentheses. */
function split(line: string): Parts {
  const [head, text] = line.split(" actions=") as [string, string];
  const actions: string[] = [];
  let depth = 0;
  let part = "";
  for (const char of text) {
    depth += char === "(" ? 1 : char === ")" ? -1 : 0;
    if (char === "," && depth === 0) {
      actions.push(part);
      part = "";
    } else part += char;
  }
  return { head, actions: [...actions, part].filter(one => one !== "drop") };
}

const joined = ({ head, actions }: Parts): string =>
  `${head} actions=${actions.length === 0 ? "drop" : actions.join(",")}`;

const with_ = (lines: readonly string[], at: number, ...put: string[]): string[] =>
  lines.toSpliced(at, 1, ...put);

/** An edit of one flow. */
const ofLine =
  (edit: (r: Rng, line: string, protocol: Protocol) => string | null): Edit =>
  (r, lines, protocol) => {
    const at = r.below(lines.length);
    const line = edit(r, lines[at]!, protocol);
    return line === null ? null : with_(lines, at, line);
  };

/** An edit of the actions of one flow. */
const ofActions = (edit: (r: Rng, actions: readonly string[]) => string[] | null): Edit =>
  ofLine((r, line) => {
    const { head, actions } = split(line);
    const next = edit(r, actions);
    return next === null ? null : joined({ head, actions: next });
  });

/** What is an instruction from OpenFlow 1.1 on has its place at the end. */
const isInstruction = (action: string): boolean => /^(write_|clear_|goto_|meter)/.test(action);
const countActions = (actions: readonly string[]): number => {
  const at = actions.findIndex(isInstruction);
  return at < 0 ? actions.length : at;
};

/** Places `put` at a place among the actions. */
function inserted(r: Rng, actions: readonly string[], ...put: string[]): string[] {
  return actions.toSpliced(r.between(0, countActions(actions)), 0, ...put);
}

const respelt = (line: string, protocol: Protocol): string | null => {
  const { flow } = parseFlow(line, undefined, { protocol });
  return flow === null ? null : formatFlow(flow);
};

export const NEUTRAL: Readonly<Record<string, Edit>> = {
  nothing: (_, lines) => [...lines],
  "another order": (_, lines) => lines.toReversed(),
  respelt: (_, lines, protocol) => lines.map(line => respelt(line, protocol) ?? line),
  "priorities moved": (_, lines) =>
    lines.map(line => line.replace(/priority=(\d+)/, (_, n) => `priority=${2 * Number(n) + 7}`)),
  "goto and resubmit": ofActions((_, actions) => {
    const last = actions.at(-1);
    if (
      last === undefined ||
      !last.startsWith("goto_table:") ||
      actions.some(one => /^write_|^clear_/.test(one))
    )
      return null;
    return [...actions.slice(0, -1), last.replace(/goto_table:(\d+)/, "resubmit(,$1)")];
  }),
  "split by a port": (r, lines) => {
    const at = r.below(lines.length);
    const { head, actions } = split(lines[at]!);
    if (head.includes("in_port=")) return null;
    return with_(lines, at, joined({ head: `${head},in_port=${r.between(1, 4)}`, actions }), lines[at]!);
  },
  "split by a register": (r, lines) => {
    const at = r.below(lines.length);
    const { head, actions } = split(lines[at]!);
    if (/reg/.test(head)) return null;
    const bit = 1 << r.below(3);
    return with_(
      lines,
      at,
      ...[0, bit].map(value =>
        joined({ head: `${head},reg${r.below(4) === 0 ? 9 : 0}=${value}/${bit}`, actions }),
      ),
    );
  },
  "a dead store": ofActions((r, actions) => inserted(r, actions, "set_field:3->reg9")),
  "a note": ofActions((r, actions) => inserted(r, actions, "note:07")),
  "pushed and popped": ofActions((r, actions) =>
    inserted(r, actions, "push:NXM_NX_REG0[]", "pop:NXM_NX_REG0[]"),
  ),
  "a clone of nothing": ofActions((r, actions) => inserted(r, actions, "clone(set_field:1->reg1)")),
  "a flow that is hidden": (r, lines) => {
    const at = r.below(lines.length);
    const { head } = split(lines[at]!);
    const priority = Number(/priority=(\d+)/.exec(head)![1]);
    if (priority === 0) return null;
    return [...lines, `${head.replace(/priority=\d+/, `priority=${priority - 1}`)},reg8=0 actions=output:2`];
  },
};

const scene = (r: Rng): Scene => ({
  r,
  known: {
    type: r.pick([0, 0, 0x0800, 0x8847, 0x86dd, 0x0806]),
    protocol: 0,
    discovery: 0,
    tags: r.below(2),
  },
  table: r.below(TABLES),
  depth: 0,
});

/** Digits that an edit changes: of ports, values, tables, groups. */
const NUMBER = /(?<=[:=(,/])\d+(?![\da-fx.:])/g;

function otherNumber(r: Rng, text: string): string | null {
  const places = [...text.matchAll(NUMBER)];
  if (places.length === 0) return null;
  const { index, 0: digits } = r.pick(places);
  const other = r.pick([Number(digits) + 1, Math.max(0, Number(digits) - 1), r.below(5)]);
  return `${text.slice(0, index)}${other}${text.slice(index + digits.length)}`;
}

export const CHANGING: Readonly<Record<string, Edit>> = {
  "a flow is gone": (r, lines) => (lines.length < 2 ? null : lines.toSpliced(r.below(lines.length), 1)),
  "two actions swapped": ofActions((r, actions) => {
    const count = countActions(actions);
    if (count < 2) return null;
    const at = r.below(count - 1);
    return actions.toSpliced(at, 2, actions[at + 1]!, actions[at]!);
  }),
  "an action gone": ofActions((r, actions) =>
    actions.length === 0 ? null : actions.toSpliced(r.below(actions.length), 1),
  ),
  "an action twice": ofActions((r, actions) => {
    const count = countActions(actions);
    if (count === 0) return null;
    const at = r.below(count);
    return actions.toSpliced(at, 0, actions[at]!);
  }),
  "another action": ofActions((r, actions) => inserted(r, actions, randomAction(scene(r)))),
  "an action of another flow": (r, lines) => {
    const from = split(r.pick(lines)).actions.filter(one => !isInstruction(one));
    if (from.length === 0) return null;
    const at = r.below(lines.length);
    const { head, actions } = split(lines[at]!);
    return with_(lines, at, joined({ head, actions: inserted(r, actions, r.pick(from)) }));
  },
  "another number in the actions": ofLine((r, line) => {
    const { head, actions } = split(line);
    const text = otherNumber(r, `,${actions.join(",")}`);
    return text === null ? null : `${head} actions=${text.slice(1)}`;
  }),
  "another number in the match": ofLine((r, line) => {
    const { head, actions } = split(line);
    const [table, priority, ...match] = head.split(",");
    const text = otherNumber(r, `,${match.join(",")}`);
    return text === null ? null : joined({ head: [table, priority, text.slice(1)].join(","), actions });
  }),
  "a part of the match gone": ofLine((r, line) => {
    const { head, actions } = split(line);
    const parts = head.split(",");
    if (parts.length < 3) return null;
    return joined({ head: parts.toSpliced(r.between(2, parts.length - 1), 1).join(","), actions });
  }),
  "another priority": ofLine((r, line) => line.replace(/priority=\d+/, `priority=${r.below(900)}`)),
  "into a clone": ofActions((r, actions) => {
    const count = countActions(actions);
    if (count === 0) return null;
    const from = r.below(count);
    const much = r.between(1, count - from);
    return actions.toSpliced(from, much, `clone(${actions.slice(from, from + much).join(",")})`);
  }),
  "out of a clone": ofActions((_, actions) => {
    const at = actions.findIndex(one => one.startsWith("clone("));
    return at < 0 ? null : actions.toSpliced(at, 1, actions[at]!.slice(6, -1));
  }),
  "a label on and off": ofActions((r, actions) =>
    inserted(
      r,
      actions,
      "push_mpls:0x8847",
      `pop_mpls:${r.pick(["0x0800", "0x0800", "0x86dd", "0x0806", "0x8847"])}`,
    ),
  ),
  "a tag on and off": ofActions((r, actions) =>
    inserted(r, actions, `push_vlan:${r.pick(["0x8100", "0x88a8"])}`, "pop_vlan"),
  ),
  "the controller told": ofActions((r, actions) => inserted(r, actions, "controller")),
};

const isRead = (line: string, protocol: Protocol): boolean =>
  parseFlow(line, undefined, { protocol }).flow !== null;

/** Other lines by one to three edits, with the names of the edits. */
export function edited(
  r: Rng,
  lines: readonly string[],
  protocol: Protocol,
): { readonly lines: readonly string[]; readonly names: readonly string[] } {
  let now: readonly string[] = lines;
  const names: string[] = [];
  const count = r.pick([1, 1, 1, 2, 3]);
  for (let tries = 0; names.length < count && tries < 30; tries++) {
    const [name, edit] = r.pick(Object.entries(r.chance(35) ? NEUTRAL : CHANGING));
    const next = edit(r, now, protocol);
    if (next === null || !next.every(line => now.includes(line) || isRead(line, protocol))) continue;
    now = next;
    names.push(name);
  }
  return { lines: now, names };
}
