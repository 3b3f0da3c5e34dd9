/**
 * The registry: every command once, in the order of the program's help. A name that is not here is not a
 * command.
 */
import type { Command } from "../command.ts";
import { agent } from "./agent.ts";
import { bench } from "./bench.ts";
import { check } from "./check.ts";
import { compile } from "./compile.ts";
import { diff } from "./diff.ts";
import { init } from "./init.ts";
import { live } from "./live.ts";
import { replay } from "./replay.ts";
import { trace } from "./trace.ts";
import { verify } from "./verify.ts";
import { watch } from "./watch.ts";

export const COMMANDS: readonly Command[] = [
  check,
  replay,
  compile,
  trace,
  verify,
  diff,
  watch,
  agent,
  init,
  live,
  bench,
];

export const commandNamed = (name: string): Command | undefined =>
  COMMANDS.find(command => command.name === name);
