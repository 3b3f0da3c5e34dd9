/** The intent module's only entry point: load an intent, edit it, read and write both as JSON. */
export { EditError, type IntentChange, type IntentEdit, type Route, type VmChange } from "./edit.ts";
export { formatEdit, formatIntent, parseEdit, readIntentDocument } from "./edit-json.ts";
export { EditableIntent, isSameVm } from "./editable-intent.ts";
export { formatCount, LABELS_MAX, LIMITS, type Limits } from "./limits.ts";
export { intentOfBytes, loadIntent, parseIntent, parseVm } from "./load.ts";
export { readBytes } from "./read.ts";
export type { Intent, Loaded, NextHop, Path, Places, Routes, Uplink, Vm } from "./types.ts";
