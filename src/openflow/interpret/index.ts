/** The execution of flows, by its door: the interpreter and what it can and cannot execute. */

export { leastBytesOf, mostBytesOf } from "./action-sizes.ts";
export { crc32c } from "./bytes.ts";
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
  unrollStep,
  wordsOfEffect,
} from "./compile-actions.ts";
export { extract } from "./extract.ts";
export { MATCH_FEATURES } from "./features.ts";
export { isPort } from "./field-access.ts";
export { type Change, changesBetween } from "./field-changes.ts";
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
export { CachingInterpreter } from "./megaflow-cache.ts";
export { isTableMiss, ORIGIN, PLAIN_PACKET_IN, reasonOf } from "./packet-in.ts";
export { type StateField, stateFields } from "./state-text.ts";
export { CT, type Tracker, type TrackerAnswer, type TrackerRequest } from "./tracker.ts";
export { formatTrackerAnswer, givenTracker, parseTrackerAnswer } from "./tracker-text.ts";
export { endsHere } from "./translate.ts";
export type { Ambiguity, TableHit, TrackStep, Watcher } from "./translation.ts";
export {
  OVS_VERSIONS,
  type OvsBehaviour,
  type OvsVersion,
  USUAL_OVS,
  VERSION_DIFFERENCES,
} from "./versions.ts";
