#!/usr/bin/env bash
# Builds the WASI guests into a directory that `assize-wasm worker` can load.
#
#   runtimes/wasi/build.sh [OUTPUT [GUEST...]]
#
# OUTPUT defaults to $ASSIZE_GUESTS, else target/guests; GUEST to all of them,
# which are the directories here that have a `guest.sh`.
#
# Environment:
#   ASSIZE_WASM    the assize-wasm binary (default: target/release/assize-wasm)
#   ASSIZE_CACHE   downloads and results (default: ~/.cache/assize)
#
# A guest.sh defines, using what is defined here ($here, $root, $tmp, $wasm,
# say, die, digest, fetch, zig):
#   inputs      prints everything the snapshot is made of, for its digest
#   build DIR   leaves DIR/guest.wasm, DIR/version and, if programs are to see
#               files under /usr/local/lib, DIR/lib
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
wasm=${ASSIZE_WASM:-$root/target/release/assize-wasm}
out=${1:-${ASSIZE_GUESTS:-$root/target/guests}}
cache=${ASSIZE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/assize}

say() { printf 'guests: %s\n' "$*"; }
die() { printf 'guests: %s\n' "$*" >&2; exit 1; }
digest() { sha256sum | cut -d' ' -f1; }

if [ $# -gt 1 ]; then
    guests=("${@:2}")
else
    guests=()
    for file in "$here"/*/guest.sh; do guests+=("$(basename "$(dirname "$file")")"); done
fi
[ -x "$wasm" ] || die "no assize-wasm at $wasm (cargo build --release -p assize-wasm)"
[ "$(uname -m)" = x86_64 ] || die "the pinned compiler is for x86_64; this is $(uname -m)"

export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$cache/downloads" "$cache/guests"

# checked FILE SHA256: a download that is not what it was is removed.
checked() {
    echo "$2  $cache/downloads/$1" | sha256sum --check --quiet - ||
        { rm -f "$cache/downloads/$1"; die "$1 is not the file it was: removed"; }
}

# fetch FILE SHA256 PIP-ARGUMENTS...: from PyPI into the cache
fetch() {
    local file=$1 sha256=$2 target=$cache/downloads/$1
    shift 2
    if [ ! -f "$target" ]; then
        say "downloading $file"
        mkdir "$tmp/download"
        PYTHONPATH=$tmp/tools python3 -m pip download --quiet --no-deps \
            --dest "$tmp/download" "$@"
        mv "$tmp/download/$file" "$target.new"
        rm -rf "$tmp/download"
        mv "$target.new" "$target"
    fi
    checked "$file" "$sha256"
}

# A C compiler and wasi-libc: `zig cc -target wasm32-wasi`.
ziglang=ziglang-0.17.1-py3-none-manylinux_2_12_x86_64.manylinux2010_x86_64.musllinux_1_1_x86_64.whl
ziglang_sha256=ea6cc5d87b033cf0aedfbc8f9549a908cae6c50ac31f1698188fa48a74524b54
# Unpacked in the cache, with the C libraries it has built: both take longer
# than linking a guest.
zig_home=$cache/guests/zig-$ziglang_sha256
zig() {
    if [ ! -d "$zig_home" ]; then
        fetch "$ziglang" "$ziglang_sha256" --only-binary :all: \
            --platform manylinux_2_12_x86_64 ziglang==0.17.1
        rm -rf "$zig_home.new"
        python3 -m zipfile -e "$cache/downloads/$ziglang" "$zig_home.new"
        chmod +x "$zig_home.new/ziglang/zig"
        mv "$zig_home.new" "$zig_home"
    fi
    touch "$zig_home"
    ZIG_GLOBAL_CACHE_DIR=$zig_home/built ZIG_LOCAL_CACHE_DIR=$tmp/zig-cache "$zig_home/ziglang/zig" "$@"
}

# Native code is for the processor it was compiled on, and for one compiler.
machine=$({ cat "$wasm"; grep -m1 '^flags' /proc/cpuinfo || true; } | digest)

# The directory changes as a whole, or not at all.
mkdir -p "$(dirname "$out")"
next=$out.new.$$
rm -rf "$next"
mkdir "$next"
trap 'rm -rf "$tmp" "$next"' EXIT

# make GUEST: from the cache, or built into it, and copied to the new directory.
# Runs in a shell of its own: each guest.sh defines the same names.
make_guest() (
    guest=$1
    # shellcheck source=/dev/null
    source "$here/$guest/guest.sh"
    # A result is named after everything it is made of.
    sources=$({ cat "$here/build.sh" "$here/$guest/guest.sh"; inputs; } | digest)
    snapshot=$cache/guests/$guest-$sources
    native=$cache/guests/$guest-$sources-$machine
    if [ ! -f "$snapshot/guest.wasm" ]; then
        mkdir "$tmp/$guest"
        build "$tmp/$guest"
        rm -rf "$snapshot"
        mv "$tmp/$guest" "$snapshot"
    fi
    if [ ! -f "$native.fuel.cwasm" ]; then
        say "compiling $guest to native code"
        "$wasm" compile --parallel "$snapshot/guest.wasm" "$tmp/$guest.cwasm"
        mv "$tmp/$guest.cwasm" "$native.cwasm"
        "$wasm" compile --parallel --deterministic "$snapshot/guest.wasm" "$tmp/$guest.cwasm"
        mv "$tmp/$guest.cwasm" "$native.fuel.cwasm"
    fi
    touch "$snapshot" "$native".*
    cp "$native.cwasm" "$next/$guest.cwasm"
    cp "$native.fuel.cwasm" "$next/$guest.fuel.cwasm"
    cp "$snapshot/version" "$next/$guest.version"
    # Nothing of the day it was made: the same files are the same archive.
    [ ! -d "$snapshot/lib" ] || tar -C "$snapshot/lib" --sort=name --mtime=@0 --owner=0 --group=0 \
        --numeric-owner --format=ustar -cf "$next/$guest.tar" .
)
for guest in "${guests[@]}"; do make_guest "$guest"; done

# What no build has used for a month.
find "$cache/guests" -mindepth 1 -maxdepth 1 -mtime +30 -exec rm -rf {} +

(cd "$next" && find . -name '*.cwasm' -o -name '*.tar' | sed 's|\./||' | sort | xargs sha256sum >SHA256SUMS)
chmod -R a+rX,go-w "$next"
rm -rf "$out"
mv "$next" "$out"
say "$out: $(du -sh "$out" | cut -f1)"
