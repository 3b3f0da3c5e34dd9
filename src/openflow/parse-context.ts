/**
 * One line while it is read: its text and source, the names that are known, and what is found along the way,
 * warnings and the columns of values. Warnings are collected here; the first error ends the line (a `Fault`).
 */

import type { SourceLocation, Span, TextProblem } from "./ast.ts";
import type { Field } from "./fields.ts";
import { problemAt } from "./lexer.ts";
import type { Names } from "./symbols.ts";

/** A value in a line: what could be another one in a line of the same template. */
export interface ValueToken {
  readonly span: Span;
  /** What it belongs to: a word such as `cookie` or `n_packets`, a field of the match, or an action. */
  readonly role: "info" | "match" | "action";
  /** The field whose value it is; null for what is no field (priority, a port of `output`, a table). */
  readonly field: Field | null;
}

/** OpenFlow versions that differ in what they take. */
export type Protocol = "OpenFlow10" | "OpenFlow13" | "OpenFlow15";

export interface ParseOptions {
  /** Numbers of ports by name: `--names` dumps need it. `SymbolNames` gives one to every name. */
  readonly ports?: Names;
  /** Numbers of tables by name, in the same way. */
  readonly tables?: Names;
  /** Flows that cannot be read are left out and counted instead of being errors. */
  readonly lenient?: boolean;
  /**
   * Reject what this version rejects: from 1.1 on, actions that do not fit the match. Without it they are
   * warnings.
   */
  readonly protocol?: Protocol;
  /**
   * The version whose meaning the words have that change with it (`mod_vlan_vid`, `enqueue`, …); `protocol`
   * when it is left out. Null: `mod_vlan_vid` sets the VLAN of a tagged packet, and pushes a tag onto another
   * one.
   */
  readonly version?: Protocol | null;
  /**
   * True for text that a switch printed. It has what it says it has: the checks of add-flow do not apply, and
   * spellings that are printed and not taken as input are read.
   */
  readonly isPrinted?: boolean;
  /** True for fields of a packet, which may have more of them than a match of a flow. */
  readonly isPacket?: boolean;
  /** Read the first `mod_vlan_vid` or `mod_vlan_pcp` of a list as a push of a tag, which is then set. */
  readonly isPushing?: boolean;
}

const NO_NAMES: Names = new Map();

export class Reading {
  readonly text: string;
  readonly source: SourceLocation;
  readonly ports: Names;
  readonly tables: Names;
  readonly protocol: Protocol | null;
  readonly version: Protocol | null;
  readonly isPrinted: boolean;
  readonly isPacket: boolean;
  readonly isPushing: boolean;
  readonly problems: TextProblem[] = [];
  readonly values: ValueToken[] = [];

  constructor(text: string, source: SourceLocation, options: ParseOptions) {
    this.text = text;
    this.source = source;
    this.ports = options.ports ?? NO_NAMES;
    this.tables = options.tables ?? NO_NAMES;
    this.protocol = options.protocol ?? null;
    this.version = options.version === undefined ? this.protocol : options.version;
    this.isPrinted = options.isPrinted === true;
    this.isPacket = options.isPacket === true;
    this.isPushing = options.isPushing === true;
  }

  warn(span: Span, message: string): void {
    this.problems.push(problemAt(this.source, span, "warning", message));
  }

  error(span: Span, message: string): void {
    this.problems.push(problemAt(this.source, span, "error", message));
  }

  /** Notes a value of an action. */
  value(span: Span, field: Field | null = null): void {
    if (span.end > span.start) this.values.push({ span, role: "action", field });
  }
}
