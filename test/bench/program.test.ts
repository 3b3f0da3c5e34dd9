/**
 * `slash32 bench` as people run it, in smoke size: the contract's JSON, what is said without a compiler, and usage
 * errors. How fast anything is, is not tested here.
 */
import { existsSync, mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { basename, join } from "node:path";
import { failsWith, inFolder, succeeds } from "../cli/base.ts";
import { assert, peer, suite } from "../harness.ts";

const test = suite("slash32 bench");

test("JSON is what the contract says", () => {
  peer("gcc");
  inFolder({}, folder => {
    const ran = folder.run(["bench", "--smoke", "core-inbound", "--format", "json", "--quiet"]);
    succeeds(ran);
    assert.match(ran.stdout, /^[^\n]+\n$/);
    const { type, schema, machine, commit, cases } = JSON.parse(ran.stdout);
    assert.equal([type, schema, typeof machine], ["bench", 1, "string"]);
    assert.match(commit, /^([0-9a-f]{7,}\+?|unknown)$/);
    assert.is(cases.length, 2);
    for (const one of cases) {
      assert.equal([one.name, one.entries, one.distribution], ["inbound", 1000, "uniform"]);
      assert.equal([one.yardstick, one.objection], ["gcc -O3", null]);
      assert.ok(one.ns_per_frame > 0 && one.yardstick_ns_per_frame > 0);
      assert.is(one.ratio.toFixed(9), (one.ns_per_frame / one.yardstick_ns_per_frame).toFixed(9));
    }
    assert.equal(
      cases.map((one: { mode: string }) => one.mode),
      ["judge", "write"],
    );
  });
});

test("without a compiler the yardstick's column is empty, that is said, and all is well", () => {
  inFolder({}, folder => {
    const bin = folder.at("bin");
    mkdirSync(bin);
    for (const program of ["/bin/sh", "/usr/bin/git"]) {
      if (existsSync(program)) symlinkSync(program, join(bin, basename(program)));
    }
    const ran = folder.run(["bench", "--smoke", "core-inbound", "--format", "json", "-q"], {
      env: { PATH: bin },
    });
    succeeds(ran);
    const { cases } = JSON.parse(ran.stdout);
    for (const one of cases) {
      assert.ok(one.ns_per_frame > 0);
      assert.equal([one.yardstick, one.yardstick_ns_per_frame, one.ratio], ["gcc -O3", null, null]);
      assert.match(one.objection, /no C compiler/);
    }
    const text = folder.run(["bench", "--smoke", "core-inbound"], { env: { PATH: bin } });
    assert.is(text.code, 0);
    assert.match(text.stdout, /no yardstick: no C compiler: neither gcc nor cc is there/);
  });
});

test("usage errors are one line each", () => {
  inFolder({}, folder => {
    failsWith(folder.run(["bench", "nonesuch"]), 'no row is named "nonesuch"', "core-mix");
    failsWith(folder.run(["bench", "--short", "--docs"]), "--docs takes all rows");
    failsWith(folder.run(["bench", "--short", "--smoke"]), "choose one");
    failsWith(folder.run(["bench", "--guard"]), "are of the short form: add --short");
    failsWith(folder.run(["bench", "--write-baseline"]), "are of the short form: add --short");
    failsWith(folder.run(["bench", "--short", "--guard", "--write-baseline"]), "do not go together");
    failsWith(folder.run(["bench", "--short", "--write-baseline", "core"]), "takes all rows");
    failsWith(folder.run(["bench", "--format", "yaml"]), "text, json, ndjson");
  });
});

test("the help names every row", () => {
  inFolder({}, folder => {
    const help = folder.run(["bench", "--help"]).stdout.replace(/\s+/g, " ");
    const rows = readFileSync(join(import.meta.dirname, "../../bench/rows.ts"), "utf8").matchAll(
      /\{ name: "([^"]+)"/g,
    );
    const names = [...rows].map(([, name]) => name!);
    assert.ok(names.length > 10, "the rows were found");
    for (const name of names) assert.ok(help.includes(name), name);
  });
});

test.run();
