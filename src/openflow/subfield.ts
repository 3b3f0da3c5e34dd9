/**
 * Subfields: `reg0`, `NXM_NX_REG0[]`, `reg0[3]`, `NXM_OF_IP_DST[0..7]` (ovs-actions(7), "Field
 * Specifications").
 */
import type { Subfield } from "./ast.ts";
import { FIELD_NAMES, findField } from "./fields.ts";
import { clip, Fault, nearest, type Token } from "./lexer.ts";

const SUBFIELD = /^([A-Za-z0-9_]+)(?:\[(?:(\d+)(?:\.\.(\d+))?)?\])?$/;

/** Reads a subfield; throws a `Fault` that points at it. */
export function parseSubfield(text: Token): Subfield {
  const found = text.text.length > 200 ? null : SUBFIELD.exec(text.text);
  if (found === null)
    throw new Fault(text, `${clip(text.text)} is not a field; expected reg0, reg0[] or reg0[0..7]`);
  const field = findField(found[1]!);
  if (field === undefined)
    throw new Fault(text, `there is no field ${clip(found[1]!)}${nearest(found[1]!, FIELD_NAMES)}`);
  if (found[2] === undefined) return { field, start: 0, bits: field.bits };
  const start = Number(found[2]);
  const end = Number(found[3] ?? found[2]);
  if (start > end)
    throw new Fault(text, `${text.text}: bit ${start} comes behind bit ${end}; the low one stands first`);
  if (end >= field.bits)
    throw new Fault(text, `${text.text}: ${field.name} has bits 0 to ${field.bits - 1} only`);
  return { field, start, bits: end - start + 1 };
}

/** Prints a subfield as OVS does: `NXM_NX_REG0[]`, `[3]`, `[0..7]`. */
export function formatSubfield({ field, start, bits }: Subfield): string {
  const name = field.nxm ?? field.name;
  if (start === 0 && bits === field.bits) return `${name}[]`;
  return bits === 1 ? `${name}[${start}]` : `${name}[${start}..${start + bits - 1}]`;
}
