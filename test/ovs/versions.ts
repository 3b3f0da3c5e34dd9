/**
 * The versions of Open vSwitch that tests run as an oracle: 3.1 is the installed one, and `setup-3.5.sh`
 * unpacks 3.5 into the folder OVS35_DIR. Without OVS35_DIR a test of 3.5 is skipped, also with
 * REQUIRE_PEERS=1, because only CI unpacks it; a folder that contains no switch is an error.
 */

import { existsSync } from "node:fs";
import { join } from "node:path";
import type { OvsVersion } from "../../src/openflow/index.ts";
import { peer, skipOptional } from "../harness.ts";
import type { SwitchOptions } from "./private-switch.ts";

/** Options of the private switch for a version. Skips the running test if that version is not installed. */
export function programsOf(version: OvsVersion): Pick<SwitchOptions, "programs"> {
  if (version === "3.1") {
    peer("ovs-vswitchd");
    return {};
  }
  const programs = process.env.OVS35_DIR ?? "";
  if (programs === "")
    skipOptional("OVS35_DIR names no folder with Open vSwitch 3.5 (test/ovs/setup-3.5.sh)");
  if (!existsSync(join(programs, "bin", "ovs-vswitchd")))
    throw new Error(
      `OVS35_DIR="${programs}": no bin/ovs-vswitchd; test/ovs/setup-3.5.sh FOLDER puts it there`,
    );
  return { programs };
}
