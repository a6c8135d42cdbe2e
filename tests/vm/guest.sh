#!/bin/bash
# Runs inside the machine, started by its init. Each step ends with a line
# "@@ <status> <seconds> <name>"; the host's report.py reads them.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb LC_ALL=C.UTF-8
bb=/vm/busybox
assize=/vm/release/assize
cg=/sys/fs/cgroup
off() { sync; $bb poweroff -f; }
trap off EXIT

mount -t proc -o nosuid,nodev,noexec proc /proc
mount -t sysfs -o nosuid,nodev,noexec sysfs /sys
mount -t cgroup2 -o nosuid,nodev,noexec,nsdelegate none $cg
mount -t tmpfs -o nosuid,nodev tmpfs /run
mkdir -p /dev/shm /dev/pts
mount -t tmpfs -o nosuid,nodev tmpfs /dev/shm
mount -t devpts devpts /dev/pts
$bb ifconfig lo 127.0.0.1 up
$bb hostname vm
chmod 1777 /tmp
# The console is for results; what the kernel says is summed up at the end.
dmesg -n 1
# shellcheck source=/dev/null
. /vm/settings
mkdir -p /vm/programs && cd /vm/programs || exit

echo "@@ kernel $(uname -r)"
echo "@@ cgroup $(grep -c cgroup /proc/self/mountinfo) mount, controllers: $(cat $cg/cgroup.controllers)"

step() { # NAME COMMAND...
    local name=$1 status=0 start=$EPOCHREALTIME
    shift
    echo "@@ begin $name"
    "$@" </dev/null 2>&1 || status=$?
    echo "@@ $status $(awk "BEGIN { printf \"%.1f\", $EPOCHREALTIME - $start }") $name"
}

# Prints what a command says, and succeeds when that contains each pattern.
says() { # PATTERN... -- COMMAND...
    local patterns=() said missing=0
    while [ "$1" != -- ]; do patterns+=("$1"); shift; done
    shift
    said=$("$@" 2>&1)
    printf '%s\n' "$said"
    for p in "${patterns[@]}"; do
        grep -qE -- "$p" <<<"$said" || { echo "does not say: $p"; missing=1; }
    done
    return $missing
}

# Wardens of a server that has just ended may take a moment.
nothing_left() {
    local left try
    for try in 1 2 3 4 5; do
        left=$(find $cg -type d -name 'assize-[0-9]*'
            ps -eo pid,uid,args --no-headers | awk '$2 >= 1241513984 || $2 >= 71000 && $2 <= 71001 || $2 >= 165536 && $2 < 231072')
        [ -n "$left" ] || return 0
        sleep 1
    done
    echo "after $try s:"
    echo "$left"
    return 1
}

cat >echo.sh <<<'echo hello $((6 * 7))'
cat >hog.py <<<'x = bytearray(1 << 30)
for i in range(0, 1 << 30, 4096): x[i] = 1
print("got it")'
cat >loop.sh <<<'while :; do :; done'
cat >bomb.sh <<<'b() { b | b & }; b; sleep 1; echo over'
cat >add.c <<<'#include <stdio.h>
int main(void) { int a, b; scanf("%d %d", &a, &b); printf("%d\n", a + b); }'
echo '20 22' >add.in

step doctor "$assize" doctor --json
step run-shell says '"status":"finished"' 'hello 42' -- "$assize" run echo.sh --json
step run-c says '"status":"finished"' '"42\\n"' -- "$assize" run add.c --stdin add.in --json
step run-memory-hog says '"status":"memory_limit_exceeded"' -- "$assize" run hog.py --memory 64M --json
step run-cpu-loop says '"status":"time_limit_exceeded"' -- "$assize" run loop.sh --cpu 300ms --json
step run-fork-bomb says '"kind":"processes"' -- "$assize" run bomb.sh --cpu 5s --json
step nothing-left-of-programs nothing_left

# As a service with its own group, the way systemd starts one with Delegate=.
delegated() { # CONTROLLERS COMMAND...
    local group=$cg/service.slice/assize.service word
    local controllers=$1
    shift
    mkdir -p "$group"
    for word in $controllers; do
        echo "+$word" >$cg/cgroup.subtree_control
        echo "+$word" >$cg/service.slice/cgroup.subtree_control
    done
    (echo "$BASHPID" >"$group/cgroup.procs" && exec "$@")
    local status=$?
    sleep 0.1
    find $cg/service.slice -depth -type d -exec rmdir {} \; || status=1
    return $status
}
step delegated-doctor delegated 'memory pids cpu' "$assize" doctor --json
again() {
    says '"ok":true' -- "$assize" doctor --json && says '"ok":true' -- "$assize" doctor --json
}
step delegated-twice delegated 'memory pids cpu' bash -c "$(declare -f says again); assize=$assize; again"
step undelegated-says-so delegated 'memory pids' bash -c "$(declare -f says); says '\"ok\":false' 'Delegate=yes' -- $assize doctor --json"

step unit-assize-cgroup /vm/release/deps/assize_cgroup --test-threads=1
if [ -z "$quick" ]; then
    step escape /vm/release/deps/escape --test-threads=1 "${filters[@]}"
    step nothing-left-of-escapes nothing_left
fi

# As an ordinary user with a group of its own, as a user's systemd gives one.
as_user() { # UID COMMAND...
    local uid=$1 group=$cg/user.slice/user-$1 word status=0
    shift
    mkdir -p "$group"
    for word in memory pids cpu; do
        echo "+$word" >$cg/cgroup.subtree_control
        echo "+$word" >$cg/user.slice/cgroup.subtree_control
    done
    chown "$uid:$uid" "$group" "$group"/cgroup.{procs,subtree_control,threads}
    (echo "$BASHPID" >"$group/cgroup.procs" &&
        exec setpriv --reuid="$uid" --regid="$uid" --clear-groups --bounding-set=+all env HOME=/tmp "$@") || status=$?
    sleep 0.1
    find $cg/user.slice -depth -type d -exec rmdir {} \; || status=1
    return $status
}
# The hostile programs were compiled by root's run; without it by the user's.
mkdir -p /vm/release/hostile && chmod 777 /vm/release/hostile
for user in 71000:one-id 71001:subordinate-ids; do
    uid=${user%:*} kind=${user#*:}
    step "rootless-$kind-doctor" as_user "$uid" "$assize" doctor --json
    step "rootless-$kind-runs" as_user "$uid" bash -c "$(declare -f says); says '\"status\":\"finished\"' 'hello 42' -- $assize run echo.sh --json"
    if [ -z "$quick" ]; then
        step "rootless-$kind-escape" as_user "$uid" /vm/release/deps/escape --test-threads=1 "${filters[@]}"
    fi
    step "nothing-left-of-$kind" nothing_left
done
step without-cgroups-says-so says '"ok":false' 'Delegate=yes' -- setpriv --reuid=71000 --regid=71000 --clear-groups "$assize" doctor --json
echo "@@ dying groups before caches are dropped: $(awk '/nr_dying_descendants/ { print $2 }' $cg/cgroup.stat)"
# Removed groups that something still holds; page cache may, nothing else.
echo 3 >/proc/sys/vm/drop_caches
sleep 1
dying_groups() {
    local dying
    dying=$(awk '/nr_dying_descendants/ { print $2 }' $cg/cgroup.stat)
    echo "$dying dying groups"
    [ "$dying" -lt 20 ]
}
step few-dying-groups dying_groups
kernel_is_well() { ! dmesg | grep -iE 'warning:|bug:|oops|rcu.*stall|soft lockup|hung task'; }
step kernel-messages kernel_is_well
echo "@@ end"
