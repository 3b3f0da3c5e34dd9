/**
 * Nothing fails open: every `switch` over a union or an enum ends in a `default` that the compiler accepts
 * only while no member is left (`unreachable`, or an assignment to `never`). A new member is then a compile
 * error at every place that does not handle it. Types come from the compiler; the names of variables say
 * nothing.
 */
import { join } from "node:path";
import ts from "typescript";
import { assert, suite } from "../harness.ts";
import { programOf, root, sourcesIn } from "./program.ts";

const test = suite("switches");

const LITERAL = ts.TypeFlags.Literal | ts.TypeFlags.EnumLike | ts.TypeFlags.Null | ts.TypeFlags.Undefined;

/** Whether all values of a type can be listed: literals, enum members, true and false. */
function isListable(type: ts.Type): boolean {
  if ((type.flags & ts.TypeFlags.EnumLike) !== 0) return true;
  return type.isUnion() && type.types.every(member => (member.flags & LITERAL) !== 0);
}

/** Whether the clause is an error at compile time when its value can still be something. */
function endsInNever(clause: ts.CaseOrDefaultClause, checker: ts.TypeChecker): boolean {
  let isFound = false;
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node)) {
      const [parameter] = checker.getResolvedSignature(node)?.getParameters() ?? [];
      const type = parameter === undefined ? undefined : checker.getTypeOfSymbolAtLocation(parameter, node);
      isFound ||= type !== undefined && (type.flags & ts.TypeFlags.Never) !== 0;
    }
    if ((ts.isVariableDeclaration(node) || ts.isSatisfiesExpression(node)) && node.type !== undefined)
      isFound ||= node.type.kind === ts.SyntaxKind.NeverKeyword;
    ts.forEachChild(node, visit);
  };
  visit(clause);
  return ts.isDefaultClause(clause) && isFound;
}

/** `file:line` of every switch that does not end so, and how many switches over unions there are. */
function openSwitches(program: ts.Program, files: readonly string[]): { open: string[]; count: number } {
  const checker = program.getTypeChecker();
  const open: string[] = [];
  let count = 0;
  for (const file of files) {
    const source = program.getSourceFile(join(root, file))!;
    const visit = (node: ts.Node): void => {
      if (ts.isSwitchStatement(node)) {
        const { expression, caseBlock } = node;
        if (!ts.isTypeOfExpression(expression) && isListable(checker.getTypeAtLocation(expression))) {
          count++;
          const { line } = source.getLineAndCharacterOfPosition(node.getStart(source));
          if (!caseBlock.clauses.some(clause => endsInNever(clause, checker)))
            open.push(`${file}:${line + 1}`);
        }
      }
      ts.forEachChild(node, visit);
    };
    visit(source);
  }
  return { open, count };
}

const program = programOf();

test("every switch over a union in src/ ends in never", () => {
  const { open, count } = openSwitches(program, sourcesIn("src"));
  assert.ok(count > 10, `${count} switches over unions were found`);
  assert.equal(open, [], `these switches end without default: unreachable(…):\n${open.join("\n")}`);
});

const SWITCH = (end: string): string => `
import { unreachable } from "../wire/index.ts";
type Verdict = "equal" | "different";
export function exitCode(verdict: Verdict): number {
  switch (verdict) {
    case "equal":
      return 0;
    case "different":
      return 2;
    ${end}
  }
}
`;

test("canary: switches without an end, with an open one, and with both closed ones", () => {
  const found = (end: string): string[] => {
    const file = "src/cli/canary-switch.ts";
    return openSwitches(programOf({ [file]: SWITCH(end) }, program), [file]).open;
  };
  assert.equal(found(""), ["src/cli/canary-switch.ts:5"]);
  assert.equal(found("default:\n      return 1;"), ["src/cli/canary-switch.ts:5"]);
  assert.equal(found("default:\n      return unreachable(verdict);"), []);
  assert.equal(found("default: {\n      const never: never = verdict;\n      return never;\n    }"), []);
});

test.run();
