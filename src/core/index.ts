/** The core room's only door. */

export type { Counters, FrameIn, FrameOut, PortCounters } from "./core.ts";
export { Core } from "./core.ts";
export {
  editVms,
  isRebuilt,
  type PortEdit,
  type RouteEdits,
  type Shape,
  shapeOf,
  stepsToEditRoutes,
  type VmEdits,
} from "./edit.ts";
export { adoptImage, imageOf, stepsToAdopt, type TableImage } from "./image.ts";
export type { CoreBuild } from "./load.ts";
export { instantiateCore, readCore } from "./load.ts";
export type { ReasonName, VerdictName } from "./names.ts";
export { dropReason, REASONS, VERDICTS } from "./names.ts";
export { CapacityError, editRoutes, portsInOrder, type RouteEdit, setNextHop } from "./pack.ts";
