/**
 * Messages between the thread that moves frames and the main thread, and the memory that they share. Types
 * only.
 */
import type { Counters, RouteEdits, TableImage, VmEdits } from "../core/index.ts";
import type { DeviceCounts, DeviceSpec } from "./device.ts";

/** The first message to the thread. */
export interface Setup {
  readonly tables: Tables;
  readonly devices: readonly { readonly port: string; readonly spec: DeviceSpec }[];
  /** Device of each port of the intent that is not in `devices`, with a * for its name; null: no device. */
  readonly template: DeviceSpec | null;
  /** Labels of the route that has most, and whether an MTU too small for them is allowed. */
  readonly isSmallMtuAllowed: boolean;
  readonly mirror: MirrorSetup | null;
}

/** The tables of an intent, and its other values that live ports need. */
export interface Tables {
  readonly image: TableImage;
  readonly uplink: string;
  /** Names, numbers and, for VMs whose packets may be labelled, the MTU that the intent gives. */
  readonly ports: readonly PortOfIntent[];
  readonly mostLabels: number;
}

/** VMs that change together between two batches. */
export interface VmGroup {
  readonly tables: VmEdits;
  /** Names of ports that the intent has no more, before those that it has now. */
  readonly gone: readonly string[];
  readonly ports: readonly PortOfIntent[];
}

/** Changes of the tables in force. */
export interface TableEdit {
  readonly groups: readonly VmGroup[];
  readonly routes: RouteEdits;
  readonly mostLabels: number;
}

export interface PortOfIntent {
  readonly name: string;
  readonly ofport: number;
  readonly mtu: number | null;
  /** Whether its packets take routes, and so labels. */
  readonly isRouted: boolean;
}

/** Copies of frames for the main thread: every `every`-th frame that comes in. */
export interface MirrorSetup {
  readonly buffer: SharedArrayBuffer;
  readonly every: number;
}

export type ToWorker =
  | { readonly type: "setup"; readonly setup: Setup }
  | { readonly type: "reload"; readonly tables: Tables }
  | { readonly type: "edit"; readonly edit: TableEdit }
  | { readonly type: "snapshot" }
  | { readonly type: "stop" };

/** One port as it is now. */
export interface PortState {
  readonly port: string;
  readonly device: string;
  /** Its number in the intent, null when the intent has no such port. */
  readonly ofport: number | null;
  readonly isOpen: boolean;
  readonly counts: Readonly<DeviceCounts>;
}

/** All counters at one moment. */
export interface Snapshot {
  readonly counters: Counters;
  readonly ports: readonly PortState[];
  /** Frames whose port has no device, or one that is closed. */
  readonly undelivered: number;
  /** Calls of the core, of poll, and frames: how full batches are. */
  readonly batches: number;
  readonly polls: number;
}

export type FromWorker =
  | { readonly type: "ready"; readonly wake: number; readonly notes: readonly string[] }
  | { readonly type: "failed"; readonly message: string; readonly isOurs: boolean }
  | { readonly type: "reloaded" }
  | { readonly type: "edited" }
  | { readonly type: "snapshot"; readonly snapshot: Snapshot }
  | { readonly type: "note"; readonly text: string }
  | { readonly type: "stopped"; readonly snapshot: Snapshot };
