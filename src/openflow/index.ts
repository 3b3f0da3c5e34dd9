/**
 * The room of the flow language, by its only door: fields, flows as text and as values, and their execution.
 */

export {
  ACTION_FEATURES,
  ACTIONS,
  type ActionEntry,
  type ActionFeature,
  type ActionKind,
  type Feature,
  type Freezing,
  kindOf,
  SET_END,
  SET_FIRST,
  type SetPart,
  type Spelling,
  type Support,
} from "./actions/index.ts";
export * from "./ast.ts";
export { FlowColumns, type LineTemplate } from "./columnar/dump.ts";
export * from "./fields.ts";
export { KEY, KEY_WORDS, type Place } from "./flow-key.ts";
export {
  type InterfacePort,
  interfacesOfShow,
  isInterfaceList,
  type PortTypes,
  parseInterfaces,
  typesIn,
} from "./interfaces.ts";
export * from "./interpret/index.ts";
export * from "./normal-form.ts";
export { isReplyHeader, type Origin, protocolOf } from "./origin.ts";
export * from "./parse.ts";
export type { ParseOptions, Protocol, ValueToken } from "./parse-context.ts";
export * from "./parse-groups.ts";
export { portNumbersOf } from "./port-numbers.ts";
export * from "./print.ts";
export { portSymbols, SymbolNames, tableSymbols } from "./symbols.ts";
export { ones } from "./values.ts";
