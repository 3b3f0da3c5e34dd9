/**
 * The one file that both sides read: the core is compiled from it, the host imports it. It holds the version,
 * the limits, the memory map and the numbers of verdicts, reasons and events. Numbers only: no strings, no
 * functions. A change here is a change of VERSION.
 *
 * The core's memory, fixed at start and never grown (pages that nobody touches cost nothing):
 *
 *   0        ┌──────────────────────────────┐
 *            │ compiler's own static data   │  64 KiB
 *   CONTROL  ├──────────────────────────────┤
 *            │ captures, queue, reason texts│  64 KiB
 *   COUNTERS ├──────────────────────────────┤
 *            │ outcomes, totals             │  20 KiB
 *            │ 65,536 ports × 64 B          │   4 MiB
 *   STAGING  ├──────────────────────────────┤
 *            │ table edits on their way in  │   1 MiB
 *   FRAMES   ├──────────────────────────────┤
 *            │ descriptors, then frames     │   4 MiB
 *   INTERFACES──────────────────────────────┤
 *            │ capture interfaces × 64 B    │   8 MiB
 *   INPUT    ├──────────────────────────────┤
 *            │ windows on the captures read │  32 MiB
 *   OUTPUT   ├──────────────────────────────┤
 *            │ capture being written        │   1 MiB + slack
 *   DROPS    ├──────────────────────────────┤
 *            │ capture of drops, written    │   1 MiB + slack
 *   BANKS    ├──────────────────────────────┤
 *            │ tables, first set            │  41.2 MiB
 *            │ tables, second set           │  41.2 MiB
 *            │ exact routes, 4 places       │  64 MiB
 *            └──────────────────────────────┘
 *
 * All integers are little-endian as WebAssembly stores them, except where *network order* is said.
 */

export const VERSION: u32 = 4;

// ── Limits ─────────────────────────────────────────────────────────────────────────────────────────────────

/** Routes of every prefix length together. */
export const MAX_ROUTES: u32 = 1048576;
/** Next hops (label stack and MAC) that differ from one another. */
export const MAX_NEXT_HOPS: u32 = 1048576;
/** Addresses of local VMs, of all VMs together. */
export const MAX_HOSTS: u32 = 65536;
/** Ports, the uplink included. */
export const MAX_PORTS: u32 = 4096;
/**
 * Longest frame that the pipeline takes, in bytes, from the destination MAC to the last byte before the
 * FCS.
 */
export const MAX_FRAME_BYTES: u32 = 9216;
/** Labels that one route may push (as many as OVS holds). */
export const MAX_LABELS: u32 = 3;
/** Port numbers counted one by one; frames of a larger in_port are `unknown-port` and counted there only. */
export const MAX_PORT_NUMBER: u32 = 65535;
/** Captures read at the same time. */
export const MAX_CAPTURES: u32 = 64;
/** Interface records for all captures read at the same time. */
export const MAX_INTERFACES: u32 = 131072;
/** Captured bytes of one record; libpcap's MAXIMUM_SNAPLEN. */
export const MAX_RECORD_BYTES: u32 = 262144;
/** Frames in one call of `runFrames`. */
export const MAX_BATCH_FRAMES: u32 = 1024;
/** Edits in one call of `applyHosts` or `applyRoutes`. */
export const MAX_EDITS: u32 = 65536;

// ── Verdicts and reasons ───────────────────────────────────────────────────────────────────────────────────

/** What became of a frame. */
export enum Verdict {
  Drop = 0,
  Output = 1,
  Reply = 2,
}

/** Why a frame was dropped. The names in kebab case are what people see: `TooShort` is `too-short`. */
export enum Reason {
  None = 0,
  TooShort = 1,
  TooLong = 2,
  UnknownPort = 3,
  VlanTagged = 4,
  SpoofedSource = 5,
  Malformed = 6,
  MulticastDestination = 7,
  NotIp = 8,
  UnknownLabel = 9,
  LabelStack = 10,
  ArpProbe = 11,
  ArpSuppressed = 12,
  TtlExpired = 13,
  NoLocalVm = 14,
  Martian = 15,
  NoRoute = 16,
  BridgeSuppressed = 17,
  SamePort = 18,
}

/** All Reasons, None included. src/core/names.ts asserts that none is missing here. */
export const REASON_COUNT: u32 = Reason.SamePort + 1;
/**
 * Bits that hold a Reason, in a decision and in the number of an outcome. Asserted there, too: enough for
 * all Reasons.
 */
export const REASON_BITS: u32 = 5;

/** Tables that a frame entered, one bit each, kept together as its *path*. */
export enum Table {
  Classify = 1,
  Label = 2,
  Arp = 4,
  Local = 8,
  Remote = 16,
  Bridge = 32,
}

/** All paths: every set of Tables. Asserted in src/core/names.ts: Bridge is the highest bit. */
export const PATH_COUNT: u32 = Table.Bridge << 1;
/** Outcomes of one path: room for every Reason. */
export const OUTCOMES_A_PATH: u32 = 1 << REASON_BITS;

// ── Control: one record a capture, one text a reason ───────────────────────────────────────────────────────

export const CONTROL: u32 = 0x10000;

/** Capture states, MAX_CAPTURES of them. */
export const CAPTURES: u32 = CONTROL;
export const CAPTURE_BYTES: u32 = 256;
/** 0 not in use, then a CaptureFormat. */
export const CAPTURE_FORMAT: u32 = 0;
/** 1 when the capture's numbers are big-endian. */
export const CAPTURE_SWAPPED: u32 = 4;
/** Address of the first byte not consumed. */
export const CAPTURE_AT: u32 = 8;
/** Address behind the last byte read. */
export const CAPTURE_END: u32 = 12;
/** 1 when nothing follows behind CAPTURE_END. */
export const CAPTURE_EOF: u32 = 16;
/** 1 when the capture is read to its end. */
export const CAPTURE_DONE: u32 = 20;
/** Address of the capture's first interface record. */
export const CAPTURE_INTERFACES: u32 = 24;
export const CAPTURE_INTERFACE_COUNT: u32 = 28;
/**
 * Bytes of a block being skipped that are still to come, its second length not counted; and its length, 0:
 * no block.
 */
export const CAPTURE_SKIP: u32 = 32;
export const CAPTURE_SKIP_BLOCK: u32 = 36;
/**
 * Timestamp of the last packet looked at, in output units; u64. A Simple Packet Block has none of its own.
 */
export const CAPTURE_CLOCK: u32 = 40;
/**
 * 1 when the next packet was looked at already; it stands in the following fields, laid out as a queue
 * entry.
 */
export const CAPTURE_HEAD: u32 = 52;
/** Address of the record or block that was looked at last. */
export const CAPTURE_START: u32 = 56;
export const CAPTURE_HEAD_ENTRY: u32 = 64;
/** What is wrong, a CaptureFault, and a number that belongs to it. */
export const CAPTURE_FAULT: u32 = 96;
export const CAPTURE_FAULT_VALUE: u32 = 100;
/** Frames of zero bytes seen; u32. */
export const CAPTURE_EMPTY_FRAMES: u32 = 104;
/** Address of the first of them, until the window moves. */
export const CAPTURE_EMPTY_AT: u32 = 108;
/** The same for records with more bytes captured than the frame had, and for times that cannot be kept. */
export const CAPTURE_LONG_RECORDS: u32 = 112;
export const CAPTURE_LONG_AT: u32 = 116;
export const CAPTURE_ODD_TIMES: u32 = 120;
export const CAPTURE_ODD_TIME_AT: u32 = 124;
/** Packets left out because their interface is; u32. */
export const CAPTURE_LEFT_OUT: u32 = 128;
/** Order of the two lengths in a pcap record, a RecordLengths. */
export const CAPTURE_LENGTHS: u32 = 132;
/**
 * What is odd about the packet looked at, bits of OddPacket; where its options are, and their bytes
 * (QUEUE_OPTIONS).
 */
export const CAPTURE_HEAD_ODD: u32 = 136;
export const CAPTURE_HEAD_OPTIONS: u32 = 140;
export const CAPTURE_HEAD_OPTIONS_BYTES: u32 = 144;

/** Old versions of pcap have the lengths of a record the other way round (libpcap, sf-pcap.c). */
export enum RecordLengths {
  /** Captured, then on the wire: version 2.4. */
  Usual = 0,
  /** Before 2.3. */
  Swapped = 1,
  /** 2.3: swapped where the first is the larger one. */
  Either = 2,
}

/** Bits that say what is odd about a packet that is read all the same. */
export enum OddPacket {
  /** More bytes were captured than the frame had. */
  Long = 1,
  /** Its time lies outside of what output units can hold. */
  Time = 2,
}

export enum CaptureFormat {
  Unused = 0,
  Pcap = 1,
  PcapNg = 2,
}

/** Packets on their way from captures through the tables, oldest first. */
export const QUEUE: u32 = 0x14000;
export const QUEUE_ENTRIES: u32 = 256;
export const QUEUE_ENTRY_BYTES: u32 = 32;
/**
 * Captured bytes, bytes on the wire (side by side as in a pcap record), address of the frame, address of the
 * interface record; u64 timestamp in output units.
 */
export const ENTRY_CAPTURED: u32 = 0;
export const ENTRY_LENGTH: u32 = 4;
export const ENTRY_FRAME: u32 = 8;
export const ENTRY_INTERFACE: u32 = 12;
export const ENTRY_TIME: u32 = 16;
/** The decision (assembly/decision.ts), u64. */
export const ENTRY_DECISION: u32 = 24;

/** pcapng options that say a reason: u32 length, then the bytes (an opt_comment without opt_endofopt). */
export const REASON_OPTIONS: u32 = 0x16000;
export const REASON_OPTIONS_BYTES: u32 = 64;
/** A place for each queue entry: address of the packet's pcapng options, 0 for none; their bytes. */
export const QUEUE_OPTIONS: u32 = 0x17000;
export const QUEUE_OPTIONS_BYTES: u32 = 8;
/** Set in the number of bytes when the options are big-endian. */
export const OPTIONS_SWAPPED: u32 = 0x80000000;
/** Options of one packet that are carried along, in bytes; the rest of them is left out. */
export const MAX_OPTIONS_BYTES: u32 = 0xfe00;

/** u32 a place for route tables: its bytes that may not be zero. */
export const PLACES: u32 = 0x18000;
/**
 * u32: sum of what touch.ts looked at, stored so that no compiler finds its loads useless; nobody reads it.
 */
export const SEEN: u32 = 0x18040;

// ── Counters, all u64 ──────────────────────────────────────────────────────────────────────────────────────

export const COUNTERS: u32 = 0x20000;
/** One an outcome: path × OUTCOMES_A_PATH + Reason. */
export const COUNTERS_OUTCOMES: u32 = COUNTERS;
/** Captured bytes of all frames, and frames that were snapped (they have no outcome). */
export const COUNTERS_BYTES: u32 = COUNTERS_OUTCOMES + PATH_COUNT * OUTCOMES_A_PATH * 8;
export const COUNTERS_SNAPPED: u32 = COUNTERS_BYTES + 8;
/**
 * Packets written without some of their options, and with another time than theirs because pcap cannot hold
 * it.
 */
export const COUNTERS_CUT_OPTIONS: u32 = COUNTERS_BYTES + 16;
export const COUNTERS_CUT_TIMES: u32 = COUNTERS_BYTES + 24;
/** One record a port number; numbers above MAX_PORT_NUMBER have none. */
export const COUNTERS_PORTS: u32 = COUNTERS + 0x5000;
export const COUNTERS_PORT_BYTES: u32 = 64;
export const PORT_RX_FRAMES: u32 = 0;
export const PORT_RX_BYTES: u32 = 8;
export const PORT_DROP_FRAMES: u32 = 16;
export const PORT_TX_FRAMES: u32 = 24;
export const PORT_TX_BYTES: u32 = 32;
export const PORT_REPLY_FRAMES: u32 = 40;
export const PORT_REPLY_BYTES: u32 = 48;
export const COUNTERS_END: u32 = COUNTERS_PORTS + (MAX_PORT_NUMBER + 1) * COUNTERS_PORT_BYTES;

// ── Staging: table edits ───────────────────────────────────────────────────────────────────────────────────

export const STAGING: u32 = 0x430000;
/** A host edit: address (host order), port number of its VM. */
export const HOST_EDIT_BYTES: u32 = 8;
/** A route edit: prefix (host order), prefix length, next hop. */
export const ROUTE_EDIT_BYTES: u32 = 12;
/** In place of a port number or a next hop: remove the entry. */
export const REMOVE: u32 = 0xffffffff;

// ── Frames given in batches ────────────────────────────────────────────────────────────────────────────────

/** Descriptors, MAX_BATCH_FRAMES of them. The host fills the first three words, the core the rest. */
export const FRAMES: u32 = 0x540000;
export const DESCRIPTOR_BYTES: u32 = 32;
export const DESCRIPTOR_IN_PORT: u32 = 0;
/** Address of the frame; FRAME_HEADROOM_BYTES in front of it are the core's to use. */
export const DESCRIPTOR_FRAME: u32 = 4;
export const DESCRIPTOR_LENGTH: u32 = 8;
/** Verdict, Reason, path: one byte each; fourth byte: 1 when a label was popped. */
export const DESCRIPTOR_VERDICT: u32 = 12;
export const DESCRIPTOR_REASON: u32 = 13;
export const DESCRIPTOR_PATH: u32 = 14;
export const DESCRIPTOR_POPPED: u32 = 15;
/** Port number by which the frame leaves, its first byte and its length. */
export const DESCRIPTOR_OUT_PORT: u32 = 16;
export const DESCRIPTOR_OUT_FRAME: u32 = 20;
export const DESCRIPTOR_OUT_LENGTH: u32 = 24;
/** Where frames may lie. */
export const FRAMES_DATA: u32 = 0x548000;
export const FRAMES_END: u32 = 0x93ff00;
export const FRAME_HEADROOM_BYTES: u32 = 64;

// ── Capture input and output ───────────────────────────────────────────────────────────────────────────────

/** Interface records; the host gives each capture a stretch of them. */
export const INTERFACES: u32 = 0x940000;
export const INTERFACE_BYTES: u32 = 64;
/** Number of the port that frames of this interface enter. */
export const INTERFACE_IN_PORT: u32 = 0;
/** Interface of the drops capture. */
export const INTERFACE_DROPS: u32 = 4;
/** Snap length in bytes, 0 for none. */
export const INTERFACE_SNAPLEN: u32 = 8;
/** Output time = time × multiplier ÷ divisor + offset (u32, u32, u64). */
export const INTERFACE_MULTIPLIER: u32 = 12;
export const INTERFACE_DIVISOR: u32 = 16;
/** What is done with its packets, an InterfaceUse. */
export const INTERFACE_USE: u32 = 20;
export const INTERFACE_OFFSET: u32 = 24;
/** u64 each: the first and the last pcapng timestamp whose output time is 0 to 2^64 - 1. */
export const INTERFACE_FIRST_TIME: u32 = 32;
export const INTERFACE_LAST_TIME: u32 = 40;

export enum InterfaceUse {
  Read = 0,
  /** Its packets are passed over, and counted. */
  LeaveOut = 1,
  /** The first packet is a CaptureFault. */
  Refuse = 2,
}

export const INPUT: u32 = 0x1140000;
/** One window a capture, at INPUT + index × WINDOW_BYTES. */
export const WINDOW_BYTES: u32 = 0x80000;
/** Readable bytes behind a window, and writable ones behind OUTPUT and DROPS. */
export const SLACK_BYTES: u32 = 0x10000;

export const OUTPUT: u32 = 0x3150000;
export const OUTPUT_BYTES: u32 = 0x40000;
export const DROPS: u32 = 0x3270000;
export const DROPS_BYTES: u32 = 0x100000;

export enum OutputFormat {
  None = 0,
  PcapNg = 1,
  Pcap = 2,
}

/** Why `runCaptures` came back; the capture's index stands in the bits above the lowest eight. */
export enum Event {
  /** Every capture is at its end, or as many frames were read as asked for. */
  Done = 0,
  /** More bytes are wanted behind CAPTURE_END (or CAPTURE_EOF). */
  Input = 1,
  /** OUTPUT or DROPS has to be written out. */
  Full = 2,
  /** A section header or an interface description stands at CAPTURE_AT, whole; the host reads it. */
  Block = 3,
  /** The capture is damaged, see CaptureFault. */
  Fault = 4,
}

/** What can be wrong with a capture, behind its header. */
export enum CaptureFault {
  None = 0,
  /** The file ends inside a record or block; value: bytes that are there. */
  CutShort = 1,
  /** A packet of an interface that cannot be used; value: the interface. */
  UnusableInterface = 2,
  /** More bytes captured than MAX_RECORD_BYTES; value: captured bytes. */
  RecordTooLarge = 3,
  /** A block length below 12 or no multiple of 4; value: the length. */
  BlockLength = 4,
  /** The two lengths of a block differ; value: the second. */
  BlockTrailer = 5,
  /** A packet's bytes do not fit its block; value: captured bytes. */
  PacketOverrun = 6,
  /** An option reaches past its block; value: the option's code. */
  OptionOverrun = 7,
  /** A packet of an interface that nobody described; value: the interface. */
  UnknownInterface = 8,
  /** A block that must be read whole is larger than the window; value: its length. */
  BlockTooLarge = 9,
  /** A section header with a wrong byte-order magic; value: the magic. */
  ByteOrder = 10,
}

// ── Tables ─────────────────────────────────────────────────────────────────────────────────────────────────

/** What `begin`, `commit`, `applyHosts`, `applyRoutes` … answer. */
export enum Status {
  Ok = 0,
  /** A limit of this file is reached. */
  Full = 1,
  /** An argument makes no sense: a prefix length above 32, an unknown port, a next hop never set. */
  Invalid = 2,
  /** Something that must be unique is there already. */
  Exists = 3,
}

/** Two complete sets of tables: one that frames see, one being built. */
export const BANKS: u32 = 0x3380000;
export const BANK_BYTES: u32 = 0x2930000;

/** Offsets in a bank. */
export const BANK_SETTINGS: u32 = 0;
/** u16 a port number: 0 no port, else its slot + 1. */
export const BANK_PORT_SLOTS: u32 = 0x10000;
/** MAX_PORTS records of PORT_BYTES. */
export const BANK_PORTS: u32 = 0x30000;
/** MAC addresses of VMs: MAC_SLOTS × u64, MAC in the low 48 bits, slot + 1 above. */
export const BANK_MACS: u32 = 0x70000;
/** Local addresses: exact-match buckets. */
export const BANK_HOSTS: u32 = 0x90000;
/** u32 a /16: best route of length 0…16, its length in the top byte. */
export const BANK_SHORT_LEAVES: u32 = 0x190000;
/** u32 a prefix of length 0…16, heap order. */
export const BANK_SHORT_HEAP: u32 = 0x1d0000;
/** u32 a /16: bit L is set when a route of length L (17…31) lies inside. */
export const BANK_LONG_LENGTHS: u32 = 0x250000;
/** u16 a /16 and length: how many such routes. */
export const BANK_LONG_COUNTS: u32 = 0x290000;
/** MAX_NEXT_HOPS records of NEXT_HOP_BYTES. */
export const BANK_NEXT_HOPS: u32 = 0x490000;
/** Dense tables (table/dense.ts) of local addresses and of /32 routes: directory, then pages. */
export const BANK_DENSE_HOSTS: u32 = 0x2490000;
export const BANK_DENSE_EXACT: u32 = 0x2500000;

/**
 * Room for exact-match tables of routes: two in each bank's use. A table that grows takes a free place, so
 * that one bank alone may use three.
 */
export const ROUTE_TABLES: u32 = 0x85e0000;
export const ROUTE_TABLE_BYTES: u32 = 0x1000000;
export const ROUTE_TABLE_COUNT: u32 = 4;

export const MAC_SLOTS: u32 = 16384;

/** A bucket: 8 keys, 8 values, one cache line. */
export const BUCKET_BYTES: u32 = 64;
export const MAX_HOST_BUCKETS: u32 = 16384;
export const MAX_ROUTE_BUCKETS: u32 = 262144;

/** Settings of a bank. */
export const SETTING_LABEL: u32 = 0;
export const SETTING_VIRTUAL_MAC: u32 = 8;
export const SETTING_UPLINK_MAC: u32 = 16;
/** Offset of the uplink's port record in the bank. */
export const SETTING_UPLINK: u32 = 24;
/** Port records that were ever in use. */
export const SETTING_PORT_COUNT: u32 = 28;
/** Exact-match tables: local addresses, routes of length 32, routes of length 17…31; TABLE records. */
export const SETTING_HOSTS: u32 = 32;
export const SETTING_EXACT: u32 = 48;
export const SETTING_LONG: u32 = 64;
export const SETTING_SHORT_COUNT: u32 = 80;
export const SETTING_NEXT_HOP_COUNT: u32 = 84;
/** Dense tables of local addresses and of /32 routes; DENSE records. */
export const SETTING_DENSE_HOSTS: u32 = 88;
export const SETTING_DENSE_EXACT: u32 = 100;
/**
 * u64: bytes 12…19 of a frame with this hypervisor's label alone and an IPv4 header without options,
 * LABELLED_MASK.
 */
export const SETTING_LABELLED: u32 = 112;
/**
 * Slot + 1 of the first port record that is free again, 0 when there is none; its PORT_NUMBER says the
 * next.
 */
export const SETTING_FREE_PORT: u32 = 120;
export const SETTINGS_BYTES: u32 = 128;

/**
 * An exact-match table: address of its first bucket, number of buckets (a power of two), number of entries.
 */
export const TABLE_AT: u32 = 0;
export const TABLE_BUCKETS: u32 = 4;
export const TABLE_ENTRIES: u32 = 8;

/**
 * A dense table: the pages in use, 0 when the buckets are asked instead; the first octet of all its
 * addresses, or DENSE_NO_OCTET; edits since it was last decided which of the two is asked.
 */
export const DENSE_PAGES: u32 = 0;
export const DENSE_OCTET: u32 = 4;
export const DENSE_EDITS: u32 = 8;
export const DENSE_NO_OCTET: u32 = 256;
/** u16 a /24 of one /8: its page. */
export const DENSE_DIRECTORY_BYTES: u32 = 0x20000;
/** A page: u16 an address of a /24. Page 0 is the empty one that all other /24s share. */
export const DENSE_PAGE_BYTES: u32 = 512;
export const MAX_DENSE_HOST_PAGES: u32 = 513;
export const MAX_DENSE_EXACT_PAGES: u32 = 8193;

/** A port record. MACs are the six bytes in network order, in the low 48 bits of a u64. */
export const PORT_BYTES: u32 = 64;
export const PORT_NUMBER: u32 = 0;
export const PORT_FLAGS: u32 = 4;
export const PORT_MAC: u32 = 8;
/** The twelve bytes of a delivered frame's Ethernet addresses: the VM's MAC, the virtual MAC. */
export const PORT_DELIVERY: u32 = 16;
/** Longest frame that may leave, in bytes. */
export const PORT_MAX_FRAME_BYTES: u32 = 28;
/** Its only address in network order, or 0 when it has none or several. */
export const PORT_ADDRESS: u32 = 32;
export const PORT_ADDRESS_COUNT: u32 = 36;
/** Interface of the output capture. */
export const PORT_OUTPUT_INTERFACE: u32 = 40;
/** u64: its MAC, then the type of IPv4, as they stand in the frames that it sends. */
export const PORT_SENT_IPV4: u32 = 48;

export const FLAG_UPLINK: u32 = 1;
export const FLAG_L2_IN: u32 = 2;
export const FLAG_L3_IN: u32 = 4;
export const FLAG_L3_OUT: u32 = 8;

/**
 * A next hop: twelve bytes of Ethernet addresses (via, uplink), label count, label stack entries in network
 * order.
 */
export const NEXT_HOP_BYTES: u32 = 32;
export const NEXT_HOP_HEADER: u32 = 0;
export const NEXT_HOP_LABEL_COUNT: u32 = 12;
export const NEXT_HOP_LABELS: u32 = 16;

/** 64 KiB pages of the whole memory. */
export const MEMORY_PAGES: u32 = 3166;
