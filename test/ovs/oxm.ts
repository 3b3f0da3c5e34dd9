/**
 * The fields that a packet-in carries beside its frame, as OpenFlow encodes them: a header of class, number,
 * mask bit and length, then the value. Only fields that are not bytes of the frame (flow_get_metadata of
 * lib/flow.c); a field without a name here is named by its header in hexadecimal. ovs-fields(7).
 */

const CLASS = { nicira: 0x0001, basic: 0x8000, registers: 0x8001, experimenter: 0xffff } as const;

/** Names of the fields of a class by their numbers. */
const NAMES: ReadonlyMap<string, string> = new Map([
  [`${CLASS.basic} 0`, "in_port"],
  [`${CLASS.basic} 2`, "metadata"],
  [`${CLASS.basic} 38`, "tun_id"],
  [`${CLASS.nicira} 16`, "tun_id"],
  [`${CLASS.nicira} 31`, "tun_src"],
  [`${CLASS.nicira} 32`, "tun_dst"],
  [`${CLASS.nicira} 33`, "pkt_mark"],
  [`${CLASS.nicira} 38`, "tun_gbp_id"],
  [`${CLASS.nicira} 39`, "tun_gbp_flags"],
  [`${CLASS.nicira} 104`, "tun_flags"],
  [`${CLASS.nicira} 105`, "ct_state"],
  [`${CLASS.nicira} 106`, "ct_zone"],
  [`${CLASS.nicira} 107`, "ct_mark"],
  [`${CLASS.nicira} 108`, "ct_label"],
  [`${CLASS.nicira} 109`, "tun_ipv6_src"],
  [`${CLASS.nicira} 110`, "tun_ipv6_dst"],
]);

/** OpenFlow 1.5 sends registers in pairs, the first of a pair in the upper half. */
function addRegisters(metadata: Map<string, bigint>, pair: number, value: bigint): void {
  for (const [register, half] of [
    [2 * pair, value >> 32n],
    [2 * pair + 1, value & 0xffffffffn],
  ] as const)
    if (half !== 0n) metadata.set(`reg${register}`, half);
}

/** Reads the fields of a packet-in. */
export function metadataOf(fields: Buffer): { inPort: number; metadata: Map<string, bigint> } {
  const metadata = new Map<string, bigint>();
  let inPort = 0;
  for (let at = 0; at + 4 <= fields.length; ) {
    const oxmClass = fields.readUInt16BE(at);
    const number = fields[at + 2]! >> 1;
    const hasMask = (fields[at + 2]! & 1) !== 0;
    const bytes = fields[at + 3]!;
    const head = oxmClass === CLASS.experimenter ? 8 : 4;
    const body = fields.subarray(at + head, at + 4 + bytes);
    const text = body.subarray(0, hasMask ? body.length / 2 : body.length).toString("hex");
    const value = BigInt(`0x${text || "0"}`);
    const name =
      NAMES.get(`${oxmClass} ${number}`) ?? fields.subarray(at, at + (head === 8 ? 8 : 3)).toString("hex");
    if (name === "in_port") inPort = Number(value);
    else if (oxmClass === CLASS.registers) addRegisters(metadata, number, value);
    else metadata.set(name, value);
    at += 4 + bytes;
  }
  return { inPort, metadata };
}
