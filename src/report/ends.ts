/** Outputs and packet-ins of a frame with their state, as text and as JSON. Pure functions of plain data. */

/** A frame that leaves. */
export interface ShownOutput {
  readonly port: number;
  readonly portName: string | null;
  /** State beside the bytes: `queue 5`, `tun_id=0x64`. */
  readonly along: readonly string[];
  /** That state as a match, for programs: `skb_priority=0x5,tun_id=0x64`; empty if there is none. */
  readonly state: string;
  readonly hex: string;
  readonly summary: string;
}

/** A packet that a flow sends to the controller. */
export interface ShownPacketIn {
  readonly reason: string;
  readonly id: number;
  readonly maxLen: number;
  /** Hex digits; null without. */
  readonly userdata: string | null;
  /** Metadata and registers that it carries, as a match; empty when all are zero. */
  readonly state: string;
  readonly hex: string;
}

/** A packet-in of `actions=CONTROLLER` sends so many bytes at most. */
const WHOLE_BYTES = 0xffff;

export const outputObject = ({ port, portName, state, hex }: ShownOutput): object => ({
  port,
  ...(portName === null ? {} : { port_name: portName }),
  ...(state === "" ? {} : { state }),
  frame: hex,
});

export const packetInObject = ({ reason, id, maxLen, userdata, state, hex }: ShownPacketIn): object => ({
  reason,
  ...(id === 0 ? {} : { id }),
  ...(maxLen === WHOLE_BYTES ? {} : { max_len: maxLen }),
  ...(userdata === null ? {} : { userdata }),
  ...(state === "" ? {} : { state }),
  frame: hex,
});

/** ` with queue 5, tun_id=0x64`; empty without state. */
export const alongText = ({ along }: Pick<ShownOutput, "along">): string =>
  along.length === 0 ? "" : ` with ${along.join(", ")}`;

/** `packet-in action, id 5, reg0=0x1`. */
export const packetInText = ({ reason, id, maxLen, userdata, state }: ShownPacketIn): string =>
  [
    `packet-in ${reason}`,
    ...(id === 0 ? [] : [`id ${id}`]),
    ...(maxLen === WHOLE_BYTES ? [] : [`max_len ${maxLen}`]),
    ...(userdata === null ? [] : [`userdata ${userdata === "" ? "empty" : userdata}`]),
    ...(state === "" ? [] : [state]),
  ].join(", ");
