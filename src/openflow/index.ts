/** The room of the flow language, by its only door: fields, flows as text and as values, and their execution. */
export * from "./ast.ts";
export { Flows as FlowColumns, type Shape } from "./columns.ts";
export * from "./fields.ts";
export {
  type InterfacePort,
  isInterfaceList,
  type PortTypes,
  parseInterfaces,
  typesIn,
} from "./interfaces.ts";
export * from "./interpret/index.ts";
export { KEY, KEY_WORDS, type Place } from "./key.ts";
export * from "./normalize.ts";
export { isReplyHeader, type Origin, protocolOf } from "./origin.ts";
export * from "./parse.ts";
export * from "./parse-groups.ts";
export * from "./print.ts";
export type { ParseOptions, Protocol, ValueToken } from "./reading.ts";
export { portNumbersOf, portSymbols, SymbolNames, tableSymbols } from "./symbols.ts";
export {
  cookieOf,
  fill,
  KIND_BITS,
  PIPELINE_ROWS,
  PIPELINE_TABLES,
  type PipelineRow,
  PUSH,
  prefixText,
  Recognizer,
  type RowInstance,
  type RowKind,
  wordsOf,
} from "./tables.ts";
export { ones } from "./values.ts";
