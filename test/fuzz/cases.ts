/**
 * Cases that the fuzzer found, as text files for people: what the switch was given, the frame, the switch's
 * answer, and what the interpreter said when the case was found. One keyword a line; `#` begins a comment.
 * Fields and actions are those of ovs-fields(7) and ovs-actions(7).
 */

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type OvsVersion, USUAL_OVS } from "../../src/openflow/index.ts";
import { hexOf } from "../openflow/interpret/compare.ts";
import type { Input, Protocol } from "../ovs/private-switch.ts";
import type { Rules } from "./world.ts";

export const CASES = join(import.meta.dirname, "cases");

export interface Case {
  /** Why it is kept, in a line or more. */
  readonly comment: string;
  readonly rules: Rules;
  readonly input: Input;
  /** The switch's answer; the interpreter must give the same. */
  readonly theirs: readonly string[];
  /** What the interpreter said when the case was found. */
  readonly ours: readonly string[];
  /** The interpreter does not claim to know this answer. */
  readonly isUnknown: boolean;
}

export function formatCase({ comment, rules, input, theirs, ours, isUnknown }: Case): string {
  return [
    ...comment.split("\n").map(line => `# ${line}`),
    `protocol ${rules.protocol}`,
    ...(rules.ovs === undefined || rules.ovs === USUAL_OVS ? [] : [`ovs ${rules.ovs}`]),
    ...rules.groups.map(group => `group ${group}`),
    ...rules.flows.map(flow => `flow ${flow}`),
    `in_port ${input.inPort}`,
    `frame ${hexOf(input.frame)}`,
    ...theirs.map(line => `switch ${line}`),
    ...ours.map(line => `found ${line}`),
    ...(isUnknown ? ["interpreter unknown"] : []),
    "",
  ].join("\n");
}

export function parseCase(text: string): Case {
  const lines = text.split("\n").filter(line => line !== "");
  const of = (keyword: string): string[] =>
    lines.filter(line => line.startsWith(`${keyword} `)).map(line => line.slice(keyword.length + 1));
  const [ovs] = of("ovs");
  return {
    comment: of("#").join("\n"),
    rules: {
      groups: of("group"),
      flows: of("flow"),
      protocol: of("protocol")[0] as Protocol,
      ...(ovs === undefined ? {} : { ovs: ovs as OvsVersion }),
    },
    input: { inPort: Number(of("in_port")[0]), frame: new Uint8Array(Buffer.from(of("frame")[0]!, "hex")) },
    theirs: of("switch"),
    ours: of("found"),
    isUnknown: of("interpreter")[0] === "unknown",
  };
}

/** All cases by the name of their file. */
export function allCases(): Map<string, Case> {
  const names = readdirSync(CASES).filter(name => name.endsWith(".txt"));
  return new Map(names.sort().map(name => [name, parseCase(readFileSync(join(CASES, name), "utf8"))]));
}

export function writeCase(name: string, one: Case): void {
  writeFileSync(join(CASES, name), formatCase(one));
}
