/**
 * Lists of actions and instructions as text (ovs-actions(7)), and the rules for which may follow which. The
 * entries of actions/ parse the actions themselves; action-checks.ts checks that they fit the match.
 */
import type { Consistency } from "./action-checks.ts";
import { entryOf, INSTRUCTIONS, kindOf, outputTo, SPELLINGS, type Spelling } from "./actions/index.ts";
import type { ActionReading } from "./arguments.ts";
import type { Action, Span } from "./ast.ts";
import { clip, Fault, nearest, type Pair, scanPairs } from "./lexer.ts";
import type { Reading } from "./parse-context.ts";
import { isKnownPort, RESERVED_PORTS, readPort } from "./values.ts";

/**
 * ovs-ofctl takes no deeper lists (MAX_OFPACT_PARSE_DEPTH); a dump is deeper at most by what fits into 64 kB.
 */
const MAX_DEPTH = { written: 99, printed: 4095 };

/** All that may stand where an action stands, for suggestions. */
const NAMES = [...SPELLINGS.keys(), "drop", ...RESERVED_PORTS.keys()];

/** Words that a reader may take for actions. */
const MISPLACED: ReadonlyMap<string, string> = new Map([
  ["apply_actions", "apply_actions is the default; write its actions without it"],
  ["nat", "nat is only valid inside ct, as in ct(commit,nat(src=10.0.0.1))"],
]);

/** The action of a pair by its spelling, with the checks that its entry states. */
function parseSpelling(context: ActionReading, pair: Pair, spelling: Spelling): readonly Action[] {
  const parsed = [spelling.parse(context, pair) ?? []].flat();
  const { consistency } = context;
  for (const need of spelling.needs ?? []) consistency.demand(need, pair.span, pair.key.text);
  const last = parsed.at(-1);
  if (last !== undefined) spelling.becomes?.(consistency, last);
  return parsed;
}

function parseAction(context: ActionReading, pair: Pair): readonly Action[] {
  const name = pair.key.text.toLowerCase();
  const spelling = SPELLINGS.get(name);
  if (spelling !== undefined) return parseSpelling(context, pair, spelling);
  const misplaced = MISPLACED.get(name);
  if (misplaced !== undefined) throw new Fault(pair.span, misplaced);
  const { ports } = context.reading;
  const to = isKnownPort(pair.key.text, ports) ? readPort(pair.key.text, ports) : null;
  if (to === null)
    throw new Fault(pair.key, `there is no action ${clip(pair.key.text)}${nearest(pair.key.text, NAMES)}`);
  context.reading.value(pair.key);
  return [outputTo(pair, to)];
}

const APPLY = INSTRUCTIONS.indexOf("apply_actions");

/** The position of an action among the instructions. */
const instructionOf = (action: Action): number =>
  INSTRUCTIONS.indexOf(entryOf(action).instruction ?? "apply_actions");

function checkOrder(actions: readonly Action[]): void {
  let last = 0;
  for (const action of actions) {
    const now = instructionOf(action);
    if (now < last || (now === last && now !== APPLY && action !== actions[0])) {
      const name = INSTRUCTIONS[now]!;
      const before = INSTRUCTIONS[last]!;
      const what = now === last ? `there can be only one ${name}` : `${name} must stand before ${before}`;
      throw new Fault(action.span, `${what}: OpenFlow 1.1 and later have one order of instructions`);
    }
    last = now;
  }
}

function checkConjunctions(actions: readonly Action[]): void {
  if (!actions.some(({ type }) => type === "conjunction")) return;
  const other = actions.find(action => entryOf(action).isBesideConjunction !== true);
  if (other !== undefined) throw new Fault(other.span, "beside conjunction only note may stand");
}

function checkSet(actions: readonly Action[]): void {
  for (const action of actions) {
    const { inWriteActions } = entryOf(action);
    const isAllowed = typeof inWriteActions === "function" ? inWriteActions(action) : inWriteActions;
    if (isAllowed === true) continue;
    const what = isAllowed === false ? kindOf(action) : isAllowed;
    throw new Fault(action.span, `${what} cannot stand inside of write_actions (OFPBAC_BAD_TYPE)`);
  }
}

/** Reads a list of actions inside of parentheses or at the end of a flow. */
export function parseActionList(context: ActionReading, text: Span): Action[] {
  const limit = MAX_DEPTH[context.reading.isPrinted ? "printed" : "written"];
  if (context.depth > limit) throw new Fault(text, `actions are nested more than ${limit} deep`);
  const actions: Action[] = [];
  let drop: Span | null = null;
  let count = 0;
  for (const pair of scanPairs(context.reading.text, text.start, text.end)) {
    if (pair.key.text.toLowerCase() === "drop") {
      drop = pair.span;
      continue;
    }
    count++;
    for (const action of parseAction(context, pair)) {
      if (context.nesting !== "flow" && entryOf(action).instruction !== undefined)
        throw new Fault(action.span, `${action.type} cannot stand inside of ${context.nesting}`);
      actions.push(action);
    }
  }
  if (drop !== null && count > 0) throw new Fault(drop, "drop stands alone: it is a list of no actions");
  checkConjunctions(actions);
  if (context.nesting === "write_actions" && !context.reading.isPrinted) checkSet(actions);
  return actions;
}

/** Reads all actions of a flow; instructions stand in their order. */
export function parseInstructions(reading: Reading, consistency: Consistency, text: Span): Action[] {
  const actions = parseActionList(
    { reading, consistency, nesting: "flow", depth: 0, readList: parseActionList },
    text,
  );
  checkOrder(actions);
  return actions;
}
