/**
 * The table-driven checker: walks the tree of yaml-tree.ts along a spec of schema-table.ts, returns typed
 * values with their places, and reports every error. It checks single values; load.ts checks rules that join
 * two values. A value with an error is null, so that one mistake causes one message.
 */

import { unreachable } from "../wire/index.ts";
import { either, nearest, printable, quoted } from "./diagnostics.ts";
import type {
  ChoiceSpec,
  IntegerSpec,
  Key,
  ListSpec,
  Located,
  RecordSpec,
  Spec,
  TextSpec,
  ValueOf,
} from "./schema-table.ts";
import { Fault, formatRange, inRange, readHostAddress, readMac, readPrefix } from "./values.ts";
import type { Entry, ListNode, MapNode, Node, Report, ScalarNode } from "./yaml-tree.ts";

/** The type that YAML's core schema assigns to a plain scalar (YAML 1.2.2 §10.3.2). */
const PLAIN_TYPES: readonly { readonly type: PlainType; readonly form: RegExp }[] = [
  { type: "nothing", form: /^(?:~|null|Null|NULL)?$/ },
  { type: "a truth value", form: /^(?:true|True|TRUE|false|False|FALSE)$/ },
  { type: "a whole number", form: /^(?:[-+]?\d+|0o[0-7]+|0x[0-9a-fA-F]+)$/ },
  {
    type: "a number",
    form: /^(?:[-+]?(?:\.\d+|\d+(?:\.\d*)?)(?:[eE][-+]?\d+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/,
  },
];
type PlainType = "nothing" | "a truth value" | "a whole number" | "a number" | "a text";

function typeOf(node: ScalarNode): PlainType {
  if (!node.plain) return "a text";
  return PLAIN_TYPES.find(({ form }) => form.test(node.text))?.type ?? "a text";
}

function isNothing(node: Node): boolean {
  return node.kind === "scalar" && typeOf(node) === "nothing";
}

/** Checks a tree against a spec; `visitsMax` limits the nodes visited, which aliases can multiply. */
export class Checker {
  readonly #report: Report;
  readonly #visitsMax: number;
  #visits = 0;

  constructor(report: Report, visitsMax: number) {
    this.#report = report;
    this.#visitsMax = visitsMax;
  }

  /** The value of `node`, or null after a report. `path` names it in messages; "" is the whole file. */
  check<S extends Spec>(spec: S, node: Node, path: string, at = node.at): Located<ValueOf<S>> | null {
    if (++this.#visits >= this.#visitsMax) {
      if (this.#visits === this.#visitsMax) {
        this.#report(at, "aliases repeat too much here; write out what they stand for");
      }
      return null;
    }
    const value = this.#valueOf(spec, node, path, at);
    if (!(value instanceof Fault)) return value === null ? null : { at, value: value as ValueOf<S> };
    this.#report(at, `${path}: ${value.message}`);
    return null;
  }

  /** The value; null if the error was reported for an inner value. */
  #valueOf(spec: Spec, node: Node, path: string, at: number): unknown {
    if (spec.kind === "record") {
      if (node.kind === "map") return this.#record(spec, node, path);
      const wanted = `${spec.what} is a mapping with the keys ${Object.keys(spec.keys).join(", ")}`;
      return new Fault(`${describe(node)}; ${wanted}`);
    }
    if (spec.kind === "list") {
      if (node.kind === "list") return this.#list(spec, node, path, at);
      const hint = node.kind === "scalar" && !isNothing(node) ? `, as in [${printable(node.text)}]` : "";
      return new Fault(`${describe(node)}; expected ${spec.what}${hint}`);
    }
    if (node.kind !== "scalar" || isNothing(node)) {
      return new Fault(`${describe(node)}; expected ${spec.what}`);
    }
    switch (spec.kind) {
      case "integer":
        return integer(spec, node);
      case "text":
        return text(spec, node);
      case "choice":
        return choice(spec, node);
      // These three have their own syntax; the type that YAML would assign does not matter.
      case "mac":
        return readMac(node.text);
      case "address":
        return readHostAddress(node.text);
      case "prefix":
        return readPrefix(node.text);
      default:
        return unreachable(spec);
    }
  }

  #list(spec: ListSpec, node: ListNode, path: string, at: number): unknown {
    const count = node.items.length;
    if (count < spec.min) return new Fault(`the list is empty; at least ${spec.min} is needed`);
    if (spec.max !== null && count > spec.max) {
      return new Fault(`${count} are too many; ${spec.maxReason}`);
    }
    const values: (Located<unknown> | null)[] = [];
    for (const [index, item] of node.items.entries()) {
      const itemAt = isNothing(item) && item.at === 0 ? at : item.at;
      values.push(this.check(spec.of as Spec, item, `${path}[${index}]`, itemAt));
    }
    return values;
  }

  #record(spec: RecordSpec, node: MapNode, path: string): unknown {
    const names = Object.keys(spec.keys);
    for (const [name, entry] of node.entries) {
      if (!Object.hasOwn(spec.keys, name)) this.#unknownKey(name, entry, spec, path);
    }
    const values: { [name: string]: Located<unknown> | null } = {};
    for (const name of names) {
      const key = spec.keys[name]!;
      const entry = node.entries.get(name);
      values[name] = null;
      if (entry === undefined) {
        if (key.required) this.#report(node.at, `${path === "" ? "" : `${path}: `}${missing(name, key)}`);
        continue;
      }
      // `routes:` with nothing behind it is what remains when all routes are commented out.
      const nothing = isNothing(entry.value);
      if (nothing && !key.required) continue;
      const valueAt = nothing ? entry.keyAt : entry.value.at;
      values[name] = this.check(key.spec, entry.value, path === "" ? name : `${path}.${name}`, valueAt);
    }
    return values;
  }

  #unknownKey(name: string, entry: Entry, spec: RecordSpec, path: string): void {
    this.#report(entry.keyAt, () => {
      const names = Object.keys(spec.keys);
      const near = nearest(name, names);
      const hint = near === null ? `valid keys: ${names.join(", ")}` : `did you mean ${near}?`;
      const where = path === "" ? "" : `${path}: `;
      return `${where}${printable(name) || '""'} is not a key of ${spec.what}; ${hint}`;
    });
  }
}

/** `mac is missing; give a MAC address, as in mac: 52:54:00:00:00:0b`. */
function missing(name: string, key: Key): string {
  const example = key.examples[0];
  if (key.spec.kind === "record") {
    const required = Object.entries(key.spec.keys).filter(([, inner]) => inner.required);
    return `${name} is missing; give ${key.spec.what} with ${required.map(([inner]) => inner).join(", ")}`;
  }
  const shown = Array.isArray(example) ? `[${example.join(", ")}]` : String(example);
  return `${name} is missing; give ${key.spec.what}, as in ${name}: ${shown}`;
}

function describe(node: Node): string {
  if (node.kind === "map") return "this is a mapping";
  if (node.kind === "list") return "this is a list";
  return isNothing(node) ? "there is no value" : `${quoted(node.text)} is a single value`;
}

function integer(spec: IntegerSpec, node: ScalarNode): number | Fault {
  const type = typeOf(node);
  const shown = printable(node.text);
  // + 0 turns the -0 that "-0" reads as into 0.
  if (type === "a whole number") return inRange(Number(node.text) + 0, shown, spec);
  const range = `${spec.what} is a whole number ${formatRange(spec)}`;
  if (type !== "a text") return new Fault(`${shown} is not a whole number; ${range}`);
  const isNumber = !node.plain && /^\d+$/.test(node.text);
  if (!isNumber) return new Fault(`${quoted(node.text)} is not a number; ${range}`);
  return new Fault(`${quoted(node.text)} is text, because it is quoted; ${range}, without quotes`);
}

/** Controls, lone surrogates and line separators, which interface names, terminals or UTF-8 do not allow. */
const NOT_IN_NAMES = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]/u;

function text(spec: TextSpec, node: ScalarNode): string | Fault {
  const type = typeOf(node);
  if (type !== "a text") {
    return new Fault(`${printable(node.text)} is ${type} in YAML; put it in quotes: ${quoted(node.text)}`);
  }
  if (node.text.trim() === "") return new Fault(`${quoted(node.text)} is blank; expected ${spec.what}`);
  if (NOT_IN_NAMES.test(node.text)) {
    return new Fault(`${quoted(node.text)} contains a control character; remove it`);
  }
  if (node.text.length > spec.max) {
    return new Fault(`${quoted(node.text)} is too long; ${spec.what} has at most ${spec.max} characters`);
  }
  return node.text;
}

function choice(spec: ChoiceSpec, node: ScalarNode): string | Fault {
  if (spec.choices.includes(node.text)) return node.text;
  return new Fault(`${quoted(node.text)} is not ${spec.what}; ${spec.what} is ${either(spec.choices)}`);
}
