/**
 * Errors are one hierarchy: a class of src/ whose name ends in Error is meant for the user and derives from
 * UserError, so that the program prints it as one line; what is not derived from it ends as `internal
 * error`, with its stack.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { isUserError, UserError } from "../../src/errors/index.ts";
import { assert, suite } from "../harness.ts";
import { programOf, root, sourcesIn } from "./program.ts";

const test = suite("errors");

/** Names of the classes of src/ that end in Error, with the names of all that they derive from. */
function errorClasses(): Map<string, string[]> {
  const program = programOf();
  const checker = program.getTypeChecker();
  const found = new Map<string, string[]>();
  const basesOf = (type: ts.InterfaceType): string[] =>
    checker.getBaseTypes(type).flatMap(base => [base.symbol.name, ...basesOf(base as ts.InterfaceType)]);
  for (const file of sourcesIn("src")) {
    const visit = (node: ts.Node): void => {
      if (ts.isClassDeclaration(node) && node.name?.text.endsWith("Error") === true)
        found.set(`${file}: ${node.name.text}`, basesOf(checker.getTypeAtLocation(node) as ts.InterfaceType));
      ts.forEachChild(node, visit);
    };
    visit(program.getSourceFile(join(root, file))!);
  }
  return found;
}

test("every class named …Error derives from UserError", () => {
  const classes = errorClasses();
  assert.ok(classes.size > 12, `${classes.size} were found`);
  for (const [name, bases] of classes)
    if (!name.endsWith(": UserError"))
      assert.ok(bases.includes("UserError"), `${name} derives from ${bases}`);
});

test("the message has place, what is wrong, and what fixes it", () => {
  const location = { file: "hv1.yaml", line: 7, column: 38 };
  const error = new UserError('label "7" is reserved', { location, fix: "expected 16 to 1048575" });
  assert.is(error.message, 'hv1.yaml:7:38: label "7" is reserved; expected 16 to 1048575');
  assert.is(new UserError("no frame was read").message, "no frame was read");
  assert.is(new UserError("is empty", { location: { file: "a.pcap" } }).message, "a.pcap: is empty");
});

test("an error of the benchmark's bundle, which has a UserError of its own, is one for the user, too", async () => {
  const bundle = join(root, "build", "bench.js");
  assert.ok(existsSync(bundle));
  const { bench } = await import(bundle);
  const error = await bench({ names: ["no-such-row"], effort: "smoke", format: "text", isQuiet: true }).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof Error);
  assert.not.ok(error instanceof UserError, "it is the other bundle's class");
  assert.ok(isUserError(error), String(error));
  for (const other of [new TypeError("x"), null, undefined, "text", {}]) assert.is(isUserError(other), false);
});

test.run();
