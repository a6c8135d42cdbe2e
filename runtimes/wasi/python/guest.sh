# CPython: built from source (cpython.sh), linked with reactor.c, frozen after
# prelude.py. Sourced by ../build.sh.
# shellcheck shell=bash disable=SC2154

# shellcheck source=/dev/null
source "$here/python/cpython.sh"

# The sources of the harness modules that are frozen in.
harness() {
    find "$root/runtimes/guest/python" -maxdepth 1 -name '*.py' ! -name 'test_*' ! -name shared.py \
        ! -name notary.py ! -name parade.py ! -name predict.py | sort
}

inputs() {
    echo "$cpython_sha256 $crates $ziglang_sha256"
    cat "$here"/python/*.*
    harness | xargs -r cat
}

build() {
    local result=$1 from
    from=$(static_library)

    say "linking"
    # The emulated parts of wasi-libc are what the static library was built with.
    zig cc -target wasm32-wasi -mexec-model=reactor -O2 -s \
        -Wall -Wno-unused-parameter -I"$from/include" -I"$from/include/internal" \
        -D_WASI_EMULATED_SIGNAL -D_WASI_EMULATED_GETPID -D_WASI_EMULATED_PROCESS_CLOCKS \
        "$here"/python/*.c -o "$tmp/reactor.wasm" "$from"/lib/*.a \
        -lwasi-emulated-signal -lwasi-emulated-getpid -lwasi-emulated-process-clocks \
        -Wl,-z,stack-size=4194304

    say "taking the snapshot"
    mkdir -p "$tmp/build/harness" "$tmp/build/python$python"
    cp "$here"/python/{loop,packed,prelude}.py "$from/library.marshal" "$tmp/build/"
    # What CPython needs before it can be told where the rest is.
    cp -r "$from/encodings" "$tmp/build/python$python/"
    harness | xargs -I{} cp {} "$tmp/build/harness/"
    "$wasm" snapshot "$tmp/reactor.wasm" "$result/guest.wasm" --dir "$tmp/build::/build"
    cp "$from/version" "$result/version"
}
