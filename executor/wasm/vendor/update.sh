#!/usr/bin/env bash
# Makes vendor/wasmtime anew from the crate as published plus regions.patch:
#
#   executor/wasm/vendor/update.sh            after changing the version in Cargo.toml
#   executor/wasm/vendor/update.sh --check    says whether it is just that
#
# Why there is a copy at all: see regions.patch. Nothing else differs.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../.." && pwd)
version=$(sed -nE 's/^wasmtime = \{ version = "=([0-9.]+)".*/\1/p' "$root/Cargo.toml")
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# Cargo downloads it and checks it against the registry's checksum.
mkdir "$tmp/src"
echo >"$tmp/src/lib.rs"
printf '[package]\nname = "fetch"\nedition = "2024"\n[dependencies]\nwasmtime = { version = "=%s", default-features = false }\n[workspace]\n' \
    "$version" >"$tmp/Cargo.toml"
(cd "$tmp" && cargo vendor --quiet --versioned-dirs vendored >/dev/null)
published=$tmp/vendored/wasmtime-$version
mkdir "$tmp/new"
for part in src Cargo.toml LICENSE README.md build.rs .cargo_vcs_info.json; do
    [ ! -e "$published/$part" ] || cp -r "$published/$part" "$tmp/new/"
done
patch --quiet --strip=1 --directory="$tmp/new" <"$here/regions.patch"

if [ "${1:-}" = --check ]; then
    diff -r "$tmp/new" "$here/wasmtime"
    echo "vendor: wasmtime $version and the patch, nothing else"
else
    rm -rf "$here/wasmtime"
    mv "$tmp/new" "$here/wasmtime"
fi
