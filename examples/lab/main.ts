import { Lab } from "./lab.ts";

const t = performance.now();
const lab = await Lab.start({ engines: { hv2: "ovs", hv3: "ovs" }, say: console.log });
console.log("up", performance.now() - t, lab.machine.tag);
try {
  const host = (n: string) => lab.host(n);
  for (const [a, b] of [
    ["vm11", "vm12"],
    ["vm11", "vm21"],
    ["vm11", "vm31"],
    ["vm11", "edge"],
    ["edge", "vm31"],
    ["vm13", "edge"],
    ["vm13", "vm11"],
    ["vm13", "vm32"],
    ["vm13", "vm21"],
    ["edge", "vm32"],
  ] as const)
    console.log(a, b, JSON.stringify(await host(a).ping(host(b), 5)));
  await host("vm21").serve();
  console.log(await host("vm11").fetch(host("vm21"), 5e6));
} catch (e) {
  console.log(e);
}
if (process.env.KEEP) await new Promise(r => process.stdin.once("data", r));
await lab.close();
console.log("closed", performance.now() - t);
process.exit(0);
