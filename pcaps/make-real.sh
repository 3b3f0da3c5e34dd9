#!/usr/bin/env bash
# Takes the real captures of this folder: six guests, a fabric edge and a neighbour as network namespaces with
# ordinary Linux hosts in them, wired as a hypervisor wires them, talking to each other for twenty
# seconds. What the guests send is captured at the hypervisor's end of their veth pairs, inbound only, as is
# what the fabric sends to the uplink. Needs root, iproute2, iputils, busybox, ethtool, tcpdump, zstd and
# python3; traffic never leaves the namespaces, and nothing of them is left behind, whatever happens.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cd "$here/.."
for tool in ip ping arping busybox ethtool tcpdump zstd gzip python3 node; do
  command -v "$tool" >/dev/null || { echo "make-real.sh: $tool is missing" >&2; exit 1; }
done
[ "$(id -u)" = 0 ] || { echo "make-real.sh: network namespaces need root" >&2; exit 1; }

tag="s32-$$"
work=$(mktemp -d)
spaces=()
lives=()
captures=()

cleanup() {
  # A second signal must not stop the cleaning up halfway.
  trap '' HUP INT TERM
  trap - EXIT
  local space pid
  # The lives first, or they would go on with their next command.
  for pid in "${lives[@]}"; do kill "$pid" 2>/dev/null || true; done
  for space in "${spaces[@]}"; do
    for pid in $(ip netns pids "$space" 2>/dev/null); do kill "$pid" 2>/dev/null || true; done
  done
  wait 2>/dev/null || true
  for space in "${spaces[@]}"; do ip netns del "$space" 2>/dev/null || true; done
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# --------------------------------------------------------------------------------------------------- wiring

in_() { # in_ SPACE COMMAND…: runs a command inside one of our namespaces
  local space=$1
  shift
  ip netns exec "$tag-$space" "$@"
}

space() {
  ip netns add "$tag-$1"
  spaces+=("$tag-$1")
  ip -n "$tag-$1" link set lo up
  # No address but those given here: IPv6 comes back where it is wanted.
  in_ "$1" sysctl -qw net.ipv6.conf.default.disable_ipv6=1 \
    net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 \
    net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.default.send_redirects=0
}

# wire SPACE IF MAC SPACE IF MAC: a veth pair whose checksums are computed in software, so that they are right
# on the wire
wire() {
  ip -n "$tag-$1" link add "$2" address "$3" type veth peer name "$5" address "$6" netns "$tag-$4"
  in_ "$1" ethtool -K "$2" tx off tso off gso off gro off >/dev/null 2>&1
  in_ "$4" ethtool -K "$5" tx off tso off gso off gro off >/dev/null 2>&1
}

ipv6_on() { in_ "$1" sysctl -qw "net.ipv6.conf.$2.disable_ipv6=0"; }

vmac=fe:00:00:00:01:01
umac=02:00:00:00:00:01
edge=02:00:00:00:00:fe
segment=02:00:00:00:00:fd
vms=(101 102 103 104 105 106)
declare -A mac=([101]=52:54:00:00:00:0b [102]=52:54:00:00:00:0c [103]=52:54:00:00:00:0d
  [104]=52:54:00:00:00:0e [105]=52:54:00:00:00:0f [106]=52:54:00:00:00:10)
declare -A addr=([101]=203.0.113.7 [102]=203.0.113.8 [103]=203.0.113.9
  [104]=203.0.113.10 [105]=203.0.113.11 [106]=203.0.113.12)
gw=203.0.113.1

# The hypervisor: L3 guests on ports of their own with proxy ARP and the virtual MAC, L2 guests on a bridge.
hypervisor() {
  space hv
  in_ hv sysctl -qw net.ipv4.ip_forward=1
  ip -n "$tag-hv" link add brl2 address "$vmac" type bridge mcast_snooping 0
  ip -n "$tag-hv" link set brl2 up
  local n
  for n in "${vms[@]}"; do
    space "vm$n"
    if [ "$n" = 103 ] || [ "$n" = 104 ]; then
      wire hv "tap$n" "fe:54:00:00:01:${n#1}" "vm$n" eth0 "${mac[$n]}"
      ip -n "$tag-hv" link set "tap$n" master brl2
      ip -n "$tag-hv" link set "tap$n" up
    else
      wire hv "tap$n" "$vmac" "vm$n" eth0 "${mac[$n]}"
      in_ hv sysctl -qw "net.ipv4.conf.tap$n.proxy_arp=1" "net.ipv4.neigh.tap$n.proxy_delay=0"
      ip -n "$tag-hv" link set "tap$n" up
      ip -n "$tag-hv" route add "${addr[$n]}/32" dev "tap$n"
      # The hypervisor never asks for a guest's MAC: it knows it.
      ip -n "$tag-hv" neigh add "${addr[$n]}" lladdr "${mac[$n]}" dev "tap$n" nud permanent
    fi
  done
  ip -n "$tag-hv" route add 203.0.113.77/32 via "${addr[105]}" dev tap105 onlink
  # The dual-l2 guest: its /32 is routed to the bridge, its own traffic goes by the bridge.
  ip -n "$tag-hv" route add "${addr[103]}/32" dev brl2
  ip -n "$tag-hv" neigh add "${addr[103]}" lladdr "${mac[103]}" dev brl2 nud permanent
}

# The fabric's edge with remote hosts behind it, the router of the layer-2 segment, and a neighbour on that
# segment.
fabric() {
  space fab
  space nb
  wire hv routed "$umac" fab core "$edge"
  wire hv bridged fe:54:00:00:02:01 fab port1 fe:54:00:00:02:02
  wire fab port2 fe:54:00:00:02:03 nb eth0 52:54:00:00:00:32
  ip -n "$tag-fab" link add seg address "$segment" type bridge mcast_snooping 0
  in_ fab sysctl -qw net.ipv4.ip_forward=1
  ipv6_on fab seg
  local name address
  for name in port1 port2; do
    ip -n "$tag-fab" link set "$name" master seg
    ip -n "$tag-fab" link set "$name" up
  done
  ip -n "$tag-hv" link set bridged master brl2
  ip -n "$tag-hv" link set bridged up
  ip -n "$tag-fab" addr add "$gw/24" dev seg
  for address in 192.0.2.10 192.0.2.253 198.51.100.53 198.51.100.80 203.0.113.200 203.0.113.201; do
    ip -n "$tag-fab" addr add "$address/32" dev lo
  done
  ip -n "$tag-hv" addr add 192.0.2.254/32 dev routed
  ip -n "$tag-hv" link set routed up
  ip -n "$tag-fab" link set core up
  ip -n "$tag-hv" route add default via 192.0.2.253 dev routed onlink
  ip -n "$tag-hv" neigh add 192.0.2.253 lladdr "$edge" dev routed nud permanent
  ip -n "$tag-fab" route add 192.0.2.254/32 dev core
  ip -n "$tag-fab" neigh add 192.0.2.254 lladdr "$umac" dev core nud permanent
  # What BGP would have announced; 203.0.113.13 has moved away, and its route is stale.
  for address in 7 8 9 11 77 12 13; do
    ip -n "$tag-fab" route add "203.0.113.$address/32" via 192.0.2.254 dev core onlink
    [ "$address" = 9 ] || ip -n "$tag-fab" neigh add proxy "203.0.113.$address" dev seg
  done
  in_ fab sysctl -qw net.ipv4.neigh.seg.proxy_delay=0
}

# ------------------------------------------------------------------------------------------------ capturing

capture() { # capture IF [tcpdump option…]: what comes in by IF, until stop_captures
  local interface=$1 try
  shift
  in_ hv tcpdump -i "$interface" -Q in -n -s 0 -U --immediate-mode -Z root -c 4000 "$@" \
    -w "$work/$interface.pcap" 2>"$work/$interface.log" &
  captures+=($!)
  for try in $(seq 50); do
    grep -q "listening on" "$work/$interface.log" && return
    sleep 0.1
  done
  echo "make-real.sh: tcpdump does not start on $interface after $try tries" >&2
  cat "$work/$interface.log" >&2
  exit 1
}

stop_captures() {
  local pid
  sleep 0.3
  for pid in "${captures[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${captures[@]}"; do wait "$pid" || true; done
}

# ------------------------------------------------------------------------------------------------- services

serve() { # serve SPACE ADDRESS: a web server with one page of 80,000 bytes
  in_ "$1" busybox httpd -f -p "$2:80" -h "$work/www" >/dev/null 2>&1 &
}

serve_names() { # a name server that answers every question with the address of the web server
  in_ fab python3 -I - <<'PY' >/dev/null 2>&1 &
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("198.51.100.53", 53))
while True:
    query, client = server.recvfrom(512)
    end = query.index(b"\0", 12) + 5
    kind = query[end - 4:end - 2]
    found = kind == b"\0\1"
    answer = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + socket.inet_aton("198.51.100.80") if found else b""
    header = query[:2] + b"\x81\x80\0\1" + (b"\0\1" if found else b"\0\0") + b"\0\0\0\0"
    server.sendto(header + query[12:end] + answer, client)
PY
}

raw() { # raw SPACE IF: sends the frames on stdin, hex, one a line, through a packet socket
  in_ "$1" python3 -I -c '
import socket, sys
out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
out.bind((sys.argv[1], 0))
for line in sys.stdin: out.send(bytes.fromhex(line))' "$2"
}

# ---------------------------------------------------------------------------------------------------- lives

# Each command may fail (nobody answers a probe); each is bounded in time.
try() {
  local space=$1
  shift
  in_ "$space" timeout 6 "$@" >/dev/null 2>&1 || true
}

boot() { # boot VM: link up, IPv6 chatter, a DHCP attempt, an address probe, the address, announcements
  local vm=vm$1 a=${addr[$1]}
  ipv6_on "$vm" eth0
  ip -n "$tag-$vm" link set eth0 up
  try "$vm" busybox udhcpc -f -n -q -i eth0 -t 2 -T 1 -s /bin/true
  try "$vm" arping -q -D -c 2 -w 2 -I eth0 "$a"
  ip -n "$tag-$vm" addr add "$a/24" dev eth0
  ip -n "$tag-$vm" route add default via "$gw"
  try "$vm" arping -q -U -c 1 -I eth0 "$a"
  try "$vm" arping -q -A -c 1 -I eth0 "$a"
}

ordinary() { # ordinary VM: what every guest does
  local vm=vm$1
  try "$vm" ping -q -c 3 -i 0.2 "$gw"
  try "$vm" busybox nslookup www.example.com 198.51.100.53
  try "$vm" busybox wget -q -O /dev/null http://198.51.100.80/
  try "$vm" ping -q -c 10 -i 0.1 203.0.113.200
  try "$vm" ping -q -c 10 -i 0.1 192.0.2.10
  try "$vm" ping -q -c 10 -i 0.1 -s 1000 198.51.100.53
  try "$vm" ping -q -c 2 -i 0.2 -s 3000 198.51.100.80
  try "$vm" ping -q -c 1 -W 1 -t 1 198.51.100.80
  try "$vm" busybox traceroute -n -q 1 -m 3 -w 1 192.0.2.10
}

life_101() { # web-1: serves; talks to every kind of neighbour on the same hypervisor, and to nobody
  boot 101
  serve vm101 203.0.113.7
  ordinary 101
  local n
  for n in 8 9 10 12 77; do try vm101 ping -q -c 2 -i 0.2 -W 1 "203.0.113.$n"; done
  try vm101 ping -q -c 1 -W 1 203.0.113.99
  try vm101 ping -q -c 1 -W 1 203.0.113.7
}

life_102() { # db-1: fetches from its local neighbour; a neighbour still asks for it by bridge
  boot 102
  ordinary 102
  try vm102 busybox wget -q -O /dev/null http://203.0.113.7/
  raw hv tap102 <"$work/neighbour.hex"
  try vm102 ping -q -c 2 -i 0.2 -W 1 203.0.113.201
}

life_103() { # mail-1: sends by bridge
  boot 103
  ordinary 103
  local n
  for n in 10 8 50; do try vm103 ping -q -c 2 -i 0.2 -W 1 "203.0.113.$n"; done
}

life_104() { # old-1: everything by bridge, multicast too
  boot 104
  ordinary 104
  local n
  for n in 9 50 7 8; do try vm104 ping -q -c 2 -i 0.2 -W 1 "203.0.113.$n"; done
  try vm104 ping -q -c 2 -i 0.2 -W 1 224.0.0.1
}

life_105() { # app-1: two addresses
  boot 105
  ip -n "$tag-vm105" addr add 203.0.113.77/24 dev eth0
  try vm105 arping -q -U -c 1 -I eth0 203.0.113.77
  ordinary 105
  try vm105 ping -q -c 3 -i 0.2 -I 203.0.113.77 198.51.100.80
  try vm105 ping -q -c 2 -i 0.2 -I 203.0.113.77 203.0.113.7
}

life_106() { # lab-1: misbehaves in every way a guest can
  boot 106
  ordinary 106
  local vm=vm106
  ip -n "$tag-$vm" addr add 203.0.113.66/32 dev eth0
  try "$vm" ping -q -c 3 -i 0.2 -W 1 -I 203.0.113.66 198.51.100.80
  ip -n "$tag-$vm" addr del 203.0.113.66/32 dev eth0
  try "$vm" ping -q -c 2 -i 0.2 -W 1 224.0.0.1
  try "$vm" ping -q -c 2 -i 0.2 -W 1 -b 203.0.113.255
  try "$vm" ip addr add 239.1.2.3/32 dev eth0 autojoin
  try "$vm" ping -q -c 1 -W 1 240.0.0.1
  try "$vm" ping -q -c 1 -W 1 0.1.2.3
  raw "$vm" eth0 <"$work/mischief.hex"
  # A container with a MAC of its own behind the guest's interface.
  ip -n "$tag-$vm" link add link eth0 name inner address 52:54:00:00:00:99 type macvlan mode bridge
  ipv6_on "$vm" inner
  ip -n "$tag-$vm" addr add 203.0.113.99/24 dev inner
  ip -n "$tag-$vm" link set inner up
  try "$vm" ping -q -c 2 -i 0.2 -W 1 -I inner "$gw"
  ip -n "$tag-$vm" link del inner
  if [ -n "$vlan" ]; then
    ip -n "$tag-$vm" link add link eth0 name eth0.100 type vlan id 100
    ipv6_on "$vm" eth0/100
    ip -n "$tag-$vm" addr add 10.0.100.12/24 dev eth0.100
    ip -n "$tag-$vm" link set eth0.100 up
    try "$vm" ping -q -c 2 -i 0.2 -W 1 10.0.100.1
  fi
  # At last it bridges its interface, and speaks spanning tree.
  ip -n "$tag-$vm" link add loopmaker type bridge stp_state 1 hello_time 100 forward_delay 200
  ip -n "$tag-$vm" link set loopmaker up
  ip -n "$tag-$vm" link set eth0 master loopmaker
  try "$vm" sleep 4
}

life_fabric() { # remote hosts: fetch from a guest, ping all of them, one that is gone, and one hop too short
  in_ fab sleep 8
  try fab busybox wget -q -O /dev/null http://203.0.113.7/
  local n
  for n in 7 8 9 10 11 77 12; do try fab ping -q -c 2 -i 0.2 -W 1 -I 198.51.100.80 "203.0.113.$n"; done
  try fab ping -q -c 3 -i 0.2 -W 1 -I 203.0.113.200 203.0.113.13
  try fab ping -q -c 2 -i 0.2 -W 1 -t 1 203.0.113.7
  try fab ping -q -c 2 -i 0.2 -s 3000 203.0.113.7
}

life_neighbour() { # a guest of another hypervisor on the same segment
  ipv6_on nb eth0
  ip -n "$tag-nb" link set eth0 up
  ip -n "$tag-nb" addr add 203.0.113.50/24 dev eth0
  try nb arping -q -U -c 1 -I eth0 203.0.113.50
  in_ nb sleep 7
  local n
  for n in 9 10 7 8 60; do try nb ping -q -c 2 -i 0.2 -W 1 "203.0.113.$n"; done
  try nb arping -q -c 2 -I eth0 203.0.113.8
}

# ------------------------------------------------------------------------------------------------ all of it

vlan=
mkdir "$work/www"
seq -f "line %06g of a page that is served to make traffic" 1480 >"$work/www/index.html"
hypervisor
fabric
if ip -n "$tag-nb" link add link eth0 name probe type vlan id 1 2>/dev/null; then
  vlan=yes
  ip -n "$tag-nb" link del probe
else
  echo "this kernel has no VLAN devices: the tagged frames come from a packet socket"
fi
node --import tsx pcaps/mischief.ts ${vlan:---tagged} >"$work/mischief.hex"
node --import tsx pcaps/mischief.ts --neighbour >"$work/neighbour.hex"

for n in "${vms[@]}"; do
  if [ "$n" = 102 ]; then capture "tap$n" --time-stamp-precision=nano; else capture "tap$n"; fi
done
capture routed
capture bridged
ip -n "$tag-fab" link set seg up
serve fab 198.51.100.80
serve_names

for life in life_101 life_102 life_103 life_104 life_105 life_106 life_fabric life_neighbour; do
  "$life" &
  lives+=($!)
done
for life in "${lives[@]}"; do wait "$life"; done
stop_captures

cp "$work/tap101.pcap" pcaps/tap101.pcap
cp "$work/tap102.pcap" pcaps/tap102.pcap
gzip -9n <"$work/tap105.pcap" >pcaps/tap105.pcap.gz
zstd -q -f -19 "$work/tap106.pcap" -o pcaps/tap106.pcap.zst
node --import tsx pcaps/combine.ts "$work"
chmod 644 pcaps/*.pcap pcaps/*.pcapng pcaps/*.gz pcaps/*.zst
ls -l pcaps/*.pcap* | awk '{ print $5, $9 }'
