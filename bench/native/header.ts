/**
 * assembly/abi.ts as a C header: each number and each enum member. It is generated whenever the yardstick is
 * built, so that the two layouts never differ.
 */
import * as abi from "../../assembly/abi.ts";
import { REASONS } from "../../src/core/index.ts";

/** Text of abi.h: `#define TABLE_ARP 4u` for Table.Arp, constants under their own names, and REASON_NAMES. */
export function abiHeader(): string {
  const numbers = new Map<string, number>();
  const define = (name: string, value: unknown): void => {
    if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > 0xffffffff) {
      throw new Error(`abi.ts: ${name} is no u32: ${value}`);
    }
    if (numbers.has(name)) throw new Error(`abi.ts: two things would be ${name} in C`);
    numbers.set(name, value);
  };
  for (const [name, value] of Object.entries(abi)) {
    if (typeof value === "number") define(name, value);
    else for (const [member, number] of membersOf(value)) define(`${upper(name)}_${upper(member)}`, number);
  }
  const lines = [...numbers].map(([name, value]) => `#define ${name} ${value}u`);
  const names = REASONS.map(reason => JSON.stringify(reason)).join(", ");
  return [
    "/* Generated from assembly/abi.ts. */",
    "#ifndef ABI_H",
    "#define ABI_H",
    ...lines,
    `#define REASON_NAMES ${names}`,
    "#endif",
    "",
  ].join("\n");
}

/** Names and numbers of an enum, without the way back that TypeScript adds. */
function membersOf(values: object): [string, unknown][] {
  return Object.entries(values).filter(([name]) => !/^\d+$/.test(name));
}

/** CaptureFormat → CAPTURE_FORMAT. */
function upper(name: string): string {
  return name.replace(/(?<!^)[A-Z]/g, "_$&").toUpperCase();
}
