# QuickJS-ng with a library that makes it look like Node, frozen after its
# start. Sourced by ../build.sh.
# shellcheck shell=bash disable=SC2154

# QuickJS-ng 0.16.2, as a crate brings it.
quickjs=rquickjs-sys-0.14.0
quickjs_version=0.16.2
quickjs_sha256=cee271d0eeba64f0915b846cb7ae02e16faf3dfdffdca91731101d9d30fe3423

# In linear memory: some ten thousand calls, as in Node. The machine's stack (in
# executor/wasm/src/engine.rs) holds eight times this.
stack_bytes=4194304

# The harness files that are frozen in.
harness() {
    find "$root/runtimes/guest/javascript" -maxdepth 1 -name '*.js' ! -name 'test_*' ! -name platform.js | sort
}

inputs() {
    echo "$quickjs_sha256 $ziglang_sha256"
    cat "$here"/javascript/*.[ch] "$here"/javascript/patch.py
    cat "$here"/javascript/lib/*.js
    harness | xargs -r cat
}

# The sources, from the crate that cargo fetches.
sources() {
    local crate=$cache/downloads/$quickjs.crate
    if [ ! -f "$crate" ]; then
        say "downloading $quickjs"
        mkdir -p "$tmp/crate/src"
        touch "$tmp/crate/src/lib.rs"
        printf '[package]\nname = "fetch"\nversion = "0.0.0"\n[workspace]\n[dependencies]\n%s = "=%s"\n' \
            "${quickjs%-*}" "${quickjs##*-}" >"$tmp/crate/Cargo.toml"
        cargo fetch --quiet --manifest-path "$tmp/crate/Cargo.toml"
        cp "$(find "${CARGO_HOME:-$HOME/.cargo}/registry/cache" -name "$quickjs.crate" -print -quit)" "$crate"
    fi
    checked "$quickjs.crate" "$quickjs_sha256"
    tar -C "$tmp" -xzf "$crate" "$quickjs/quickjs"
}

build() {
    local result=$1 at=$tmp/$quickjs/quickjs
    sources
    python3 "$here/javascript/patch.py" "$at/quickjs.c" "$tmp/quickjs.c"
    mv "$tmp/quickjs.c" "$at/quickjs.c"

    say "compiling QuickJS-ng"
    zig cc -target wasm32-wasi -mexec-model=reactor -O2 -s -w -D_GNU_SOURCE -DNDEBUG \
        -DQUICKJS_NG_BUILD -DSTACK_BYTES=$stack_bytes -DPAD_BYTES=768 -I"$at" -I"$here/javascript" \
        -D_WASI_EMULATED_SIGNAL -D_WASI_EMULATED_PROCESS_CLOCKS \
        "$here"/javascript/{engine,host,modules,reactor}.c \
        "$at"/{dtoa,libregexp,libunicode}.c -o "$tmp/javascript.wasm" \
        -lwasi-emulated-signal -lwasi-emulated-process-clocks -Wl,-z,stack-size=$stack_bytes

    say "taking the snapshot"
    mkdir -p "$tmp/javascript.build/harness"
    cp -r "$here/javascript/lib" "$tmp/javascript.build/"
    harness | xargs -I{} cp {} "$tmp/javascript.build/harness/"
    "$wasm" snapshot "$tmp/javascript.wasm" "$result/guest.wasm" --dir "$tmp/javascript.build::/build"
    echo "$quickjs_version" >"$result/version"
}
