#!/usr/bin/env bash
# Runs the escape tests as an ordinary user: nobody's uid, no capability, and
# cgroups that were delegated to it, on whatever hierarchy this host has. Root
# is needed to delegate them and to become that user.
#
#   tests/rootless.sh [FILTER...]
#
#   ASSIZE_UID=71000    whom to become
set -euo pipefail
cd "$(dirname "$0")/.."

uid=${ASSIZE_UID:-71000}
say() { printf 'rootless: %s\n' "$*"; }
die() { printf 'rootless: %s\n' "$*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || die "needs root, to delegate cgroups to an ordinary user"
command -v setpriv >/dev/null || die "needs setpriv (package util-linux)"

# What is built lies where root built it, perhaps where nobody else may look:
# the ordinary user gets copies.
target=${CARGO_TARGET_DIR:-$PWD/target}
binary=$(cargo test --quiet --release --no-run --message-format=json -p assize-tests --test escape |
    python3 -Ic '
import json, sys
for line in sys.stdin:
    m = json.loads(line)
    if m.get("executable") and m["target"]["name"] == "escape":
        print(m["executable"])')
[ -n "$binary" ] || die "cargo built no escape tests"
stage=$(mktemp -d)
groups=()
clean() {
    local group try
    for try in 1 2 3 4 5 6 7 8 9 10; do
        for group in "${groups[@]}"; do rmdir "$group" 2>/dev/null || true; done
        sleep 0.1
    done
    for group in "${groups[@]}"; do
        [ ! -d "$group" ] || { say "left behind: $(find "$group" -type d | tr '\n' ' ')" >&2; failed=1; }
    done
    rm -rf "$stage"
}
failed=0
trap clean EXIT
mkdir -p "$stage/release/deps" "$stage/home"
cp "$target"/release/assize-{keeper,jail} "$stage/release/"
cp "$binary" "$stage/release/deps/escape"
[ ! -d "$target/release/hostile" ] || cp -r "$target/release/hostile" "$stage/release/"
chmod 755 "$stage"
chown -R "$uid:$uid" "$stage"

# One delegated group in each hierarchy, below our own, as systemd's Delegate=
# gives one to a user.
delegate() { # DIRECTORY
    local group=$1/assize-user-$uid
    mkdir -p "$group"
    chown "$uid:$uid" "$group" "$group/cgroup.procs"
    for file in cgroup.subtree_control cgroup.threads; do
        [ ! -e "$group/$file" ] || chown "$uid:$uid" "$group/$file"
    done
    groups+=("$group")
}
own() { awk -F: -v c="$1" '$2 == c || (c == "" && $1 == "0") { print $3 }' /proc/self/cgroup; }
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    grant() { # DIRECTORY: its children get the controllers
        local controller
        for controller in memory pids cpu; do
            echo "+$controller" >"$1/cgroup.subtree_control" || return 1
        done 2>/dev/null
    }
    here=/sys/fs/cgroup$(own "")
    # A group with processes of its own may grant nothing, the root excepted.
    if grant /sys/fs/cgroup; then
        here=/sys/fs/cgroup
    elif ! grant "$here"; then
        mkdir -p "$here/assize-tests"
        while read -r pid; do echo "$pid" >"$here/assize-tests/cgroup.procs" || true; done <"$here/cgroup.procs" 2>/dev/null
        grant "$here" || die "memory, pids and cpu cannot be delegated below $here"
    fi
    delegate "$here"
else
    for controller in memory pids cpuacct; do
        mount=$(awk -v c="$controller" '$3 == "cgroup" && ("," $4 ",") ~ ("," c ",") { print $2; exit }' /proc/mounts)
        [ -n "$mount" ] || die "no hierarchy carries $controller"
        place=$mount$(awk -F: -v c="$controller" '("," $2 ",") ~ ("," c ",") { print $3 }' /proc/self/cgroup)
        [ -d "$place" ] || place=$mount
        delegate "$place"
    done
    [ ! -e /sys/fs/cgroup/unified/cgroup.procs ] || delegate "/sys/fs/cgroup/unified$(own "")"
fi

say "the escape tests as uid $uid"
status=0
(
    for group in "${groups[@]}"; do echo "$BASHPID" >"$group/cgroup.procs"; done
    cd tests
    exec setpriv --reuid="$uid" --regid="$uid" --clear-groups --bounding-set=-all \
        env -i PATH="$PATH" HOME="$stage/home" TMPDIR="$stage/home" LC_ALL=C.UTF-8 \
        "$stage/release/deps/escape" --test-threads=1 --quiet "$@"
) || status=$?
trap - EXIT
clean
[ "$status" = 0 ] || exit "$status"
exit "$failed"
