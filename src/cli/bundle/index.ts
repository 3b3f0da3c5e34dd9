/** The only entry point of the bundles. */
export { type BundledBridge, bundledBridge } from "./bundle.ts";
