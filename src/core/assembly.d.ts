/**
 * Types that neither Node's declarations nor TypeScript's library without the DOM have: AssemblyScript's
 * integer that assembly/abi.ts uses, and as much of WebAssembly as the host touches.
 */
declare type u32 = number;

declare namespace WebAssembly {
  interface Memory {
    readonly buffer: ArrayBuffer;
  }
}
