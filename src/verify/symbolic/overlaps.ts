/**
 * Overlaps: flows of equal priority whose matches may match the same packet and whose actions differ.
 * OpenFlow leaves the choice undefined. Computed once per table from the matches alone, so it
 * over-approximates: a reported pair may never match one packet, and no pair is missing. The proof decides
 * whether a packet reaches them.
 */
import type { Budget } from "../budget.ts";
import type { Node, Rule } from "./bands.ts";
import type { WordTest } from "./match-tests.ts";
import { Subtable } from "./sorted-subtable.ts";

/** The actions of flows, by index: flows with equal texts do the same. */
export interface ActionTexts {
  actionsOf(flow: number): string;
}

/** For each node, the indices of later nodes that may overlap with it. */
export function overlapsOf(texts: ActionTexts, nodes: readonly Node[], budget: Budget): number[][] {
  return nodes.map((a, i) => {
    const overlapping: number[] = [];
    for (let at = i + 1; at < nodes.length; at++) {
      budget.step();
      if (doOverlap(texts, a, nodes[at]!)) overlapping.push(at);
    }
    return overlapping;
  });
}

const compatible = (a: readonly WordTest[], b: readonly WordTest[]): boolean =>
  a.every(test => {
    const other = b.find(({ word }) => word === test.word);
    return other === undefined || ((test.value ^ other.value) & test.mask & other.mask) === 0;
  });

const sharedTests = (node: Node): readonly WordTest[] =>
  node instanceof Subtable ? node.constants : node.tests;

function doOverlap(texts: ActionTexts, a: Node, b: Node): boolean {
  if (!compatible(sharedTests(a), sharedTests(b))) return false;
  if (a instanceof Subtable && b instanceof Subtable) return subtablesOverlap(texts, a, b);
  if (a instanceof Subtable) return ruleOverlaps(texts, b as Rule, a);
  if (b instanceof Subtable) return ruleOverlaps(texts, a, b);
  return texts.actionsOf(a.flow) !== texts.actionsOf(b.flow);
}

/** Rows that agree with the tests, at most `limit` of them. */
function rowsWith(subtable: Subtable, tests: readonly WordTest[], limit: number): number[] {
  const found: number[] = [];
  const checks = subtable.words.flatMap((word, k) => {
    const test = tests.find(other => other.word === word);
    const mask = test === undefined ? 0 : test.mask & subtable.masks[k]!;
    return mask === 0 ? [] : [{ key: subtable.keys[k]!, mask, value: test!.value }];
  });
  for (let row = 0; row < subtable.size && found.length < limit; row++) {
    if (checks.every(({ key, mask, value }) => ((key[row]! ^ value) & mask) === 0)) found.push(row);
  }
  return found;
}

const ROWS_COMPARED = 64;

function ruleOverlaps(texts: ActionTexts, rule: Rule, subtable: Subtable): boolean {
  const rows = rowsWith(subtable, rule.tests, ROWS_COMPARED);
  if (rows.length === ROWS_COMPARED) return true;
  const actions = texts.actionsOf(rule.flow);
  return rows.some(row => texts.actionsOf(subtable.flows[row]!) !== actions);
}

/** Pairs of rows whose actions are compared; with more, two subtables count as overlapping. */
const MAX_COMPARED = 50_000;

/**
 * Whether two subtables have rows that agree in all bits that both compare, and act differently. A hash
 * collision counts as agreement.
 */
function subtablesOverlap(texts: ActionTexts, a: Subtable, b: Subtable): boolean {
  const common = a.words.flatMap((word, k) => {
    const other = b.words.indexOf(word);
    const mask = other < 0 ? 0 : a.masks[k]! & b.masks[other]!;
    return mask === 0 ? [] : [{ left: a.keys[k]!, right: b.keys[other]!, mask }];
  });
  const fitting = (subtable: Subtable, tests: readonly WordTest[]): boolean =>
    rowsWith(subtable, tests, 1).length > 0;
  if (!fitting(a, b.constants) || !fitting(b, a.constants)) return false;
  if (common.length === 0) return true;
  const hashOf = (row: number, side: "left" | "right"): number =>
    common.reduce((hash, one) => Math.imul(hash ^ (one[side][row]! & one.mask), 0x9e3779b1) >>> 0, 7);
  const seen = new Set<number>();
  for (let row = 0; row < a.size; row++) seen.add(hashOf(row, "left"));
  const found = new Map<number, number[]>();
  let compared = 0;
  for (let row = 0; row < b.size; row++) {
    const hash = hashOf(row, "right");
    if (!seen.has(hash)) continue;
    if (++compared > MAX_COMPARED) return true;
    const known = found.get(hash);
    if (known === undefined) found.set(hash, [row]);
    else known.push(row);
  }
  for (let row = 0; row < a.size && found.size > 0; row++)
    for (const other of found.get(hashOf(row, "left")) ?? []) {
      if (++compared > MAX_COMPARED) return true;
      if (texts.actionsOf(a.flows[row]!) !== texts.actionsOf(b.flows[other]!)) return true;
    }
  return false;
}
