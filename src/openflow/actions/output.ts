/**
 * Actions that send the packet somewhere: output in its three forms, controller and enqueue (ovs-actions(7),
 * "Output Actions"). `outputTo` also reads a port that stands alone as an action, such as `NORMAL` or
 * `LOCAL`.
 */
import { type ActionReading, keyed, number, port, readBytes, required, trimmed } from "../arguments.ts";
import { type Action, PORT, type Span } from "../ast.ts";
import { findField } from "../fields.ts";
import { clip, Fault, type Pair } from "../lexer.ts";
import type { PrintOptions } from "../print-options.ts";
import { formatSubfield, parseSubfield } from "../subfield.ts";
import { formatBytes, formatPort, isKnownPort } from "../values.ts";
import { type ActionEntry, type ActionOf, ALL_VERSIONS } from "./entry.ts";

/** The action that an output to this port is; an output to the controller is a packet-in. */
export function outputTo(pair: Pair, to: number): Action {
  if (to === PORT.none || to === PORT.unset || (to >= 0xff00 && to <= 0xffff))
    throw new Fault(
      pair.span,
      `there is no output to port ${clip(pair.value.text || pair.key.text)} (OFPBAC_BAD_OUT_PORT)`,
    );
  if (to !== PORT.controller) return { type: "output", span: pair.span, port: to };
  return controller(pair.span, 0xffff);
}

function controller(span: Span, maxBytes: number): Action {
  return {
    type: "controller",
    span,
    maxBytes,
    reason: "action",
    id: 0,
    userdata: null,
    pause: false,
    meter: null,
  };
}

/** Ports that `output(port=,max_len=)` cannot send a part of a frame to. */
const WHOLE_ONLY: readonly number[] = [
  PORT.table,
  PORT.normal,
  PORT.flood,
  PORT.all,
  PORT.controller,
  PORT.none,
  PORT.unset,
];

function parseOutput(context: ActionReading, pair: Pair): Action {
  const text = pair.value;
  if (/(^|,)\s*(port|max_len)=/.test(text.text)) {
    const pairs = keyed(context, pair, ["port", "max_len"]);
    const to = port(context, required(pair, pairs, "port"));
    const length = required(pair, pairs, "max_len");
    const maxBytes = number(context, length, 0xffffffff, "max_len");
    if (maxBytes < 14)
      throw new Fault(length, `max_len ${maxBytes} would cut into the Ethernet header: 14 is the least`);
    if (WHOLE_ONLY.includes(to)) throw new Fault(pair.span, "output to this port cannot be truncated");
    return { type: "output_truncated", span: pair.span, port: to, maxBytes };
  }
  const isField = text.text.includes("[") || findField(text.text) !== undefined;
  if (isField && !isKnownPort(text.text, context.reading.ports)) {
    const from = parseSubfield(text);
    if (from.bits > 32 && from.bits !== 992)
      context.reading.warn(text, `only the low bits of ${from.field.name} are a port`);
    context.consistency.field(from.field, text, "output");
    return { type: "output_field", span: pair.span, from };
  }
  return outputTo(pair, port(context, text));
}

/** Reasons by name. Hidden flows of in-band control are dumped with an empty one. */
const REASONS = ["", "no_match", "action", "invalid_ttl", "action_set", "group", "packet_out"];

function parseController(context: ActionReading, pair: Pair): Action {
  const text = pair.value;
  if (text.text === "") return controller(pair.span, 0xffff);
  if (/^\d/.test(text.text)) return controller(pair.span, number(context, text, 0xffff, "max_len"));
  const found = keyed(context, pair, ["max_len", "reason", "id", "userdata", "pause", "meter_id"]);
  const value = (key: string, max: number, missing: number): number => {
    const one = found.get(key);
    return one === undefined ? missing : number(context, one, max, key);
  };
  const reason = found.get("reason");
  if (reason !== undefined && !REASONS.includes(reason.text))
    throw new Fault(reason, `there is no reason ${clip(reason.text)}: ${REASONS.slice(1).join(", ")} are`);
  const data = found.get("userdata");
  return {
    type: "controller",
    span: pair.span,
    maxBytes: value("max_len", 0xffff, 0xffff),
    reason: reason?.text ?? "action",
    id: value("id", 0xffff, 0),
    userdata: data === undefined ? null : readBytes(data),
    pause: found.has("pause"),
    meter: found.has("meter_id") ? value("meter_id", 0xffffffff, 0) : null,
  };
}

/** A controller action without arguments but max_len: an output to the port CONTROLLER to Open vSwitch. */
const isPlain = ({ reason, id, userdata, pause, meter }: ActionOf<"controller">): boolean =>
  reason === "action" && id === 0 && userdata === null && !pause && meter === null;

function formatController(action: ActionOf<"controller">): string {
  const { maxBytes, reason, id, userdata, pause, meter } = action;
  if (isPlain(action)) return `CONTROLLER:${maxBytes}`;
  const parts: string[] = [];
  if (reason !== "action") parts.push(`reason=${reason}`);
  if (maxBytes !== 0xffff) parts.push(`max_len=${maxBytes}`);
  if (id !== 0) parts.push(`id=${id}`);
  if (userdata !== null && userdata.length > 0) parts.push(`userdata=${formatBytes(userdata)}`);
  if (pause) parts.push("pause");
  if (meter !== null) parts.push(`meter_id=${meter}`);
  return `controller(${parts.join(",")})`;
}

function formatOutput(port: number, options: PrintOptions): string {
  const text = formatPort(port, options.ports);
  const isNamed = port >= PORT.unset && options.ports?.get(port) === undefined;
  return isNamed ? text : `output:${text}`;
}

function parseEnqueue(context: ActionReading, pair: Pair): Action {
  // A name in quotes, or one that ends at the last colon, as it is printed; else the port ends where strtok()
  // ends it.
  const found =
    /^("(?:[^"\\]|\\.)*")[:,q ](.+)$/.exec(pair.value.text) ??
    /^([A-Za-z][^:,"]*):(\d+)$/.exec(pair.value.text) ??
    /^([^:,q ]+)[:,q ](.+)$/.exec(pair.value.text);
  if (found === null)
    throw new Fault(pair.span, "enqueue takes a port and a queue: enqueue:1:2 or enqueue(1,2)");
  const { start, end } = pair.value;
  const middle = start + found[1]!.length;
  const to = port(context, { text: found[1]!, start, end: middle });
  const text = trimmed({ text: found[2]!, start: middle + 1, end });
  const queue = number(context, text, 0xffffffff, "the queue");
  const { version } = context.reading;
  const isSplit = version !== null && version !== "OpenFlow10";
  return { type: "enqueue", span: pair.span, port: to, queue, isSplit };
}

export const output: ActionEntry<ActionOf<"output">> = {
  spellings: { output: { parse: parseOutput, example: "actions=output:2" } },
  print: ({ port }, printing) => formatOutput(port, printing),
  versions: ALL_VERSIONS,
  inWriteActions: true,
  setPart: "output",
  bytes: [8, 16],
  recirculates: false,
  freezing: "with its table",
  support: "executed",
  docs: [
    "Outputs nothing to in_port, and nothing to a port that does not exist.",
    { name: "IN_PORT, LOCAL, ANY", support: "executed", note: "" },
    { name: "ALL", support: "executed", note: "Unknown if the ports of the bridge are not given." },
    { name: "TABLE", support: "executed", note: "Like resubmit to table 0." },
    {
      name: "NORMAL",
      support: "unknown",
      note: "Depends on learned addresses, VLANs, bonds and spanning tree. Other actions are executed.",
    },
    {
      name: "FLOOD",
      support: "unknown",
      note: "Depends on the no-flood setting of each port and on spanning tree.",
    },
  ],
  ports: ({ port }) => [port],
};

export const outputField: ActionEntry<ActionOf<"output_field">> = {
  title: "output:FIELD",
  spellings: { output: { parse: parseOutput, example: "actions=output:NXM_NX_REG0[0..15]" } },
  print: ({ from }) => `output:${formatSubfield(from)}`,
  versions: ALL_VERSIONS,
  inWriteActions: false,
  setPart: null,
  bytes: [24, 24],
  recirculates: false,
  freezing: "with its table",
  support: "executed",
  docs: ["A value of more than 16 bits is not a port: it outputs nothing."],
  movesPorts: () => true,
};

export const outputTruncated: ActionEntry<ActionOf<"output_truncated">> = {
  title: "output(port,max_len)",
  spellings: { output: { parse: parseOutput, example: "actions=output(port=2,max_len=64)" } },
  print: ({ port, maxBytes }, { ports }) => `output(port=${formatPort(port, ports)},max_len=${maxBytes})`,
  versions: ALL_VERSIONS,
  inWriteActions: false,
  setPart: null,
  bytes: [16, 16],
  recirculates: false,
  freezing: "with its table",
  support: "executed",
  docs: ["Truncates before other changes: headers that are pushed afterwards are added to max_len."],
  ports: ({ port }) => [port],
};

export const controllerEntry: ActionEntry<ActionOf<"controller">> = {
  spellings: { controller: { parse: parseController, example: "actions=controller(reason=no_match,id=3)" } },
  print: formatController,
  versions: ALL_VERSIONS,
  inWriteActions: action => isPlain(action) || "controller with arguments other than max_len",
  setPart: action => (isPlain(action) ? "output" : null),
  bytes: [16, 48],
  recirculates: action => !isPlain(action),
  freezing: "with its table",
  support: "executed",
  docs: [
    [
      "A packet-in with the whole frame, for any max_len. Without other arguments its reason is group",
      "in a bucket and action_set in an action set; the reason action is no_match in a flow of priority 0",
      "that matches everything. With pause or a meter it is unknown. Changes after it to a packet with more",
      "tags than vlan-limit are unknown too: Open vSwitch writes to the wrong bytes there.",
    ].join(" "),
  ],
};

export const enqueue: ActionEntry<ActionOf<"enqueue">> = {
  spellings: { enqueue: { parse: parseEnqueue, example: "actions=enqueue:2:3" } },
  print: ({ port, queue }, { ports }) => `enqueue:${formatPort(port, ports)}:${queue}`,
  printIn: {
    OpenFlow13: ({ port, queue }, printing) => [
      `set_queue:${queue}`,
      formatOutput(port, printing),
      "pop_queue",
    ],
    OpenFlow15: ({ port, queue }, printing) => [
      `set_queue:${queue}`,
      formatOutput(port, printing),
      "pop_queue",
    ],
  },
  versions: ALL_VERSIONS,
  inWriteActions: false,
  setPart: null,
  bytes: [16, 16],
  recirculates: false,
  freezing: "alone",
  support: "executed",
  docs: ["From OpenFlow 1.1 on it is set_queue, output and pop_queue. The queue is part of the outcome."],
  sentAs: action => {
    if (!action.isSplit) return [action];
    const { span, port, queue } = action;
    return [
      { type: "set_queue", span, queue },
      { type: "output", span, port },
      { type: "pop_queue", span },
    ];
  },
  ports: ({ port }) => [port],
};
