#!/bin/sh
# Unpacks Open vSwitch 3.5 of Debian 13 into a folder, beside an installed 3.1: `setup-3.5.sh FOLDER`. Needs apt and dpkg,
# and neither root nor a chroot. apt runs with a configuration, lists and a cache of its own, and reads the packages from
# the mirror of the machine's own sources, checked with Debian's keys. The programs run with the C library of Debian 13,
# by its own loader: FOLDER/bin has a script for each. Does nothing when the folder is complete.
set -eu

version=3.5 suite=trixie
programs="ovs-vswitchd ovsdb-server ovsdb-tool ovs-vsctl ovs-ofctl ovs-appctl"
keys=/usr/share/keyrings/debian-archive-keyring.gpg

fail() {
  echo "setup-3.5.sh: $1" >&2
  exit 1
}

[ $# = 1 ] || fail "expected one argument, the folder to unpack into"
is_complete() { "$1/bin/ovs-vswitchd" --version 2>/dev/null | grep -q " $version\."; }
is_complete "$1" && exit 0
command -v apt-get >/dev/null && command -v dpkg >/dev/null || fail "apt-get or dpkg is missing"
mkdir -p "$1"
folder=$(cd "$1" && pwd)
[ -r "$keys" ] || fail "$keys is missing (Debian: apt-get install debian-archive-keyring)"
mirror=$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(CODENAME)' |
  awk '$2 == "Debian" && $3 !~ /-/ { print $1; exit }')
[ -n "$mirror" ] || fail "apt's sources name no Debian mirror, or apt-get update has not run"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial" "$work/debs" "$work/root"
: >"$work/status"
echo "deb [signed-by=$keys] $mirror $suite main" >"$work/sources.list"
cat >"$work/apt.conf" <<CONF
Dir::Etc::SourceList "$work/sources.list";
Dir::Etc::SourceParts "-";
Dir::State "$work/state";
Dir::State::status "$work/status";
Dir::Cache "$work/cache";
Acquire::Languages "none";
Acquire::Retries "3";
APT::Install-Recommends "false";
CONF
[ "$(id -u)" != 0 ] || echo 'APT::Sandbox::User "root";' >>"$work/apt.conf"
export APT_CONFIG="$work/apt.conf"
apt-get -q update >"$work/log" 2>&1 || fail "apt-get update: $(tail -n 1 "$work/log")"
# Of all that the switch depends on: its own packages and libraries. The rest is for its installation.
packages=$(apt-get install --simulate openvswitch-switch | awk '/^Inst (openvswitch-|lib)/ { print $2 }')
[ -n "$packages" ] || fail "$suite has no openvswitch-switch that can be installed"
(cd "$work/debs" && apt-get -q download $packages >"$work/log" 2>&1) || fail "apt-get download: $(tail -n 1 "$work/log")"
for package in "$work"/debs/*.deb; do dpkg -x "$package" "$work/root"; done

rm -rf "$folder/bin" "$folder/lib" "$folder/libexec" "$folder/share"
mkdir "$folder/bin" "$folder/lib" "$folder/libexec" "$folder/share"
cp -r "$work/root/usr/share/openvswitch" "$folder/share/"
# Modules of the C library (character sets, name services) have folders or names of their own.
find "$work/root/usr" -path '*/gconv' -prune -o \( -name 'lib*.so.*' -o -name 'ld-linux-*.so.*' \) -exec cp -Lf {} "$folder/lib/" \;
loader=$(ls "$folder"/lib/ld-linux-*.so.* | head -n 1)
for program in $programs; do
  # Where alternatives(5) would link to, or the program itself.
  for place in usr/lib/openvswitch-switch usr/sbin usr/bin; do
    [ -f "$work/root/$place/$program" ] && break
  done
  cp "$work/root/$place/$program" "$folder/libexec/" || fail "Debian's packages have no $program"
  printf '#!/bin/sh\nexec "%s" --library-path "%s" "%s" "$@"\n' "$loader" "$folder/lib" "$folder/libexec/$program" \
    >"$folder/bin/$program"
  chmod +x "$folder/bin/$program"
done
is_complete "$folder" || fail "the unpacked Open vSwitch does not run: $("$folder/bin/ovs-vswitchd" --version 2>&1 | head -n 1)"
