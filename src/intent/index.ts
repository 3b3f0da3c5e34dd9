/**
 * The intent room's only door: load an intent, get numbers or problems. Other rooms import from here and from nowhere
 * else in this folder.
 */
export { LABELS_MAX, LIMITS, type Limits } from "./limits.ts";
export { loadIntent, parseIntent } from "./load.ts";
export { formatProblem } from "./problems.ts";
export type { Intent, Loaded, NextHop, Path, Problem, Routes, Uplink, Vm } from "./types.ts";
