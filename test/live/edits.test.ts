/**
 * Tables edited while they are in use, without devices: after each of thousands of random edits the core answers frames as a
 * core with fresh tables does; large tables grow; limits lead to tables made anew. Cores with one mistake are noticed.
 */
import { adoptImage, Core } from "../../src/core/index.ts";
import { EditError, type Route } from "../../src/intent/index.ts";
import { IntentTables, stepsToEdit } from "../../src/live/table-updates.ts";
import { ipv4FromBits, macFromBits } from "../../src/wire/index.ts";
import { compileMutant } from "../core/mutant.ts";
import { assert, draws, seed, suite } from "../harness.ts";
import { rng } from "../model/random.ts";
import { answersOf, editsDiffer, framesFor, Reference, type Tally } from "./edits.ts";

const test = suite("edited tables");
const first = seed();
const SEQUENCES = draws(8);
const EDITS = 1000;

const MUTATIONS = [
  ["table/ports.ts", "if (was_bridged && !is_bridged) removeMac(bank, mac);", ""],
  ["table/ports.ts", "if ((flags & FLAG_L2_IN) != 0) removeMac(bank, load<u64>(port, PORT_MAC));", ""],
  ["table/ports.ts", "store<u16>(bank + (number << 1), 0, BANK_PORT_SLOTS);", ""],
  ["table/ports.ts", "if (from_home < (slot - hole) % MAC_SLOTS) continue;", "break;"],
] as const;

test(`${SEQUENCES * EDITS} random edits: the core is as one with fresh tables after each (SEED=${first})`, () => {
  const tally: Tally = { edited: 0, reloaded: 0, refused: 0 };
  for (let index = 0; index < SEQUENCES; index++) {
    const core = Core.load(index % 2 === 0 ? "release" : "debug");
    assert.is(editsDiffer(first + index, EDITS, core, tally), null);
  }
  const shown = JSON.stringify(tally);
  process.stdout.write(`  ${shown}\n`);
  assert.ok(tally.edited > EDITS && tally.reloaded > 0 && tally.refused > 100, shown);
});

for (const [file, from, to] of MUTATIONS) {
  test(`canary: ${file} ${to === "" ? "without" : `${to} for`} ${from}`, async () => {
    const core = await compileMutant(file, from, to);
    const tally: Tally = { edited: 0, reloaded: 0, refused: 0 };
    let found: string | null = null;
    for (let index = 0; index < 12 && found === null; index++) {
      try {
        found = editsDiffer(first + index, EDITS, core, tally);
      } catch (error) {
        if (error instanceof EditError) throw error;
        found = (error as Error).message;
      }
    }
    assert.ok(found !== null, "the mistake was not noticed");
  });
}

const hop = { labels: [2002], via: macFromBits(0x0200000000fe) };

function route(n: number, labels: readonly number[] = hop.labels): Route {
  return { address: ipv4FromBits(0x0a000000 + n), length: 32, labels, via: hop.via };
}

test("200,000 routes by edits of 1,000: in place but for the few times that a table grows, then all out again", () => {
  const r = rng(first);
  const reference = new Reference();
  const tables = new IntentTables(Core.load(), reference.intent);
  const core = Core.load();
  adoptImage(core, tables.install(reference.intent).image);
  const counts = { edited: 0, reloaded: 0 };
  const give = (set: readonly Route[], remove: readonly Route[]): void => {
    const edit = { vms: { set: [], remove: [] }, routes: { set, remove } };
    const { made, routes } = tables.edit(edit);
    assert.is(routes, set.length + remove.length);
    if ("groups" in made!) {
      counts.edited++;
      for (const _ of stepsToEdit(core, made, () => {}));
    } else {
      counts.reloaded++;
      adoptImage(core, made!.image);
    }
    reference.apply(edit);
  };
  const all = Array.from({ length: 200_000 }, (_, n) => route(n * 17, [2000 + (n % 5000)]));
  for (let at = 0; at < all.length; at += 1000) give(all.slice(at, at + 1000), []);
  assert.ok(counts.reloaded <= 20, JSON.stringify(counts));
  const compare = (): void => {
    const fresh = Core.load();
    fresh.install(reference.intent);
    const frames = framesFor(r, [reference.intent], 300);
    assert.equal(answersOf(core, frames), answersOf(fresh, frames));
    assert.is(tables.intent.routes.count, reference.routes.size);
  };
  compare();
  for (let at = 0; at < all.length; at += 1000) give([], all.slice(at, at + 1000));
  compare();
});

test("4,095 VMs one by one, each gone again: ports and addresses are used again", () => {
  const reference = new Reference();
  const tables = new IntentTables(Core.load(), reference.intent);
  const core = Core.load();
  adoptImage(core, tables.install(reference.intent).image);
  const give = (set: readonly number[], remove: readonly number[]): void => {
    const vms = set.map(n => ({
      id: n,
      name: `vm-${n}`,
      port: `tap${n}`,
      ofport: 10 + n,
      mac: macFromBits(0x525400000000 + n),
      addresses: [0xcb000000 + n * 3, 0xcb000001 + n * 3].map(ipv4FromBits),
      path: "dual-l2" as const,
      mtu: null,
    }));
    const edit = { vms: { set: vms, remove }, routes: { set: [], remove: [] } };
    const { made } = tables.edit(edit);
    if ("groups" in made!) for (const _ of stepsToEdit(core, made, () => {}));
    else adoptImage(core, made!.image);
    reference.apply(edit);
  };
  for (let n = 1; n <= 4095; n++) give([n], []);
  assert.throws(
    () => give([4096], []),
    (error: unknown) => error instanceof EditError && /4,096 VMs are too many; .* 4,095/.test(error.message),
  );
  const r = rng(first);
  for (let n = 1; n <= 4095; n += 2) give([], [n]);
  for (let n = 1; n <= 4095; n += 2) give([n], []);
  const fresh = Core.load();
  fresh.install(reference.intent);
  const frames = framesFor(r, [reference.intent], 2000);
  assert.equal(answersOf(core, frames), answersOf(fresh, frames));
});

test.run();
