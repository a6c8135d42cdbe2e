# Where the sources of the Python guest come from: Debian and crates.
# Sourced by cpython.sh.
# shellcheck shell=bash disable=SC2154

# A Debian release whose source package is CPython's own release tarball, and
# which has that same CPython to run here. A stable one: testing and unstable
# drop a version as soon as they have the next.
debian=trixie

# Crates that carry the C sources of a library; cargo checks them against the
# registry's index, `crates` against this.
crates='
libz-sys        1.1.31       ff20308ecabd635a2dc1dd5834a86c462cca20efba1d5d3ddab1f8aea3455cb2
bzip2-sys       0.1.13+1.0.8 225bff33b2141874fe80d71e07d6eec4f85c5c216453dd96388240f96e1acc14
liblzma-sys     0.4.9        7c7e3581f367a78d7b7e7ae948d023310556f0cfc13156c2e4e00e25616492b9
libsqlite3-sys  0.38.2       f1d20bef17f513b9b3004532233187769cd072d790971f4e4da0e346eb6401e8
'

# crates_into DIR: unpacks the crates there, each in a directory of its name.
crates_into() {
    local name version sha256
    command -v cargo >/dev/null || die "needs cargo: zlib, bzip2, xz and SQLite come as crates"
    mkdir -p "$tmp/crates/src"
    : >"$tmp/crates/src/lib.rs"
    {
        printf '[package]\nname = "sources"\nversion = "0.0.0"\nedition = "2021"\n[workspace]\n[dependencies]\n'
        while read -r name version sha256; do
            [ -z "$name" ] || printf '%s = { version = "=%s", default-features = false }\n' "$name" "${version%+*}"
        done <<<"$crates"
    } >"$tmp/crates/Cargo.toml"
    (cd "$tmp/crates" && cargo vendor --quiet "$1" >/dev/null)
    while read -r name version sha256; do
        [ -z "$name" ] || grep -q "\"package\":\"$sha256\"" "$1/$name/.cargo-checksum.json" ||
            die "the crate $name $version is not the one it was"
    done <<<"$crates"
}

# in_debian COMMAND...: apt for $debian, from where this host's own Debian comes
# from, in directories of its own: nothing is installed, root is not needed.
in_debian() {
    local apt=$tmp/apt keyring=/usr/share/keyrings/debian-archive-keyring.gpg release site kind
    if [ ! -d "$apt" ]; then
        command -v apt-get >/dev/null && [ -e "$keyring" ] ||
            die "needs Debian's apt-get, or $cpython in $cache/downloads and a python$python in PATH"
        # shellcheck source=/dev/null
        release=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
        site=$(apt-get indextargets --format '$(SITE)' "Codename: $release" "Created-By: Packages" 2>/dev/null | sed -n 1p)
        # Codenames are known only after an update; suites are configured.
        [ -n "$site" ] || site=$(apt-get indextargets --format '$(SITE)' "Suite: $release" "Created-By: Packages" 2>/dev/null | sed -n 1p)
        [ -n "$site" ] || site=$(apt-get indextargets --format '$(RELEASE) $(SITE)' | sed -n "s/^$release //p" | sed -n 1p)
        [ -n "$site" ] || die "no apt source for $release, where the sources of $debian would be too"
        mkdir -p "$apt"/{lists,archives}/partial "$apt/etc" "$apt/none"
        for kind in deb deb-src; do
            echo "$kind [signed-by=$keyring] $site $debian main"
        done >"$apt/etc/sources.list"
        : >"$apt/status"
        cat >"$apt/apt.conf" <<CONF
Dir::State "$apt";
Dir::State::status "$apt/status";
Dir::Cache "$apt";
Dir::Etc "$apt/etc";
Dir::Etc::sourcelist "$apt/etc/sources.list";
Dir::Etc::sourceparts "$apt/none";
Dir::Etc::parts "$apt/none";
Dir::Etc::preferencesparts "$apt/none";
APT::Architecture "amd64";
APT::Sandbox::User "$(id -un)";
Acquire::Languages "none";
CONF
        APT_CONFIG=$apt/apt.conf apt-get -qq update || die "cannot read the package lists of $debian"
    fi
    APT_CONFIG=$apt/apt.conf "$@"
}

# cpython_source: the release tarball, into the cache.
cpython_source() {
    local target=$cache/downloads/$cpython
    if [ ! -f "$target" ]; then
        say "downloading $cpython"
        mkdir -p "$tmp/source"
        (cd "$tmp/source" && in_debian apt-get -qq source --download-only --only-source --tar-only "python$python")
        mv "$tmp/source/$cpython" "$target" 2>/dev/null || die "$debian has no $cpython any more"
    fi
    checked "$cpython" "$cpython_sha256"
}

# build_python FILE: makes FILE a program that runs this CPython on this host,
# which the build needs to turn modules into byte code.
build_python() {
    local file=$1 root=$tmp/build-python lib
    # A name is no proof: it may be a shim for something else.
    if "python$python" -I -c "import sys; assert '%d.%d' % sys.version_info[:2] == '$python'" 2>/dev/null; then
        ln -s "$(command -v "python$python")" "$file"
        return
    fi
    mkdir "$root" "$tmp/debs"
    (cd "$tmp/debs" && in_debian apt-get -qq download "python$python-minimal" \
        "libpython$python-minimal" "libpython$python-stdlib" libc6 zlib1g libexpat1)
    for deb in "$tmp"/debs/*.deb; do dpkg-deb -x "$deb" "$root"; done
    lib=$root/usr/lib/x86_64-linux-gnu
    # With its own C library: that of this host may be older.
    cat >"$file" <<RUN
#!/bin/sh
PYTHONHOME=$root/usr exec $lib/ld-linux-x86-64.so.2 --library-path $lib $root/usr/bin/python$python "\$@"
RUN
    chmod +x "$file"
}
