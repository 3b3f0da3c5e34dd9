/**
 * The zod schema of an intent file, derived from schema-table.ts, and the JSON Schema with which editors
 * complete and check the file. Only the generator and the tests import it: zod takes 12 ms to load, and the
 * program checks the same table without it. A JSON Schema cannot express rules that join two values (used
 * twice, host bits, too many in total); only `slash32 check` finds those.
 */
import { z } from "zod";
import { unreachable } from "../wire/index.ts";
import { INTENT, type Key, type Spec } from "./schema-table.ts";

const MAC_PATTERN = /^(?!00(?::00){5}$)[0-9A-Fa-f][02468ACEace](?::[0-9A-Fa-f]{2}){5}$/;
const OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
const IPV4 = `${OCTET}(?:\\.${OCTET}){3}`;
/** Neither 0/8, 127/8 nor 224/3; as a look-ahead, so that the rest stays readable. */
const HOST_PATTERN = new RegExp(`^(?!0\\.|127\\.|22[4-9]\\.|2[3-5][0-9]\\.)${IPV4}$`);
const PREFIX_PATTERN = new RegExp(`^${IPV4}/(?:3[0-2]|[12]?[0-9])$`);
/**
 * At least one character that is not blank, and no control characters; without the
 * character classes that some editors lack.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: it is what excludes them
const NAME_PATTERN = /^(?=.*\S)[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$/;

function typeOf(spec: Spec): z.ZodType {
  switch (spec.kind) {
    case "integer":
      return z.int().min(spec.min).max(spec.max);
    case "text":
      return z.string().min(1).max(spec.max).regex(NAME_PATTERN);
    case "mac":
      return z.string().regex(MAC_PATTERN);
    case "address":
      return z.string().regex(HOST_PATTERN);
    case "prefix":
      return z.string().regex(PREFIX_PATTERN);
    case "choice":
      return z.enum(spec.choices);
    case "list": {
      const list = z.array(typeOf(spec.of as Spec)).min(spec.min);
      return spec.max === null ? list : list.max(spec.max);
    }
    case "record":
      return z.strictObject(
        Object.fromEntries(Object.entries(spec.keys).map(([name, key]) => [name, keyType(key)])),
      );
    default:
      return unreachable(spec);
  }
}

function keyType(key: Key): z.ZodType {
  const { description } = key;
  const meta = {
    description,
    ...(key.fallback === undefined ? {} : { default: key.fallback }),
    ...(key.examples.length === 0 ? {} : { examples: [...key.examples] }),
  };
  const type = typeOf(key.spec);
  // An optional key may stand there with nothing behind it, as when all its lines are commented out.
  return (key.required ? type : type.nullable().optional()).meta(meta);
}

/** The zod schema of the whole file, on plain JavaScript values. */
export const intentSchema: z.ZodType = typeOf(INTENT);

/** The JSON Schema (draft 2020-12) as text, as it is committed. */
export function jsonSchemaText(): string {
  const schema = z.toJSONSchema(intentSchema, { target: "draft-2020-12" });
  const { $schema, ...rest } = schema;
  const title = "Intent of one hypervisor";
  const description =
    "The desired configuration of the switch of one hypervisor: its label, uplink, VMs and routes.";
  return `${JSON.stringify({ $schema, title, description, ...rest }, null, 2)}\n`;
}
