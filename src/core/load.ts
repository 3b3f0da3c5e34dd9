/**
 * Compiles and instantiates the core from build/. The only place that knows @assemblyscript/loader, and of
 * it only `instantiateSync`; plain WebAssembly.Instance would do the same for a module without imports.
 */
import { existsSync, readFileSync } from "node:fs";
import { instantiateSync } from "@assemblyscript/loader";
import { VERSION } from "../../assembly/abi.ts";

/**
 * What the core exports; see assembly/index.ts. MACs are the six bytes in network order in the low 48 bits.
 */
export interface CoreExports {
  readonly memory: WebAssembly.Memory;
  version(): number;
  resetCounters(): void;
  resetCaptures(): void;
  begin(
    label: number,
    virtualMac: bigint,
    uplinkMac: bigint,
    exact: number,
    long: number,
    hosts: number,
  ): number;
  commit(): number;
  abandon(): void;
  activeBank(): number;
  walk(): number;
  addPort(number: number, flags: number, mac: bigint, maxFrameBytes: number, outputInterface: number): number;
  changePort(number: number, flags: number, maxFrameBytes: number): number;
  removePort(number: number): number;
  setNextHop(
    index: number,
    via: bigint,
    labels: number,
    first: number,
    second: number,
    third: number,
  ): number;
  applyHosts(editCount: number): number;
  applyRoutes(editCount: number): number;
  status(): number;
  runFrames(frameCount: number): number;
  runCaptures(captureCount: number, most: number): number;
  framesRead(): number;
  setOutput(output: number, drops: number, unitsPerSecond: number, baseSeconds: number): void;
  emptyOutput(): void;
  usedBytes(): number;
  usedDropsBytes(): number;
}

/** The build to load: optimised with SIMD, optimised without, or unoptimised with assertions. */
export type CoreBuild = "release" | "scalar" | "debug";

const FILES: Record<CoreBuild, string> = {
  release: "core.wasm",
  scalar: "core.scalar.wasm",
  debug: "core.debug.wasm",
};

/** The bytes of a build. They lie beside the bundled program, or in build/ of a checkout. */
export function readCore(build: CoreBuild = "release"): Uint8Array {
  const beside = new URL(`./${FILES[build]}`, import.meta.url);
  const inCheckout = new URL(`../../build/${FILES[build]}`, import.meta.url);
  return readFileSync(existsSync(beside) ? beside : inCheckout);
}

/** Instantiates a core. Throws when its ABI is another one than the host's. */
export function instantiateCore(bytes: Uint8Array): CoreExports {
  const { exports } = instantiateSync(bytes);
  const core = exports as unknown as CoreExports;
  if (core.version() !== VERSION) {
    throw new Error(`the core speaks ABI ${core.version()}, the host ABI ${VERSION}: run npm run build`);
  }
  return core;
}
