/**
 * Constants of the Linux interface that live ports need: flags, requests, options and structure layouts of
 * 64-bit little-endian machines. No code. Sources: the headers linux/if_tun.h, linux/if_packet.h,
 * linux/if_ether.h, linux/virtio_net.h, linux/sockios.h, asm-generic/errno.h, and packet(7), netdevice(7),
 * unix(7), poll(2).
 */

export const O_RDWR = 0x2;
export const O_NONBLOCK = 0x800;
export const O_CLOEXEC = 0x80000;

export const POLLIN = 0x1;
export const POLLOUT = 0x4;
export const POLLERR = 0x8;
export const POLLHUP = 0x10;
export const POLLNVAL = 0x20;
export const POLLFD_BYTES = 8;

export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  EAGAIN: 11,
  EACCES: 13,
  EBUSY: 16,
  ENODEV: 19,
  EINVAL: 22,
  EPIPE: 32,
  EBADFD: 77,
  EMSGSIZE: 90,
  ENOPROTOOPT: 92,
  EADDRINUSE: 98,
  ENETDOWN: 100,
  ECONNRESET: 104,
  ENOBUFS: 105,
  ECONNREFUSED: 111,
  EINPROGRESS: 115,
} as const;

// ── Interfaces ─────────────────────────────────────────────────────────────────────────────────────────────

/** struct ifreq: a name of 16 bytes with its zero, then a union. */
export const IFREQ_BYTES = 40;
export const IFREQ_VALUE = 16;
export const INTERFACE_NAME_BYTES = 15;

export const SIOCGIFFLAGS = 0x8913;
export const SIOCSIFFLAGS = 0x8914;
export const SIOCGIFMTU = 0x8921;
export const SIOCGIFHWADDR = 0x8927;
export const SIOCSIFTXQLEN = 0x8943;
export const IFF_UP = 0x1;
export const ARPHRD_ETHER = 1;
export const ARPHRD_LOOPBACK = 772;

// ── Tap ────────────────────────────────────────────────────────────────────────────────────────────────────

export const TUN_DEVICE = "/dev/net/tun";
export const TUNSETIFF = 0x400454ca;
export const IFF_TAP = 0x0002;
export const IFF_MULTI_QUEUE = 0x0100;
export const IFF_NO_PI = 0x1000;

// ── Sockets ────────────────────────────────────────────────────────────────────────────────────────────────

export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_PACKET = 17;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_NONBLOCK = 0x800;
export const SOCK_CLOEXEC = 0x80000;
export const SOL_SOCKET = 1;
export const SO_SNDBUF = 7;
export const SO_RCVBUF = 8;
export const SO_SNDBUFFORCE = 32;
export const SO_RCVBUFFORCE = 33;
export const MSG_DONTWAIT = 0x40;
export const MSG_NOSIGNAL = 0x4000;

export const ETH_P_ALL = 3;
export const SOL_PACKET = 263;
export const PACKET_ADD_MEMBERSHIP = 1;
export const PACKET_STATISTICS = 6;
export const PACKET_AUXDATA = 8;
export const PACKET_VNET_HDR = 15;
export const PACKET_QDISC_BYPASS = 20;
export const PACKET_IGNORE_OUTGOING = 23;
export const PACKET_MR_PROMISC = 1;
/** struct sockaddr_ll and struct packet_mreq. */
export const SOCKADDR_LL_BYTES = 20;
export const PACKET_MREQ_BYTES = 16;

/** struct mmsghdr, of which the last 8 bytes are the length; struct iovec. */
export const MMSGHDR_BYTES = 64;
export const MSGHDR_IOV = 16;
export const MSGHDR_IOV_COUNT = 24;
export const MSGHDR_CONTROL = 32;
export const MSGHDR_CONTROL_BYTES = 40;
export const MMSGHDR_LENGTH = 56;
export const IOVEC_BYTES = 16;

/** A control message (16 bytes of header) that holds struct tpacket_auxdata. */
export const AUXDATA_BYTES = 40;
export const AUXDATA_STATUS = 16;
export const AUXDATA_VLAN_TCI = 32;
export const AUXDATA_VLAN_TPID = 34;
export const TP_STATUS_VLAN_VALID = 0x10;
export const TP_STATUS_VLAN_TPID_VALID = 0x40;

/** struct virtio_net_hdr, in front of each frame where PACKET_VNET_HDR is set. */
export const VNET_HEADER_BYTES = 10;
export const VNET_FLAGS = 0;
export const VNET_GSO_TYPE = 1;
export const VNET_GSO_BYTES = 4;
export const VNET_CSUM_START = 6;
export const VNET_CSUM_OFFSET = 8;
export const VNET_NEEDS_CSUM = 1;
export const VNET_GSO_TCPV4 = 1;
export const VNET_GSO_TCPV6 = 4;
export const VNET_GSO_UDP_L4 = 5;
/** A bit beside the type: the TCP flag ECN CWR is set. */
export const VNET_GSO_ECN = 0x80;

/** struct sockaddr_un: a family and a path of up to 107 bytes and its zero. */
export const SOCKADDR_UN_BYTES = 110;
export const UNIX_PATH_BYTES = 107;
