/**
 * The generators of the fuzzer are lists by hand. A field or an action of the registry that they lack would never be
 * compared with a real switch, and nothing would fail. So each list is compared with its registry: it has the entry, or
 * the entry is in a list of exceptions with the reason. An exception that a list has after all is refused, too. The same
 * holds for the fields whose changes `trace` prints.
 */
import {
  ACTIONS,
  type Action,
  changesBetween,
  FIELDS,
  type Field,
  type Flow,
  KEY,
  KEY_WORDS,
  kindOf,
  parseFlow,
} from "../../src/openflow/index.ts";
import { assert, suite } from "../harness.ts";
import { rng } from "../model/random.ts";
import { FORMS } from "./places.ts";
import { randomFlows } from "./world.ts";

const test = suite("lists of the fuzzer");
const DRAWS = 150;

/** Names, or a pattern of them, that a list may lack, and the reason. */
type Exceptions = readonly (readonly [names: RegExp, reason: string])[];

/** Entries of a registry that a list lacks without an exception, and exceptions that no entry needs. */
function compared(registry: readonly string[], list: ReadonlySet<string>, exceptions: Exceptions) {
  const absent = registry.filter(name => !list.has(name));
  return {
    missing: absent.filter(name => !exceptions.some(([names]) => names.test(name))),
    stale: exceptions.filter(([names]) => !absent.some(name => names.test(name))).map(([, reason]) => reason),
  };
}

const NOTHING = { missing: [], stale: [] };

/** The kinds of the actions, also of those inside of others. */
function kindsIn(actions: readonly Action[]): string[] {
  return actions.flatMap(action => [
    kindOf(action),
    ...("actions" in action ? kindsIn(action.actions) : []),
    ...(action.type === "opaque" ? kindsIn(action.nested) : []),
  ]);
}

const flowOf = (text: string): Flow | null => parseFlow(text, { file: "flow", line: 1 }).flow;

/** Flows as the fuzzer draws them, with one seed, so that the result is always the same. */
function drawnFlows(): Flow[] {
  const r = rng(1);
  const texts = Array.from({ length: DRAWS }, () => randomFlows(r)).flat();
  return texts.map(flowOf).filter(flow => flow !== null);
}

const KINDS = Object.keys(ACTIONS);
const FLOWS = drawnFlows();

const NOT_DRAWN: Exceptions = [
  [/^(encap|decap|dec_nsh_ttl)$/, "unknown: packets that are not Ethernet, and NSH"],
  [/^(meter|delete_field|bundle_load)$/, "unknown in every table; places.ts has them"],
  [/^fin_timeout$/, "changes no packet; places.ts has it"],
  [/^debug_/, "for the test suite of Open vSwitch"],
  [/^conjunction$/, "needs several flows; openflow/interpret/conjunctions compares tables of it"],
];

const NOT_PLACED: Exceptions = [
  [/^(goto_table|write_metadata|write_actions|clear_actions)$/, "instructions: the places are made of them"],
  [/^ct$/, "unknown in every place; random tables have it"],
  [/^dec_nsh_ttl$/, "unknown: NSH"],
];

test("random tables have every action of the registry", () => {
  assert.ok(FLOWS.length > 1000);
  assert.equal(compared(KINDS, new Set(FLOWS.flatMap(flow => kindsIn(flow.actions))), NOT_DRAWN), NOTHING);
});

test("the actions in every place have every action of the registry", () => {
  const placed = new Set(FORMS.flatMap(({ text }) => kindsIn(flowOf(`actions=${text}`)?.actions ?? [])));
  assert.equal(compared(KINDS, placed, NOT_PLACED), NOTHING);
});

const IN_KEY = FIELDS.filter(({ place }) => place !== null);
const NAMES = IN_KEY.map(({ name }) => name);

/** The bits of the key that are the field's: a mask for each of its words. */
function bitsOf({ place }: Field): [word: number, mask: number][] {
  const { word, shift, bits } = place!;
  const count = Math.ceil((shift + bits) / 32);
  const mask = bits >= 32 ? 0xffffffff : ((2 ** bits - 1) * 2 ** shift) >>> 0;
  return Array.from({ length: count }, (_, index) => [word + index, mask]);
}

const NOT_MATCHED: Exceptions = [
  [/^x*reg\d+$/, "registers are alike; the first four are drawn"],
  [/^(recirc_id|nsh_\w+)$/, "unknown"],
  [/^(ct_\w+|packet_type)$/, "zero for each frame from a port; ct_state and ct_mark are drawn"],
  [/^(tun_\w+|skb_priority)$/, "zero for each frame of the fuzzer; tun_id, tun_src and pkt_mark are drawn"],
];

test("random tables match every field of the registry, by this or another of its names", () => {
  const drawn = new Uint32Array(KEY_WORDS);
  for (const { field } of FLOWS.flatMap(({ match }) => match))
    if (field.place !== null) for (const [word, mask] of bitsOf(field)) drawn[word] = drawn[word]! | mask;
  const isDrawn = (field: Field): boolean =>
    bitsOf(field).some(([word, mask]) => (drawn[word]! & mask) !== 0);
  assert.equal(
    compared(NAMES, new Set(IN_KEY.filter(isDrawn).map(({ name }) => name)), NOT_MATCHED),
    NOTHING,
  );
});

/** Keys of the usual packets: dl_type, nw_proto, the type of an ICMP message. */
const KEYS = (
  [
    [0, 0, 0],
    [0x0800, 6, 80],
    [0x0800, 1, 8],
    [0x86dd, 17, 53],
    [0x86dd, 58, 135],
    [0x0806, 1, 0],
    [0x8847, 0, 0],
  ] as const
).map(([type, protocol, port]) => {
  const key = new Uint32Array(KEY_WORDS);
  key[KEY.dlType] = type;
  key[KEY.nwProto] = protocol;
  key[KEY.tpSrc] = port;
  key[KEY.vlanTci] = 0x81001001;
  if (type === 0x8847) key[KEY.mplsLse] = 0x100;
  return key;
});

const NOT_PRINTED: Exceptions = [
  [/^tun_(ipv6|flags|gbp|erspan)/, "of tunnels, trace prints the id and the IPv4 addresses"],
  [/^(ct|nsh)_/, "unknown: flows that write them change no frame of a trace"],
  [/^nd_(reserved|options_type)$/, "bits beside the target; the bytes of the output show them"],
];

test("trace prints the change of every field that flows can write", () => {
  const isPrinted = (field: Field): boolean =>
    KEYS.some(before => {
      const after = before.slice();
      const [word, mask] = bitsOf(field).at(-1)!;
      after[word] = after[word]! ^ (mask & -mask);
      return changesBetween(before, after).length > 0;
    });
  const writable = IN_KEY.filter(({ isWritable }) => isWritable);
  assert.ok(writable.length > 50);
  const printed = new Set(writable.filter(isPrinted).map(({ name }) => name));
  assert.equal(
    compared(
      writable.map(({ name }) => name),
      printed,
      NOT_PRINTED,
    ),
    NOTHING,
  );
});

test("an entry that a list lacks is reported, and so is an exception that nothing needs", () => {
  const exceptions: Exceptions = [[/^b$/, "not needed"]];
  assert.equal(compared(["a", "b"], new Set(["b"]), exceptions), { missing: ["a"], stale: ["not needed"] });
});

test.run();
