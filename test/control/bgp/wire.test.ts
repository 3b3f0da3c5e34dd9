/** What stands in the label field of an announcement and of a withdrawal, sent to a real gobgpd by a speaker that can send anything. */
import { addRoutingNode, missingDaemons, Speaker } from "../../../examples/lab/daemons.ts";
import { Machine, whyNot } from "../../../examples/lab/machine.ts";
import { BgpRoutes, Gobgp3 } from "../../../src/control/bgp/index.ts";
import { bundleModule } from "../../bundle.ts";
import { assert, skip, suite } from "../../harness.ts";
import { until } from "./fake.ts";

const test = suite("control: labels on the wire");
const HERE = "10.77.0.1";
const ODD = "10.77.0.9";
const SESSION_MS = 60_000;

/** Label fields: label, traffic class 0, bottom of stack. RFC 8277 section 2.4 has 0x800000 in a withdrawal, older speakers 0. */
const WITHDRAWALS = {
  "RFC 8277": "800000",
  "RFC 3107": "000000",
  "the label itself": "006411",
  another: "0c8001",
};

test("a withdrawal is one whatever its label says; a stack comes outermost first", async () => {
  const why = await whyNot();
  if (why !== null) skip(why);
  const missing = await missingDaemons();
  if (missing !== "") skip(`not installed: ${missing}`);
  const machine = new Machine();
  let daemon: Gobgp3 | undefined;
  let source: BgpRoutes | undefined;
  try {
    await addRoutingNode(machine, [HERE, ODD]);
    const speaker = new Speaker(machine, { name: "here", address: HERE, peers: [ODD], isReflector: true });
    await speaker.start();
    daemon = new Gobgp3(speaker.api);
    source = new BgpRoutes(daemon);
    let isComplete = false;
    source.watch(
      (_, isWhole) => {
        isComplete ||= isWhole;
      },
      () => undefined,
    );
    const program = await bundleModule("test/control/bgp/raw-speaker.ts");
    // It takes the daemon some seconds until it listens to its peers.
    const { child } = await startUntilUp(machine, daemon, program);
    const say = (line: string): void => void child.stdin!.write(`${line}\n`);
    const names = Object.keys(WITHDRAWALS);
    for (const index of names.keys()) say(`reach 203.0.113.${index} 006411`);
    say("reach 203.0.113.200 000640 000c81");
    await until("all five", () => source!.routes.size === names.length + 1, SESSION_MS);
    assert.equal(source.routes.get("203.0.113.0/32"), {
      prefix: "203.0.113.0/32",
      labels: [1601],
      nextHop: ODD,
      originator: ODD,
    });
    assert.equal(source.routes.get("203.0.113.200/32")!.labels, [100, 200]);
    await until("complete, without an End-of-RIB", () => isComplete, SESSION_MS);
    for (const [index, name] of names.entries()) {
      say(`unreach 203.0.113.${index} ${WITHDRAWALS[name as keyof typeof WITHDRAWALS]}`);
      await until(`withdrawn with ${name}`, () => !source!.routes.has(`203.0.113.${index}/32`));
    }
    assert.equal([...source.routes.keys()], ["203.0.113.200/32"]);
  } finally {
    await source?.close();
    daemon?.close();
    await machine.close();
  }
});

/** Starts the speaker, and again when the daemon would not have it yet. */
async function startUntilUp(machine: Machine, daemon: Gobgp3, program: string) {
  for (let attempt = 0; ; attempt++) {
    const words = [process.execPath, program, ODD, HERE, "65000"];
    const running = machine.start("bgp", `odd${attempt}`, words, process.env, true);
    let isUp = false;
    await Promise.race([
      running.ended,
      until("up", async () => {
        isUp = (await daemon.peers()).some(peer => peer.isUp);
        return isUp;
      }).catch(() => undefined),
    ]);
    if (isUp) return running;
    await machine.stop(running);
    if (attempt === 10) throw new Error("the session never came up");
    await new Promise(resolve => setTimeout(resolve, 500));
  }
}

test.run();
