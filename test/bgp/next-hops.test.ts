/** MACs of next hops: from the table, from a fake kernel whose answers are those of iproute2 6.1, and from a real one. */
import { execFile } from "node:child_process";
import { Machine, until, whyNot } from "../../lab/machine.ts";
import { NextHops } from "../../src/bgp/index.ts";
import { parseMac } from "../../src/wire/index.ts";
import { assert, skip, suite } from "../harness.ts";

const test = suite("control: next hops");
const MAC = "02:00:00:00:00:fe";

test("the table wins, then the gateway; neither asks the kernel", async () => {
  const ip = (): Promise<string> => Promise.reject(new Error("asked"));
  const hops = new NextHops({ table: new Map([["10.0.0.1", "02:00:00:00:00:AA"]]), gateway: MAC, ip });
  assert.is(await hops.resolve("10.0.0.1"), parseMac("02:00:00:00:00:aa"));
  assert.is(await hops.resolve("10.0.0.2"), parseMac(MAC));
});

test("a MAC or an address that is none is refused in one line", () => {
  assert.throws(
    () => new NextHops({ gateway: "02:00" }),
    /gateway: "02:00" is not a MAC address; expected for example/,
  );
  assert.throws(
    () => new NextHops({ gateway: "01:00:00:00:00:01" }),
    /"01:00:00:00:00:01" is zero or a group address/,
  );
  assert.throws(
    () => new NextHops({ table: new Map([["10.0.0", MAC]]) }),
    /"10\.0\.0" is not an IPv4 address/,
  );
});

test("the kernel: the gateway to a next hop, an entry that is incomplete first, one question for many", async () => {
  const asked: string[] = [];
  const poked: string[] = [];
  const answers = [
    `[{"dst":"10.0.0.2","dev":"e0","state":["INCOMPLETE"]}]`,
    `[{"dst":"10.0.9.1","lladdr":"${MAC}","state":["STALE"]}]`,
  ];
  const ip = async (words: readonly string[]): Promise<string> => {
    asked.push(words.slice(1).join(" "));
    return words[1] === "route" ? `[{"dst":"10.0.0.2","gateway":"10.0.9.1","dev":"e0"}]` : answers.shift()!;
  };
  const hops = new NextHops({ ip, poke: address => poked.push(address) });
  const both = await Promise.all([hops.resolve("10.0.0.2"), hops.resolve("10.0.0.2")]);
  assert.equal(both, [parseMac(MAC), parseMac(MAC)]);
  assert.is(await hops.resolve("10.0.0.2"), parseMac(MAC));
  const neighbour = "neigh show to 10.0.9.1 dev e0";
  assert.equal(asked, ["route get 10.0.0.2", neighbour, neighbour]);
  assert.equal(poked, ["10.0.9.1"]);
});

test("no answer is null, and is asked again; an answer grows old", async () => {
  let isThere = false;
  const ip = async (words: readonly string[]): Promise<string> => {
    if (!isThere) throw new Error("RTNETLINK answers: Network is unreachable");
    return words[1] === "route" ? `[{"dev":"e0"}]` : `[{"lladdr":"${MAC}","state":["REACHABLE"]}]`;
  };
  const hops = new NextHops({ ip, maxAgeMs: 3000 });
  assert.is(await hops.resolve("10.0.0.3"), null);
  isThere = true;
  assert.is(await hops.resolve("10.0.0.3"), parseMac(MAC));
  isThere = false;
  assert.is(await hops.resolve("10.0.0.3"), parseMac(MAC));
  await new Promise(resolve => setTimeout(resolve, 3100));
  assert.is(await hops.resolve("10.0.0.3"), null);
});

test("without waiting: told when it is found, and what was found stays while the kernel knows nothing", async () => {
  let mac: string | null = null;
  const ip = async (words: readonly string[]): Promise<string> => {
    if (mac === null) throw new Error("RTNETLINK answers: Network is unreachable");
    return words[1] === "route" ? `[{"dev":"e0"}]` : `[{"lladdr":"${mac}","state":["REACHABLE"]}]`;
  };
  const hops = new NextHops({ ip, maxAgeMs: 20, retryMs: 5 });
  const heard: (number | null)[] = [];
  hops.onChange = () => heard.push(hops.known("10.0.0.3"));
  try {
    assert.is(hops.known("10.0.0.3"), null);
    await until("asked in vain", async () => hops.known("10.0.0.3") === null, 1000);
    mac = MAC;
    await until("found", async () => heard.length === 1, 1000);
    mac = null;
    await new Promise(resolve => setTimeout(resolve, 40));
    assert.is(hops.known("10.0.0.3"), parseMac(MAC));
    mac = "02:00:00:00:00:fd";
    await new Promise(resolve => setTimeout(resolve, 40));
    hops.known("10.0.0.3");
    await until("another", async () => heard.length === 2, 1000);
    assert.equal(heard, [parseMac(MAC), parseMac(mac)]);
  } finally {
    hops.close();
  }
});

test("a real kernel: a neighbour on a link, known only once something was sent to it", async () => {
  const why = await whyNot();
  if (why !== null) skip(why);
  const machine = new Machine();
  try {
    await machine.addNodes(["a", "b"]);
    const ends = { a: { node: "a", name: "e0" }, b: { node: "b", name: "e0", mac: MAC }, mtu: 1500 };
    await machine.addLinks([ends]);
    await machine.ip("a", ["address add 10.0.9.2/24 dev e0", "route add 10.0.0.0/24 via 10.0.9.1"]);
    await machine.ip("b", ["address add 10.0.9.1/24 dev e0"]);
    const ip = (words: readonly string[]): Promise<string> => machine.run("a", ["ip", ...words]);
    const poke = (address: string): void => {
      const name = machine.namespaceOf("a");
      execFile("ip", ["netns", "exec", name, "ping", "-c", "1", "-W", "1", address], () => undefined);
    };
    const hops = new NextHops({ ip, poke });
    assert.is(await hops.resolve("10.0.0.7"), parseMac(MAC));
    assert.is(await hops.resolve("192.0.2.1"), null, "no route there");
  } finally {
    await machine.close();
  }
});

test.run();
