/**
 * The program: finds the command in the registry, loads only what it needs, and turns an error into one
 * line and an exit status. An error that is not meant for the user is a bug of slash32 and keeps its stack.
 */
import packageJson from "../../package.json" with { type: "json" };
import { isUserError } from "../errors/index.ts";
import { COMMANDS, commandNamed } from "./commands/index.ts";
import { Context, print, say, sayText } from "./context.ts";
import { ClosedPipe, UsageError } from "./errors.ts";
import { helpOf, programHelp } from "./help.ts";
import { checked, nearest, parse } from "./parse.ts";
import { canMove, runInSecondThread } from "./second-thread.ts";

const HELP = new Set(["--help", "-h", "help"]);

/** The exit status that a shell gives a program that SIGPIPE ended: 128 + 13. */
const CLOSED_PIPE = 141;

async function run(name: string, args: readonly string[]): Promise<number> {
  const command = commandNamed(name);
  if (command === undefined) {
    const names = COMMANDS.map(known => known.name);
    const close = nearest(name, names);
    const hint = close === null ? "run slash32 --help for a list" : `did you mean ${close}?`;
    throw new UsageError(`unknown command "${name}"; ${hint}`);
  }
  const parsed = parse(command, args);
  if (parsed.values.help === true || parsed.values.h === true) {
    print(helpOf(command, parsed.values.help === true));
    return 0;
  }
  const context = new Context(command, parsed);
  const work = checked(command, context);
  if (canMove && command.isLong?.(context) === true) return runInSecondThread(name, args);
  return work(context, args);
}

async function start([name, ...rest]: readonly string[]): Promise<number> {
  if (name === undefined) {
    sayText(programHelp(packageJson.version, COMMANDS));
    return 1;
  }
  if (HELP.has(name)) print(programHelp(packageJson.version, COMMANDS));
  else if (name === "--version" || name === "-V") print(`slash32 ${packageJson.version}\n`);
  else return run(name, rest);
  return 0;
}

/** Runs the command line and gives the exit status. The one place where errors are printed. */
async function main(args: readonly string[]): Promise<number> {
  try {
    return await start(args);
  } catch (error) {
    if (error instanceof ClosedPipe || (error as { isClosedPipe?: boolean }).isClosedPipe === true)
      return CLOSED_PIPE;
    if (isUserError(error)) say(`slash32: ${error.message}`);
    else sayText(`slash32: internal error: please report this\n${(error as Error)?.stack ?? String(error)}`);
    return 1;
  }
}

process.exitCode = await main(process.argv.slice(2));
