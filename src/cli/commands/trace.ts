/** `slash32 trace`: one frame, table by table. */
import { captureInputs, inputsOf, oneStandardInput } from "../checks.ts";
import type { Command } from "../command.ts";
import { UsageError } from "../errors.ts";
import {
  chosenBridge,
  count,
  dump,
  filters,
  flows,
  format,
  inPort,
  intent,
  ovs,
  profile,
  read,
  shared,
  skipOtherInterfaces,
} from "../options.ts";

const INPUTS = {
  intent: "the intent",
  flows: "the flows",
  batch: "the batch",
  groups: "the groups",
  ports: "the ports",
};

export const trace: Command = {
  name: "trace",
  synopsis: "(-n INTENT | -f FLOWS) (-i PORT FRAME… | -r CAPTURE[:N] | --batch -)",
  summary: "print the path of a frame through the tables, with flows and changes",
  details: [
    "With -n the frame goes through the pipeline of the intent, with -f through the flows of a " +
      "bridge, table by table, as in Open vSwitch: also after a popped label. The verdict is unknown " +
      "if the outcome depends on more than flows and frame, and ambiguous if it depends on the order " +
      "in which flows were installed. With -f an intent only gives names to ports.",
    "FRAME is hex, or an expression such as eth(dst=…, src=…).ipv4(src=…, dst=…).udp(src=…, dst=…)." +
      " Spaces, colons and a leading 0x in hex are ignored. FRAME may also be a flow as for " +
      "ofproto/trace: in_port=1,tun_id=0x64,ip,nw_dst=…; without packet fields it sets port and state" +
      " of the frames that follow. -r takes frames from a capture: the Nth, or all.",
    '--batch reads one frame a line, {"in_port":1,"frame":"hex"}, and prints one line of JSON for ' +
      "each; for a bad line it prints an error object and exits with 1 at the end.",
  ],
  examples: [
    'slash32 trace -n hv1.yaml -i uplink0 "020000000001 020000000002 8847 003e913c 4500…"',
    "slash32 trace -n hv1.yaml -r tap101=vm.pcap:17",
    "ovs-ofctl -O OpenFlow15,OpenFlow13 dump-flows br0 | slash32 trace -f - -r 1=fabric.pcap:17",
  ],
  options: [
    intent,
    flows,
    chosenBridge,
    inPort,
    { ...read, value: "[PORT=]CAPTURE[:N]", help: "take frames from a capture: the Nth, or all" },
    skipOtherInterfaces,
    {
      name: "batch",
      value: "FILE",
      help: "read frames from FILE as lines of JSON; - is standard input",
      isCommon: true,
    },
    {
      name: "ct-next",
      value: "STATE",
      isRepeatable: true,
      help: "the answer of the connection tracker to the next ct: est,trk or new,ct_mark=1; may be repeated",
    },
    ...dump,
    ovs,
    ...filters,
    count,
    format,
    profile,
    ...shared,
  ],
  dependences: [{ options: ["groups", "lenient", "ovs", "ct-next", "bridge"], needs: "flows" }],
  check(context) {
    const captures = captureInputs(context.texts("read"));
    const ways = [context.isGiven("batch"), captures.length > 0, context.positionals.length > 0];
    if (ways.filter(Boolean).length !== 1)
      throw new UsageError("trace needs one of: FRAME (hex or an expression), -r CAPTURE, --batch FILE");
    if (!context.isGiven("flows") && !context.isGiven("intent"))
      throw new UsageError("trace needs an intent or flows: -n INTENT or -f FLOWS");
    oneStandardInput([...inputsOf(context, INPUTS), ...captures]);
  },
  run: async context => (await import("../trace.ts")).trace(context),
};
