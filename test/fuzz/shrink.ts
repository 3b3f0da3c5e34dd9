/**
 * Delta debugging: the smallest flows, groups and frame for which something still holds (here: that
 * interpreter and switch differ). Lines are taken apart as text, at commas that are in no brackets; a piece
 * that makes a line wrong simply does not hold. Greedy, to a fixed point; the result cannot lose any one
 * piece more.
 */
import type { Input } from "../ovs/private-switch.ts";
import type { Rules } from "./world.ts";

export interface Question {
  readonly rules: Rules;
  readonly input: Input;
}

export type Holds = (question: Question) => Promise<boolean>;

/** `a,b(c,d),e` → a; b(c,d); e. */
export function splitList(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let i = 0; i <= text.length; i++) {
    if (text[i] === "(" || text[i] === "[") depth++;
    else if (text[i] === ")" || text[i] === "]") depth--;
    else if (i === text.length || (text[i] === "," && depth === 0)) {
      if (i > start) parts.push(text.slice(start, i));
      start = i + 1;
    }
  }
  return parts;
}

const NESTED = /^(clone|write_actions)\((.*)\)$/;

/**
 * Shorter lists of actions: one action away, or one nested list shortened, or a clone replaced by what it
 * holds.
 */
function* shorterActions(actions: readonly string[]): Generator<string[]> {
  for (const [i, action] of actions.entries()) {
    const around = (middle: readonly string[]): string[] => [
      ...actions.slice(0, i),
      ...middle,
      ...actions.slice(i + 1),
    ];
    yield around([]);
    const nested = NESTED.exec(action);
    if (nested === null) continue;
    const inner = splitList(nested[2]!);
    yield around(inner);
    for (const shorter of shorterActions(inner))
      if (shorter.length > 0) yield around([`${nested[1]}(${shorter.join(",")})`]);
  }
}

/** Flow lines with one piece less. */
function* shorterFlows(line: string): Generator<string> {
  const [head, list] = line.split(" actions=") as [string, string];
  const actions = list === "drop" ? [] : splitList(list);
  for (const shorter of shorterActions(actions))
    yield `${head} actions=${shorter.length === 0 ? "drop" : shorter.join(",")}`;
  const parts = splitList(head);
  for (const [i, part] of parts.entries())
    if (!part.startsWith("table=")) yield `${parts.filter((_, n) => n !== i).join(",")} actions=${list}`;
}

/** Group lines with one bucket or one action less. */
function* shorterGroups(line: string): Generator<string> {
  const [head, ...buckets] = line.split(",bucket=") as [string, ...string[]];
  for (const [i, bucket] of buckets.entries()) {
    const with_ = (middle: readonly string[]): string =>
      [head, ...buckets.slice(0, i), ...middle, ...buckets.slice(i + 1)].join(",bucket=");
    if (buckets.length > 1) yield with_([]);
    const [before, list] = bucket.split("actions=") as [string, string];
    for (const shorter of shorterActions(splitList(list)))
      if (shorter.length > 0) yield with_([`${before}actions=${shorter.join(",")}`]);
  }
}

/** Frames with less in them: shorter, without a tag or a label, with bytes that are zero. */
function* plainerFrames(frame: Uint8Array): Generator<Uint8Array> {
  for (let cut = frame.length >> 1; cut > 0; cut >>= 1)
    if (frame.length - cut >= 14) yield frame.slice(0, frame.length - cut);
  for (const at of [12, 14, 18])
    if (frame.length >= at + 8) yield Uint8Array.from([...frame.subarray(0, at), ...frame.subarray(at + 4)]);
  for (let width = 8; width > 0; width >>= 1)
    for (let at = 0; at < frame.length; at += width) {
      if (frame.subarray(at, at + width).every(byte => byte === 0)) continue;
      const plainer = frame.slice();
      plainer.fill(0, at, at + width);
      yield plainer;
    }
}

/** Takes away from a list whatever can go: halves first, then ever smaller runs, at last single items. */
async function fewer<T>(
  items: readonly T[],
  holds: (items: readonly T[]) => Promise<boolean>,
): Promise<readonly T[]> {
  let left = items;
  for (let size = Math.max(1, left.length >> 1); size > 0; size >>= 1)
    for (let at = 0; at < left.length; ) {
      const without = [...left.slice(0, at), ...left.slice(at + size)];
      if (await holds(without)) left = without;
      else at += size;
    }
  return left;
}

/** Tries smaller forms of one thing until none of them holds. */
async function smallest<T>(
  one: T,
  smaller: (one: T) => Iterable<T>,
  holds: (one: T) => Promise<boolean>,
): Promise<T> {
  for (let current = one; ; ) {
    let found: T | undefined;
    for (const candidate of smaller(current)) {
      if (!(await holds(candidate))) continue;
      found = candidate;
      break;
    }
    if (found === undefined) return current;
    current = found;
  }
}

async function smallestLines(
  lines: readonly string[],
  smaller: (line: string) => Iterable<string>,
  holds: (lines: readonly string[]) => Promise<boolean>,
): Promise<readonly string[]> {
  let current = await fewer(lines, holds);
  for (const i of current.keys()) {
    const line = await smallest(current[i]!, smaller, one => holds(current.with(i, one)));
    current = current.with(i, line);
  }
  return current;
}

const sizeOf = ({ rules, input }: Question): number =>
  rules.flows.join().length +
  rules.groups.join().length +
  input.frame.filter(byte => byte !== 0).length +
  input.frame.length;

/** The smallest question that still holds. The one that is given must hold. */
export async function shrink(question: Question, holds: Holds): Promise<Question> {
  for (let current = question; ; ) {
    let { rules, input } = current;
    const flows = await smallestLines(rules.flows, shorterFlows, lines =>
      holds({ rules: { ...rules, flows: lines }, input }),
    );
    rules = { ...rules, flows };
    const groups = await smallestLines(rules.groups, shorterGroups, lines =>
      holds({ rules: { ...rules, groups: lines }, input }),
    );
    rules = { ...rules, groups };
    const frame = await smallest(input.frame, plainerFrames, one =>
      holds({ rules, input: { ...input, frame: one } }),
    );
    input = { ...input, frame };
    const next = { rules, input };
    if (sizeOf(next) === sizeOf(current)) return next;
    current = next;
  }
}
