/**
 * Compiles the core: AssemblyScript, then inlining by binaryen. For the set-up of a checkout, and for the benchmark,
 * which compiles a core of its own with other text in some files. Writes nothing.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * Compiles a target of asconfig.json in the checkout `root`; gives its bytes. `edit` is given
 * the name and text of each source and gives the text to compile.
 */
export async function compileCore(root, target, edit = (_name, text) => text) {
  const asc = await import("assemblyscript/asc");
  const written = new Map();
  const args = ["--config", "asconfig.json", "--baseDir", root, "--target", target];
  const { error, stderr } = await asc.main(args, {
    readFile: (name, base) =>
      existsSync(join(base, name)) ? edit(name, readFileSync(join(base, name), "utf8")) : null,
    writeFile: (name, contents) => written.set(name, contents),
  });
  const problems = stderr.toString().replace(/^Last converge was suboptimal\.\n/gm, "");
  if (problems !== "") process.stderr.write(problems);
  if (error !== null) throw error;
  const [wasm] = written.values();
  return target === "debug" ? wasm : inlineCalls(wasm);
}

/**
 * Inlines what asc leaves as calls: a frame would pass eight of them, and a call costs about as much as the work
 * behind it.
 */
async function inlineCalls(bytes) {
  const { default: binaryen } = await import("assemblyscript/binaryen");
  const wasm = binaryen.readBinary(bytes);
  const { BulkMemory, BulkMemoryOpt, MutableGlobals, NontrappingFPToInt, SignExt, SIMD128 } =
    binaryen.Features;
  wasm.setFeatures(BulkMemory | BulkMemoryOpt | MutableGlobals | NontrappingFPToInt | SignExt | SIMD128);
  binaryen.setOptimizeLevel(4);
  binaryen.setShrinkLevel(0);
  binaryen.setAlwaysInlineMaxSize(700);
  binaryen.setFlexibleInlineMaxSize(700);
  binaryen.setOneCallerInlineMaxSize(20_000);
  binaryen.setAllowInliningFunctionsWithLoops(true);
  wasm.optimize();
  const inlined = wasm.emitBinary();
  wasm.dispose();
  return inlined;
}
