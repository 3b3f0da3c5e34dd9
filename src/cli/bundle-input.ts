/**
 * Folders and tarballs as inputs of trace, verify and diff: the chosen bridge is looked up in them, a note
 * names the files, and its flows are read with the groups and names of the same bridge. Explicit options win.
 */
import type { Intent } from "../intent/index.ts";
import { type BundledBridge, bundledBridge } from "./bundle/index.ts";
import { type Context, say } from "./context.ts";
import { UsageError } from "./errors.ts";
import { type Bridge, bridgeOf, readBridge } from "./flows.ts";
import { offerNames } from "./names.ts";

/**
 * The bridge of a bundle that an option names; null: there is no bundle at the path. Rejects with UserError.
 */
export async function bundleAt(
  context: Context,
  path: string,
  option = "bridge",
  chosen = context.text(option),
): Promise<BundledBridge | null> {
  const words = option === "bridge" ? "--bridge" : `--bridge, or --${option} for this one`;
  const bundled = await bundledBridge(path, chosen, words);
  if (bundled !== null && !context.isQuiet) say(bundled.note);
  return bundled;
}

/** The flows of a bundle, whose names must have been offered. */
export function bundledFlows(
  context: Context,
  { flows, groups, version }: BundledBridge,
  intent: Intent | null,
  groupsOption = "groups",
): Bridge {
  const told = { intent, version, groupsOption, ...(groups === null ? {} : { groups }) };
  return bridgeOf(context, flows.file, flows.bytes, told);
}

/** The only flows of a command: those of a file, or of a bundle. Rejects with UserError. */
export async function bridgeAt(context: Context, path: string, intent: Intent | null): Promise<Bridge> {
  const bundled = await bundleAt(context, path);
  if (bundled === null) {
    refuseBridge(context, path);
    return readBridge(context, path, intent);
  }
  offerNames(context, [bundled]);
  return bundledFlows(context, bundled, intent);
}

/** Refuses --bridge beside a file that has one bridge. Throws UsageError. */
export function refuseBridge(context: Context, path: string, hint = ""): void {
  if (context.isGiven("bridge"))
    throw new UsageError(`--bridge chooses a bridge of a folder or tarball, and ${path} is neither${hint}`);
}
