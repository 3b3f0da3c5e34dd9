/**
 * The input space covers every frame: the flow key of a random frame, of any protocol, tagged, labelled, cut short or with
 * bits flipped, is one that some frame format allows. A format that is missing would make a proof of less than all frames,
 * which no other test is sure to notice. SPACE_FRAMES says how many frames, SEED which.
 */
import { extract, KEY, KEY_WORDS } from "../../src/openflow/index.ts";

import {
  cubesOf,
  EVERY_FRAME,
  FRAME_FORMATS,
  type FrameFormat,
  INPUT_WORDS,
  widthOfWord,
} from "../../src/verify/symbolic/input-space.ts";
import { assert, draws, seed, suite } from "../harness.ts";
import { rng } from "../model/random.ts";
import { randomFrame } from "../openflow/interpret/frames.ts";

const test = suite("verify › input space");
const FRAMES = Number(process.env.SPACE_FRAMES ?? draws(30_000));

function keyOf(frame: Uint8Array): Uint32Array {
  const key = new Uint32Array(KEY_WORDS);
  extract(frame, key, { labelsAt: 0, layer3At: 0, layer4At: 0, paddingBytes: 0 });
  key[KEY.inPort] = 1;
  return key;
}

/** Whether a format, or the space in front of the type, allows the value of a word. */
function allows(format: FrameFormat, word: number, value: number): boolean {
  const cubes = cubesOf(EVERY_FRAME, format, word);
  if (cubes === null) return value < 2 ** widthOfWord(word);
  return cubes.some(cube => ((value ^ cube.value) & cube.mask) === 0);
}

const isOf = (key: Uint32Array, format: FrameFormat): boolean =>
  !format.notTypes.includes(key[KEY.dlType]!) && INPUT_WORDS.every(word => allows(format, word, key[word]!));

test("every frame is of a format, and every word outside the space is zero", () => {
  const from = seed();
  const r = rng(from);
  const seen = new Set<string>();
  for (let i = 0; i < FRAMES; i++) {
    const frame = randomFrame(r);
    const key = keyOf(frame);
    const told = `seed ${from}, frame ${i}: ${Buffer.from(frame).toString("hex")}`;
    const formats = FRAME_FORMATS.filter(format => isOf(key, format));
    assert.ok(formats.length > 0, `no format allows it: ${told}`);
    for (const { name } of formats) seen.add(name);
    const outside = [...key.keys()].filter(word => !INPUT_WORDS.includes(word) && key[word] !== 0);
    assert.is(outside.length, 0, `words ${outside} are not part of the space: ${told}`);
  }
  const unseen = FRAME_FORMATS.filter(({ name }) => !seen.has(name));
  process.stdout.write(`  seed ${from}: ${FRAMES} frames, ${seen.size} of ${FRAME_FORMATS.length} formats\n`);
  assert.ok(unseen.length <= FRAME_FORMATS.length / 4, `never drawn: ${unseen.map(({ name }) => name)}`);
});

test("a format that is missing is noticed", () => {
  const r = rng(1);
  const keys = Array.from({ length: 3000 }, () => keyOf(randomFrame(r)));
  const isCovered = (without: string): boolean =>
    keys.every(key => FRAME_FORMATS.some(format => format.name !== without && isOf(key, format)));
  for (const name of ["ip4 udp", "arp", "mpls 2", "other", "ip6 tcp", "ip6 nd"])
    assert.not.ok(isCovered(name), `nobody misses ${name}`);
  assert.ok(isCovered("none of them"));
});

test.run();
