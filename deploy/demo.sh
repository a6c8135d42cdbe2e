#!/usr/bin/env bash
# Starts the server on loopback, grades real programs over HTTP, stops it, and
# makes sure that nothing is left running.
set -euo pipefail
cd "$(dirname "$0")/.."

assize=target/release/assize
data=target/data/HumanEval.jsonl.gz
export ASSIZE_GUESTS=$PWD/target/guests
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
url=http://127.0.0.1:$port

head1() { printf '\n\033[1m%s\033[0m\n' "$*"; }

log=$(mktemp)
ASSIZE_LOG=warn "$assize" serve --listen "127.0.0.1:$port" 2>"$log" &
server=$!
trap 'kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; rm -f "$log"' EXIT
for _ in $(seq 600); do
    curl -fs "$url/readyz" >/dev/null 2>&1 && break
    kill -0 "$server" 2>/dev/null || { cat "$log" >&2; exit 1; }
    sleep 0.1
done
curl -fs "$url/readyz" >/dev/null || { cat "$log" >&2; exit 1; }

head1 "What this host enforces (proven by probes at start)"
curl -fs "$url/v1/capabilities" | python3 -c '
import json, sys
answer = json.load(sys.stdin)
for probe in answer["capabilities"]["probes"]:
    print("  {:<18} {:<4} {}".format(probe["name"], "held" if probe["enforced"] else "NOT", probe["tried"]))
sys.exit(not answer["all_enforced"])'

# expect COUNT ARGUMENTS...: grades and checks how many are accepted
expect() {
    local want=$1 report
    shift
    report=$(mktemp -d)
    "$assize" eval "$data" --server "$url" -k 1 --out "$report" "$@"
    python3 - "$report/report.json" "$want" <<'PY'
import json, sys
report = json.load(open(sys.argv[1]))
if (report["passed"], report["faults"]) != (int(sys.argv[2]), 0):
    sys.exit(f"expected {sys.argv[2]} accepted and no faults, got {report}")
PY
    rm -rf "$report"
}
for backend in native wasi; do
    head1 "HumanEval, the 164 canonical solutions, $backend cells"
    expect 164 --backend "$backend" --canonical
    head1 "HumanEval, 164 wrong ones (return None), $backend cells"
    expect 0 --backend "$backend" --completion '    return None'
done

head1 "Gallery: programs that misbehave"
python3 deploy/gallery.py "$url"

kill -TERM "$server"
wait "$server"
trap 'rm -f "$log"' EXIT
# A cgroup with a process in it cannot be removed, so none left means no
# process left.
if [ -n "$(find /sys/fs/cgroup -type d -name "assize-$server*" 2>/dev/null)" ]; then
    echo "cells are still there after the server stopped" >&2
    exit 1
fi
head1 "Done: the server has stopped and left nothing running."
