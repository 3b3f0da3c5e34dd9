/**
 * The JSON Schema for editors: the committed file is what the table of keys gives (UPDATE=1
 * writes it), the examples are valid by it, and the zod schema agrees with the run-time
 * checker on values changed one at a time.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadIntent, parseIntent } from "../../src/intent/index.ts";
import { intentSchema, jsonSchemaText } from "../../src/intent/schema.ts";
import { assert, suite } from "../harness.ts";

const test = suite("intent schema");
const root = join(import.meta.dirname, "../..");
const committed = join(root, "docs/intent.schema.json");

test("docs/intent.schema.json is up to date (UPDATE=1 writes it)", () => {
  if (process.env.UPDATE === "1") writeFileSync(committed, jsonSchemaText());
  assert.is(readFileSync(committed, "utf8"), jsonSchemaText());
});

test("every key has a description, every mapping refuses unknown keys", () => {
  const visit = (schema: { [key: string]: unknown }): void => {
    if (schema.type === "object") {
      assert.is(schema.additionalProperties, false);
      for (const [name, inner] of Object.entries(
        schema.properties as { [name: string]: { description?: string } },
      )) {
        assert.ok((inner.description ?? "").length > 10, `${name} has no description`);
      }
    }
    for (const inner of Object.values(schema)) {
      if (typeof inner === "object" && inner !== null) visit(inner as { [key: string]: unknown });
    }
  };
  visit(JSON.parse(jsonSchemaText()));
});

test("examples/hv1.yaml loads without a problem", () => {
  const { intent, errors, warnings } = loadIntent(join(root, "examples/hv1.yaml"));
  assert.equal([...errors, ...warnings], []);
  assert.is(intent!.vms.length, 4);
  assert.is(intent!.routes.count, 7);
});

const VALID = {
  name: "hv1",
  bridge: "br0",
  label: 1001,
  virtualMac: "fe:00:00:00:01:01",
  trafficClass: 3,
  uplink: { port: "u", ofport: 1, mac: "02:00:00:00:00:01", mtu: 9000 },
  vms: [
    { id: 1, name: "a", port: "p", ofport: 2, mac: "52:54:00:00:00:01", addresses: ["10.0.0.1"], path: "l3" },
  ],
  routes: [{ prefix: "0.0.0.0/0", labels: [16], via: "02:00:00:00:00:fe" }],
};
/** Host bits, "used twice" and the like are beyond a schema: no value here is wrong in such a way only. */
const VALUES: readonly unknown[] = [
  null,
  true,
  0,
  1,
  -1,
  7,
  8,
  15,
  16,
  67,
  68,
  1.5,
  65279,
  65280,
  65535,
  65536,
  1048575,
  1048576,
  4294967295,
  4294967296,
  "",
  " ",
  "x",
  "a\nb",
  "x".repeat(255),
  "x".repeat(256),
  "l2",
  "dual-l3",
  "00:00:00:00:00:00",
  "01:00:00:00:00:01",
  "06:00:00:00:00:01",
  "0A:00:00:00:00:01",
  "10.0.0.1",
  "0.0.0.1",
  "127.0.0.1",
  "223.255.255.255",
  "224.0.0.0",
  "239.1.1.1",
  "250.0.0.1",
  "10.0.0.01",
  "10.0.0.0/8",
  "10.0.0.0/33",
  "10.0.0.0/08",
  [],
  {},
  [16],
  [16, 17, 18],
  [16, 17, 18, 19],
  [[]],
  ["10.0.0.9"],
];

/** Every path into a value: ["vms", 0, "id"] and so on. */
function pathsOf(value: unknown, path: (string | number)[] = []): (string | number)[][] {
  if (typeof value !== "object" || value === null) return [path];
  const entries = Array.isArray(value) ? [...value.entries()] : Object.entries(value);
  return [path, ...entries.flatMap(([key, inner]) => pathsOf(inner, [...path, key]))];
}

test("zod and the run-time checker agree on every value changed to every other", () => {
  let compared = 0;
  for (const path of pathsOf(VALID).slice(1)) {
    for (const value of [...VALUES, undefined]) {
      const changed = structuredClone(VALID) as unknown as { [key: string | number]: never };
      let parent = changed;
      for (const key of path.slice(0, -1)) parent = parent[key]!;
      const last = path.at(-1)!;
      if (value === undefined && Array.isArray(parent)) continue;
      parent[last] = value as never;
      const text = JSON.stringify(changed);
      const { errors } = parseIntent(text, "a", ".");
      const rules = errors.filter(
        e => !e.message.includes("used twice") && !e.message.includes("give the VM its own"),
      );
      const zod = intentSchema.safeParse(JSON.parse(text)).success;
      assert.is(rules.length === 0, zod, `${text}\n${errors.map(e => e.message).join("\n")}`);
      compared++;
    }
  }
  assert.ok(compared > 1000);
});

test.run();
