/**
 * The intent room's only door: load an intent, get numbers or problems. Other rooms import from here and from nowhere
 * else in this folder.
 */
export {
  EditableIntent,
  EditError,
  formatEdit,
  formatIntent,
  type IntentChange,
  type IntentEdit,
  isSameVm,
  NO_NEXT_HOP,
  parseEdit,
  type Route,
  readIntentDocument,
  type VmChange,
} from "./edit.ts";
export { formatCount, LABELS_MAX, LIMITS, type Limits } from "./limits.ts";
export { intentOfBytes, loadIntent, parseIntent, parseVm } from "./load.ts";
export { readBytes } from "./read.ts";
export type { Intent, Loaded, NextHop, Path, Places, Routes, Uplink, Vm } from "./types.ts";
