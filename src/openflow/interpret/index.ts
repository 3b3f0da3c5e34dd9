/** The execution of flows, by its door: the interpreter and what it can and cannot execute. */

export { isPort } from "./access.ts";
export type { SetPart } from "./action-set.ts";
export { crc32c } from "./bytes.ts";
export { CachingInterpreter } from "./cache.ts";
export { type Change, changesBetween } from "./changes.ts";
export { extract } from "./extract.ts";
export { ACTION_FEATURES, type Feature, MATCH_FEATURES, type Support } from "./features.ts";
export { Interpreter, type InterpreterOptions, type Outcome, type Verdict } from "./interpreter.ts";
export { compileActions, type FeatureAt, isModelled, type Step } from "./program.ts";
export { leastBytesOf, mostBytesOf } from "./sizes.ts";
export type { Ambiguity, TableHit, Watcher } from "./translate.ts";
