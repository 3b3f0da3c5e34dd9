/** The execution of flows, by its door: the interpreter and what it can and cannot execute. */

export { isPort } from "./access.ts";
export type { SetPart } from "./action-set.ts";
export { crc32c } from "./bytes.ts";
export { CachingInterpreter } from "./cache.ts";
export { type Change, changesBetween } from "./changes.ts";
export { extract } from "./extract.ts";
export { ACTION_FEATURES, type Feature, MATCH_FEATURES, type Support } from "./features.ts";
export {
  type Effects,
  type EnteringState,
  type FrameOut,
  Interpreter,
  type InterpreterOptions,
  NO_STATE,
  type Outcome,
  type PacketInSeen,
  type Verdict,
} from "./interpreter.ts";
export {
  ACCOMPANYING_WORDS,
  compileActions,
  type Effect,
  type FeatureAt,
  isModelled,
  isNoted,
  PACKET_IN_WORDS,
  type PacketInArguments,
  type Step,
  wordsOfEffect,
} from "./program.ts";
export { leastBytesOf, mostBytesOf } from "./sizes.ts";
export { type StateField, stateFields } from "./state-text.ts";
export {
  type Ambiguity,
  EXPIRED,
  endsHere,
  isTableMiss,
  ORIGIN,
  PLAIN_PACKET_IN,
  reasonOf,
  type TableHit,
  type Watcher,
} from "./translate.ts";
export {
  OVS_VERSIONS,
  type OvsBehaviour,
  type OvsVersion,
  USUAL_OVS,
  VERSION_DIFFERENCES,
} from "./versions.ts";
