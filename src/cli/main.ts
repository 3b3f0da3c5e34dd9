/**
 * The program: finds the command, loads only what it needs, and turns errors into one line and an exit code. Errors of
 * ours (not of the input) keep their stack.
 */
import packageJson from "../../package.json" with { type: "json" };
import { Context, print, say, sayText } from "./context.ts";
import { ClosedPipe, UsageError, UserError } from "./errors.ts";
import { COMMANDS, commandNamed, helpOf, nearest, parse, programHelp } from "./options.ts";
import { canMove, runInSecondThread } from "./second-thread.ts";

/** Commands that compute for long without a pause. */
const IS_LONG = new Set(["verify", "diff"]);
const HELP = new Set(["--help", "-h", "help"]);
/** Names of the errors of other rooms that are the user's to mend; naming them does not load the rooms. */
const USER_ERRORS = new Set([
  "ReplayError",
  "SinkError",
  "CapacityError",
  "BenchError",
  "SwitchError",
  "BgpError",
  "LiveError",
  "BridgeError",
  "SocketError",
  "StateError",
]);

/** The exit status that a shell gives a program that SIGPIPE ended: 128 + 13. */
const CLOSED_PIPE = 141;

async function run(name: string, args: readonly string[]): Promise<number> {
  const command = commandNamed(name);
  if (command === undefined) {
    const close = nearest(
      name,
      COMMANDS.map(known => known.name),
    );
    throw new UsageError(
      `there is no command ${name}; ${close === null ? "slash32 --help lists them" : `did you mean ${close}?`}`,
    );
  }
  const parsed = parse(command, args);
  if (parsed.values.help === true || parsed.values.h === true) {
    print(helpOf(command, parsed.values.help === true));
    return 0;
  }
  const context = new Context(command, parsed);
  if (name === "check") return (await import("./check.ts")).check(context);
  if (name === "compile") return (await import("./compile.ts")).compile(context);
  if (name === "replay") return (await import("./replay.ts")).replayCommand(context);
  const isLong = IS_LONG.has(name) || (name === "compile" && (context.text("write") ?? "-") !== "-");
  if (isLong && canMove) return runInSecondThread(name, args);
  if (name === "verify") return (await import("./verify.ts")).verify(context);
  if (name === "diff") return (await import("./verify.ts")).diff(context);
  if (name === "live") return (await import("./live.ts")).liveCommand(context);
  if (name === "agent") return (await import("./agent.ts")).agentCommand(context);
  if (name === "init") return (await import("./init.ts")).init(context);
  if (name === "bench") return (await import("./bench.ts")).benchCommand(context, args);
  return (await import("./trace.ts")).trace(context);
}

async function start([name, ...rest]: readonly string[]): Promise<number> {
  if (name === undefined) {
    sayText(programHelp(packageJson.version));
    return 1;
  }
  if (HELP.has(name)) print(programHelp(packageJson.version));
  else if (name === "--version" || name === "-V") print(`slash32 ${packageJson.version}\n`);
  else return run(name, rest);
  return 0;
}

/** Runs the command line and gives the exit code. */
export async function main(args: readonly string[]): Promise<number> {
  try {
    return await start(args);
  } catch (error) {
    if (error instanceof ClosedPipe || (error as { isClosedPipe?: boolean }).isClosedPipe === true)
      return CLOSED_PIPE;
    if (error instanceof UserError || USER_ERRORS.has((error as Error).name)) {
      say(`slash32: ${(error as Error).message}`);
      return 1;
    }
    sayText(`slash32: this is a bug of ours, please report it\n${(error as Error).stack}`);
    return 1;
  }
}

process.exitCode = await main(process.argv.slice(2));
