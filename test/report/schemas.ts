/**
 * The schemas that reports are held against: JUnit's common XSD (junit.xsd) and the JSON schema of SARIF
 * 2.1.0.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import Ajv from "ajv-draft-04";
import { XmlDocument, XsdValidator } from "libxml2-wasm";

const { resolve } = createRequire(import.meta.url);

/** What is wrong with a JUnit report; empty when nothing is. */
export function junitProblems(text: string): string {
  const schema = XmlDocument.fromString(readFileSync(join(import.meta.dirname, "junit.xsd"), "utf8"));
  const validator = XsdValidator.fromDoc(schema);
  try {
    const document = XmlDocument.fromString(text);
    try {
      validator.validate(document);
      return "";
    } finally {
      document.dispose();
    }
  } catch (error) {
    return (error as Error).message;
  } finally {
    validator.dispose();
    schema.dispose();
  }
}

const schemaFile = join(resolve("@microsoft/jest-sarif"), "..", "schemas", "sarif-2.1.0-rtm.5.json");
const validate = new Ajv.default({ strict: false, validateFormats: false, unicodeRegExp: false }).compile(
  JSON.parse(readFileSync(schemaFile, "utf8")),
);

/** What is wrong with a SARIF log; empty when nothing is. */
export function sarifProblems(text: string): string {
  return validate(JSON.parse(text)) ? "" : JSON.stringify(validate.errors);
}
