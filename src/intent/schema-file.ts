/**
 * Writes docs/intent.schema.json from schema-table.ts: `node --import tsx src/intent/schema-file.ts`. A test
 * compares the committed file with this output.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { jsonSchemaText } from "./schema.ts";

writeFileSync(join(import.meta.dirname, "../../docs/intent.schema.json"), jsonSchemaText());
