/**
 * Frames that a guest with a raw socket sends during make-real.sh, one a line in hex; `--tagged` adds what a
 * kernel without VLAN devices cannot send by itself, `--neighbour` prints instead what a neighbour on the
 * layer-2 segment asks of the dual-l3 guest.
 */
import { eth, type FrameBuilder, formatHex } from "../src/wire/index.ts";
import { arpOf } from "./corner.ts";
import {
  BROADCAST,
  counting,
  DUAL_L3,
  fromGuest,
  GATEWAY,
  LABEL,
  NEIGHBOUR,
  REMOTE,
  SMALL,
} from "./world.ts";

const ip = { src: SMALL.address, dst: REMOTE };
const udp = { src: 4000, dst: 53 };
const from = fromGuest(SMALL);

const TAGGED: readonly FrameBuilder[] = [
  from.vlan({ id: 100 }).ipv4(ip).udp(udp).payload(counting(18)),
  from.vlan({ id: 100 }).arp({ sha: SMALL.mac, spa: SMALL.address, tpa: GATEWAY }).pad(64),
  from.vlan({ id: 200, tpid: 0x88a8 }).vlan({ id: 100 }).ipv4(ip).udp(udp).payload(counting(18)),
];

const MISCHIEF: readonly FrameBuilder[] = [
  // "The gateway is me": cache poisoning, as a request and as a reply.
  eth({ dst: BROADCAST, src: SMALL.mac }).arp({ sha: SMALL.mac, spa: GATEWAY, tpa: GATEWAY }).pad(60),
  eth({ dst: BROADCAST, src: SMALL.mac }).arp({ op: 2, sha: SMALL.mac, spa: GATEWAY, tpa: GATEWAY }).pad(60),
  // Labels of its own, to slip into somebody's path.
  from.mpls({ label: LABEL }).ipv4(ip).udp(udp).payload(counting(18)),
  // Headers that promise more than there is.
  from
    .ipv4({ ...ip, totalLength: 1500 })
    .udp(udp)
    .payload(counting(18)),
  from.ipv4({ ...ip, ihl: 15 }).payload(counting(10)),
  // A neighbour discovery protocol that nobody asked for.
  eth({ dst: "01:80:c2:00:00:0e", src: SMALL.mac, type: 0x88cc }).payload([0x02, 0x07, 4]).pad(60),
  // LLC/SNAP, which is allowed: an odd but honest guest.
  from.snap().ipv4(ip).udp(udp).payload(counting(18)),
];

const NEIGHBOURS = [1, 2].map(() => arpOf(NEIGHBOUR, DUAL_L3.address));

const wanted = process.argv[2];
const frames = [...MISCHIEF, ...(wanted === "--tagged" ? TAGGED : [])].map(frame => frame.bytes());
for (const frame of wanted === "--neighbour" ? NEIGHBOURS : frames)
  process.stdout.write(`${formatHex(frame)}\n`);
