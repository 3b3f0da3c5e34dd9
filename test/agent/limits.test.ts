/**
 * What an agent takes of what is put before it: as many VMs, addresses and routes as an intent holds, and of its directory
 * plain files, whatever else somebody puts there.
 */
import { execFileSync } from "node:child_process";
import {
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import {
  Admission,
  admit,
  type Bridge,
  type Change,
  type FlowEntry,
  Quarantine,
  Rib,
  VmDirectory,
  type VmFile,
} from "../../src/agent/index.ts";
import { LIMITS, type Limits, type Vm } from "../../src/intent/index.ts";
import { formatIpv4, ipv4FromBits, macFromBits } from "../../src/wire/index.ts";
import { assert, suite } from "../harness.ts";
import { BASE, best, randomOf, reconcilerOf, textOf, vmOf, Workplace } from "./base.ts";

const test = suite("the limits of an agent");
const SEED = 11;

/** VM `n` with so many addresses, for any n. */
function large(n: number, addressCount = 1): Vm {
  const addresses = Array.from({ length: addressCount }, (_, index) => 0x0a000000 + n * 4096 + index);
  return {
    ...vmOf(1),
    id: n,
    name: `n${n}`,
    port: `p${n}`,
    ofport: n + 1,
    mac: macFromBits(0x525400000000 + n),
    addresses: addresses.map(ipv4FromBits),
  };
}
const fileOf = (vm: Vm, modifiedMs = vm.id): VmFile => ({ file: `vm-${vm.id}.yaml`, modifiedMs, vm });
const presentOf = (vms: readonly Vm[]) =>
  new Map(
    vms.map(({ id, path, addresses }) => [id, { path, addresses: new Set(addresses.map(formatIpv4)) }]),
  );
const quarantine = (): Quarantine => new Quarantine(null, 0);

/** A bridge in memory, of which somebody else may remove flows. */
class MemoryBridge implements Bridge {
  readonly tagOf = null;
  readonly #entries = new Map<string, FlowEntry>();

  async *flows(): ReturnType<Bridge["flows"]> {
    yield [...this.#entries.values()];
  }

  async *lines(): ReturnType<Bridge["lines"]> {}

  async write(changes: readonly Change[]): Promise<void> {
    for (const change of changes) {
      if (change.op === "add") this.#entries.set(change.key, change.entry);
      else this.#entries.delete(change.key);
    }
  }

  /** Removes so many flows, and leaves the others. */
  lose(count: number): void {
    for (const key of [...this.#entries.keys()].slice(-count)) this.#entries.delete(key);
  }
}

test("a resync reports and repairs 150,000 flows that somebody removed", async () => {
  const place = new Workplace();
  try {
    const bridge = new MemoryBridge();
    const reconciler = reconcilerOf(place, bridge, null, { hasRoutes: true });
    const count = 150_000;
    const prefixOf = (index: number): string => `${formatIpv4(ipv4FromBits(0x0a000000 + index))}/32`;
    const routes = Array.from({ length: count }, (_, index) => best(prefixOf(index), 100 + (index % 1000)));
    reconciler.rib.apply(routes, true);
    assert.ok((await reconciler.reconcile("all")).added > count);
    bridge.lose(count);
    const { drifted, added, problems } = await reconciler.reconcile("all");
    assert.equal([drifted.length, added, problems], [count, count, []]);
  } finally {
    place.remove();
  }
});

test("4,095 VMs are taken, the files beyond are refused by name, and those that are there keep their places", () => {
  const files = Array.from({ length: 4200 }, (_, index) => fileOf(large(index + 1)));
  const first = admit(BASE, files, new Map(), quarantine(), 0);
  assert.is(first.vms.size, LIMITS.vms);
  assert.is(first.refusals.length, 105);
  const [one] = first.refusals;
  assert.equal(
    [one!.code, one!.file, one!.message],
    ["full", "vm-4096.yaml", "the limit of 4,095 VMs is reached"],
  );
  // The oldest file now is one that was refused: it takes nobody's place.
  const touched = files.map(file => (file.vm.id === 4200 ? { ...file, modifiedMs: 0 } : file));
  const again = admit(BASE, touched, presentOf([...first.vms.values()]), quarantine(), 0);
  assert.equal([...again.vms.keys()].sort(), [...first.vms.keys()].sort());
  // A place that is free goes to the oldest of those that wait.
  const left = touched.filter(({ vm }) => vm.id !== 7);
  const present = presentOf([...first.vms.values()].filter(({ id }) => id !== 7));
  assert.ok(admit(BASE, left, present, quarantine(), 0).vms.has(4200));
});

test("VMs of the intent count, and always stay", () => {
  const limits = { ...LIMITS, vms: 3 };
  const base = { ...BASE, vms: [large(1), large(2)] };
  const { vms, refusals } = admit(
    base,
    [large(3), large(4)].map(vm => fileOf(vm)),
    new Map(),
    quarantine(),
    0,
    limits,
  );
  assert.equal([...vms.keys()], [1, 2, 3]);
  assert.equal(
    refusals.map(({ id, code }) => [id, code]),
    [[4, "full"]],
  );
});

test("addresses of all VMs together: the VM that would go beyond is refused, a smaller one may fit", () => {
  const limits = { ...LIMITS, addresses: 10 };
  const files = [large(1, 6), large(2, 5), large(3, 4)].map(vm => fileOf(vm));
  const { vms, refusals } = admit(BASE, files, new Map(), quarantine(), 0, limits);
  assert.equal([...vms.keys()], [1, 3]);
  assert.equal(
    refusals.map(({ file, message }) => `${file}: ${message}`),
    ["vm-2.yaml: all VMs together would have 11 addresses; the limit is 10"],
  );
});

test("step by step and all at once give the same VMs, whatever comes and goes", () => {
  const random = randomOf(SEED);
  const limits: Limits = { ...LIMITS, vms: 5, addresses: 12 };
  const admission = new Admission(BASE, quarantine(), limits);
  let files: VmFile[] = [];
  let taken: Vm[] = [];
  for (let step = 0; step < 500; step++) {
    const id = 1 + random(9);
    files = files.filter(({ vm }) => vm.id !== id);
    if (random(3) > 0) files.push(fileOf(large(id, 1 + random(4)), step));
    const present = presentOf(taken);
    const found = admission.admit(files, present, 0);
    const whole = admit(BASE, files, present, quarantine(), 0, limits);
    const idsOf = (vms: ReadonlyMap<number, Vm>): number[] => [...vms.keys()].sort();
    assert.equal(idsOf(found.vms), idsOf(whole.vms), `seed ${SEED}, step ${step}`);
    assert.is(found.refusals.length, whole.refusals.length);
    assert.ok(found.vms.size <= 5);
    const kept = taken.filter(vm => files.some(file => file.vm.id === vm.id && file.vm === vm));
    for (const { id: stays } of kept)
      assert.ok(found.vms.has(stays), `seed ${SEED}, step ${step}: VM ${stays}`);
    const next = large(20, 3);
    const isTaken = admission.wouldTake(next, present, 0);
    const would = admit(BASE, [...files, fileOf(next, 1e9)], present, quarantine(), 0, limits).vms.has(20);
    assert.ok(!isTaken || would, "what would be taken without a question fits");
    taken = [...found.vms.values()];
  }
});

test("routes beyond the limit wait for room, and are a problem by name", () => {
  const fabric = new Rib(null, 3);
  const prefix = (n: number): string => `198.51.100.${n}/32`;
  fabric.apply(
    [1, 2, 3, 4, 5].map(n => best(prefix(n), 2000 + n)),
    true,
  );
  assert.is(fabric.count, 3);
  assert.match(
    fabric.problem!,
    /^skipped 2 routes of the fabric, the first is 198\.51\.100\.4\/32: the limit is 3 routes$/,
  );
  fabric.apply([best(prefix(2), 3000)], false);
  assert.is(fabric.routeTo(prefix(2))!.labels[0], 3000, "what is there may change");
  fabric.takeChanged();
  fabric.apply([{ type: "gone", prefix: prefix(1) }], false);
  assert.equal([...fabric.takeChanged()].sort(), [prefix(1), prefix(4)]);
  fabric.apply([{ type: "gone", prefix: prefix(5) }], false);
  assert.is(fabric.problem, null);
  assert.equal([...fabric.prefixes], [prefix(2), prefix(3), prefix(4)]);
  fabric.apply([best(prefix(6), 2006), { type: "gone", prefix: prefix(2) }], false);
  assert.equal([...fabric.prefixes], [prefix(3), prefix(4), prefix(6)]);
});

// ── The directory ───────────────────────────────────────────────────────────────────────────────────────────────────

async function inPlace(
  body: (place: Workplace, directory: VmDirectory) => Promise<void> | void,
): Promise<void> {
  const place = new Workplace();
  const directory = new VmDirectory(place.vms);
  try {
    await body(place, directory);
  } finally {
    directory.close();
    place.remove();
  }
}

const idsIn = (directory: VmDirectory): number[] =>
  directory
    .read()
    .vms.map(({ vm }) => vm.id)
    .sort();
const problemsIn = (directory: VmDirectory): string[] => [...directory.read().unreadable.values()];

test("a link that leads out of the directory is not followed, whichever way it leads", () =>
  inPlace((place, directory) => {
    const secret = join(place.path, "secret.yaml");
    writeFileSync(secret, textOf(vmOf(1)));
    const at = (name: string): string => join(place.vms, name);
    symlinkSync(secret, at("a.yaml"));
    symlinkSync("../secret.yaml", at("b.yaml"));
    symlinkSync(place.path, at("folder"));
    symlinkSync("folder/secret.yaml", at("c.yaml"));
    symlinkSync(join(place.path, "nothing"), at("d.yaml"));
    symlinkSync("e.yaml", at("e.yaml"));
    // Its name begins as the directory's.
    mkdirSync(`${place.vms}-other`);
    writeFileSync(`${place.vms}-other/f.yaml`, textOf(vmOf(2)));
    symlinkSync(`../vms-other/f.yaml`, at("f.yaml"));
    assert.equal(idsIn(directory), []);
    const outside = /is a symbolic link to a file outside this directory; copy the file here$/;
    const problems = problemsIn(directory);
    assert.is(problems.length, 6);
    for (const name of ["a", "b", "c", "f"])
      assert.match(problems.find(text => text.includes(`/${name}.yaml: `))!, outside);
    // What a link leads to is not shown either, as the first line of a file that is no VM would be.
    writeFileSync(secret, "root:x:0:0");
    assert.not.match(problemsIn(directory).join(), "root");
    assert.is(directory.read().hiddenCount, 6);
  }));

test("a VM whose file becomes a link that leads out stays as it was", () =>
  inPlace((place, directory) => {
    place.drop(vmOf(1));
    assert.equal(idsIn(directory), [101]);
    renameSync(join(place.vms, "101.yaml"), join(place.path, "moved.yaml"));
    symlinkSync(join(place.path, "moved.yaml"), join(place.vms, "101.yaml"));
    assert.equal(idsIn(directory), [101]);
    assert.is(problemsIn(directory).length, 1);
  }));

test("links within the directory are followed, also when what they lead through is exchanged", async () =>
  inPlace(async (place, directory) => {
    const at = (name: string): string => join(place.vms, name);
    for (const n of [1, 2]) {
      mkdirSync(at(`..version-${n}`));
      writeFileSync(at(`..version-${n}/vm.yaml`), textOf(vmOf(n)));
    }
    // As a mounted ConfigMap has it.
    symlinkSync("..version-1", at("..data"));
    symlinkSync("..data/vm.yaml", at("vm.yaml"));
    assert.equal(idsIn(directory), [101]);
    let events = 0;
    directory.watch(() => events++);
    symlinkSync("..version-2", at("..data.new"));
    renameSync(at("..data.new"), at("..data"));
    const end = performance.now() + 30_000;
    while (events === 0 && performance.now() < end) await new Promise(resolve => setTimeout(resolve, 5));
    assert.equal(idsIn(directory), [102]);
    // What is written takes the link's place; what it led to stays.
    directory.put({ ...vmOf(2), path: "dual-l3" });
    assert.match(readFileSync(at("vm.yaml"), "utf8"), "dual-l3");
    assert.not.match(readFileSync(at("..version-2/vm.yaml"), "utf8"), "dual-l3");
  }));

test("pipes, sockets, folders and devices are named and not opened; a hard link is a file", async () =>
  inPlace(async (place, directory) => {
    const at = (name: string): string => join(place.vms, name);
    execFileSync("mkfifo", [at("pipe.yaml")]);
    mkdirSync(at("folder.yaml"));
    const server = createServer();
    await new Promise<void>(resolve => server.listen(at("socket.yaml"), resolve));
    const hasDevice = spawnDevice(at("device.yaml"));
    symlinkSync("/dev/zero", at("zero.yaml"));
    writeFileSync(join(place.path, "elsewhere"), textOf(vmOf(3)));
    linkSync(join(place.path, "elsewhere"), at("hard.yaml"));
    assert.equal(idsIn(directory), [103]);
    const text = problemsIn(directory).join("\n");
    for (const [name, what] of [
      ["pipe", "a named pipe"],
      ["folder", "a folder"],
      ["socket", "a socket"],
      ...(hasDevice ? [["device", "a device"]] : []),
    ])
      assert.match(text, `${name}.yaml: is ${what}, not a regular file; expected a YAML file`);
    assert.match(text, "zero.yaml: is a symbolic link to a file outside");
    server.close();
  }));

/** Makes a device that reads as nothing; false where that is not allowed. */
function spawnDevice(path: string): boolean {
  try {
    execFileSync("mknod", [path, "c", "1", "3"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

test("what lies where a file is written beside its place is never written into", () =>
  inPlace((place, directory) => {
    const victim = join(place.path, "victim");
    writeFileSync(victim, "untouched");
    symlinkSync(victim, join(place.vms, `.vm-101.yaml.${process.pid}.new`));
    directory.put(vmOf(1));
    assert.is(readFileSync(victim, "utf8"), "untouched");
    assert.equal(idsIn(directory), [101]);
  }));

test("two writes in one tick of the clock are told from each other, and a look finds what no event told", async () =>
  inPlace(async (place, directory) => {
    const path = join(place.vms, "101.yaml");
    const write = (label: string): void => writeFileSync(path, textOf({ ...vmOf(1), name: label }));
    for (let round = 0; round < 100; round++) {
      write("one");
      utimesSync(path, round, round);
      utimesSync(path, Date.now() / 1000, Date.now() / 1000);
      assert.is(directory.read().vms[0]!.vm.name, "one");
      write("two");
      await directory.scan();
      assert.is(directory.read().vms[0]!.vm.name, "two", `round ${round}`);
    }
    // A file that has not changed for some time is the same object, and so is one that was read once more.
    const [file] = directory.read().vms;
    await directory.scan();
    await directory.readAhead();
    assert.is(directory.read().vms[0], file);
    rmSync(path);
    assert.equal(idsIn(directory), []);
  }));

test.run();
