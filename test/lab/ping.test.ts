/** What is read of ping's output, sequence numbers of 16 bits that begin anew among it. */
import { pinged } from "../../lab/host.ts";
import { assert, suite } from "../harness.ts";

const test = suite("the lab's pings");

const line = (at: number, sequence: number, more = ""): string =>
  `[${(1_700_000_000 + at / 1000).toFixed(6)}] 64 bytes from 10.0.0.1: icmp_seq=${sequence % 65_536} ttl=64 time=0.1 ms${more}\n`;

test("more than 65,535 pings are counted, those that are lost and those that came twice among them", () => {
  for (const total of [1, 10, 65_535, 65_536, 65_537, 100_308, 200_000]) {
    let text = "PING 10.0.0.1\n";
    let lost = 0;
    for (let sequence = 1; sequence <= total; sequence++) {
      // The last one is answered: what was sent after it is not judged.
      if (sequence % 9973 === 0 && sequence < total) lost++;
      else text += line(sequence, sequence);
    }
    const found = pinged(text, null);
    assert.equal([found.sent, found.lost, found.received], [total, lost, total - lost], `${total}`);
  }
});

test("answers that come out of order around the beginning, and a long silence at first", () => {
  const around = [65_533, 65_534, 65_537, 65_535, 65_536, 65_538];
  const before = Array.from({ length: 65_532 }, (_, index) => index + 1);
  const text = [...before, ...around].map((sequence, at) => line(at, sequence)).join("");
  assert.equal([pinged(text, null).sent, pinged(text, null).lost], [65_538, 0]);
  const late = [40_000, 40_001].map((sequence, at) => line(at, sequence)).join("");
  assert.equal([pinged(late, null).sent, pinged(late, null).lost], [40_001, 39_999]);
  const twice = line(1, 1) + line(2, 1, " (DUP!)") + line(3, 2);
  assert.equal([pinged(twice, null).sent, pinged(twice, null).duplicates], [2, 1]);
  assert.equal([pinged("", 3).sent, pinged("", 3).lost], [3, 3]);
});

test.run();
