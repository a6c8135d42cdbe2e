# CPython for wasm32-wasi, from source: a static library with everything that
# works without an operating system, headers, and the standard library as data.
# Sourced by guest.sh; only `static_library` is for it.
# shellcheck shell=bash disable=SC2154

python=3.13
cpython=python3.13_3.13.5.orig.tar.xz
cpython_sha256=93e583f243454e6e9e4588ca2c2662206ad961659863277afcdb96801647d640

# shellcheck source=/dev/null
source "$here/python/sources.sh"

# static_library: the directory with the result, built if need be. It holds
# include/, lib/*.a, library.marshal (see pack.py) and version.
static_library() {
    local sources target
    sources=$({ cat "$here"/python/{cpython.sh,sources.sh,pack.py}; echo "$ziglang_sha256"; } | digest)
    target=$cache/guests/cpython-$sources
    if [ ! -f "$target/version" ]; then
        make_static_library "$tmp/cpython" >&2
        rm -rf "$target"
        mv "$tmp/cpython/result" "$target"
        rm -rf "$tmp/cpython"
    fi
    touch "$target"
    echo "$target"
}

make_static_library() {
    local at=$1 jobs
    jobs=$(nproc)
    mkdir -p "$at"/{source,build,libraries,result/lib}
    cpython_source
    say "unpacking $cpython"
    tar -C "$at/source" --strip-components=1 -xf "$cache/downloads/$cpython"
    crates_into "$at/crates"
    build_python "$at/python"
    # Programs that configure and make can call: `zig` is a function here.
    zig version >/dev/null
    local tool
    for tool in cc ar ranlib; do
        local arguments=$tool
        # Dates in the binary are those of the source.
        [ $tool != cc ] || arguments="cc -target wasm32-wasi -Wno-date-time"
        printf '#!/bin/sh\nexport ZIG_GLOBAL_CACHE_DIR=%s ZIG_LOCAL_CACHE_DIR=%s\nexec %s %s "$@"\n' \
            "$zig_home/built" "$tmp/zig-cache" "$zig_home/ziglang/zig" "$arguments" >"$at/$tool"
        chmod +x "$at/$tool"
    done
    # The first use builds wasi-libc; two at once would both do it.
    echo 'int main(void) { return 0; }' >"$at/main.c"
    say "building wasi-libc"
    "$at/cc" -O2 "$at/main.c" -o "$at/main.wasm"

    say "building zlib, bzip2, xz, SQLite"
    c_libraries "$at" "$jobs"
    say "configuring CPython"
    export SOURCE_DATE_EPOCH=1749600000
    (cd "$at/build" && configure "$at") >"$at/log" 2>&1 || { tail -30 "$at/log"; die "configure failed"; }
    local module
    for module in zlib _bz2 _lzma _sqlite3 _decimal _elementtree pyexpat _socket; do
        grep -q "stdlib extension module $module\.\.\. yes" "$at/log" || die "CPython would have no $module"
    done
    say "building CPython"
    # pybuilddir.txt stands for the configuration that `sysconfig` reads.
    make -C "$at/build" -j"$jobs" "libpython$python.a" pybuilddir.txt >"$at/log" 2>&1 ||
        { grep -E ' error: |\*\*\*' "$at/log" | tail -30; die "make failed"; }

    cp -r "$at/source/Include" "$at/result/include"
    cp "$at/build/pyconfig.h" "$at/result/include/"
    cp "$at/build/libpython$python.a" "$at"/build/Modules/{expat/libexpat,_decimal/libmpdec/libmpdec,_hacl/libHacl_Hash_SHA2}.a \
        "$at"/libraries/*.a "$at/result/lib/"
    say "compiling the standard library"
    library "$at/source/Lib" "$at/library"
    cp "$at/build/$(cat "$at/build/pybuilddir.txt")"/_sysconfigdata*.py "$at/library/"
    "$at/python" -I -S "$here/python/pack.py" "$at/library" "/usr/local/lib/python$python" "$at/result/library.marshal"
    cp -r "$at/library/encodings" "$at/result/encodings"
    sed -nE 's/^#define PY_VERSION +"(.*)"/\1/p' "$at/source/Include/patchlevel.h" >"$at/result/version"
}

# The modules zlib, bz2, lzma and sqlite3 need them.
c_libraries() {
    local at=$1 jobs=$2 v=$1/crates
    local sqlite=$v/libsqlite3-sys/sqlite3 zlib=$v/libz-sys/src/zlib bzip2
    local xz=$v/liblzma-sys/xz/src directory includes=()
    bzip2=$(echo "$v"/bzip2-sys/bzip2-*)
    for directory in common lzma lz check simple delta rangecoder; do
        includes+=("-I$xz/liblzma/$directory")
    done
    # The longest first, the others beside it.
    c_library sqlite3 1 "-I$sqlite" -DSQLITE_THREADSAFE=0 -DSQLITE_OMIT_LOAD_EXTENSION -DSQLITE_ENABLE_FTS5 \
        -DSQLITE_ENABLE_MATH_FUNCTIONS -DSQLITE_ENABLE_RTREE -DSQLITE_ENABLE_COLUMN_METADATA \
        -DSQLITE_TEMP_STORE=3 -- "$sqlite/sqlite3.c" &
    c_library z "$jobs" "-I$zlib" -- "$zlib"/{adler32,compress,crc32,deflate,inffast,inflate,inftrees,trees,uncompr,zutil}.c
    c_library bz2 "$jobs" "-I$bzip2" -- \
        "$bzip2"/{blocksort,huffman,crctable,randtable,compress,decompress,bzlib}.c
    # Its sources without the tables' generators, the small variants and threads.
    # shellcheck disable=SC2046
    c_library lzma "$jobs" -DHAVE_CONFIG_H -D_WASI_EMULATED_SIGNAL "-I$v/liblzma-sys" "-I$xz/common" \
        "-I$xz/liblzma/api" "${includes[@]}" -- $(find "$xz"/liblzma/{common,lzma,lz,check,delta,rangecoder,simple} \
            -name '*.c' ! -name '*tablegen.c' ! -name '*_small.c' ! -name '*_mt.c' ! -name '*_gen.c' | sort)
    wait $! || die "SQLite does not compile"
}

# c_library NAME JOBS FLAGS... -- SOURCES...: lib$NAME.a
c_library() {
    local name=$1 jobs=$2 flags=() objects=$at/objects-$1
    shift 2
    while [ "$1" != -- ]; do flags+=("$1"); shift; done
    shift
    mkdir "$objects"
    (cd "$objects" && printf '%s\n' "$@" |
        xargs -P "$jobs" -n 1 "$at/cc" -c -O2 -g0 -DNDEBUG -w "${flags[@]}") || die "lib$name does not compile"
    "$at/ar" rcs "$at/libraries/lib$name.a" "$objects"/*.o
}

# What zig's wasi-libc declares but does not have (see also absent.c).
absent='mmap epoll_create epoll_create1 timerfd_create setgroups'

# In the build directory. SOCK_RAW is missing from the headers; pymalloc is off
# by default for wasm, but works; no library of the host is to be found.
# shellcheck disable=SC2046,SC2086
configure() {
    local at=$1 v=$1/crates libraries="-L$1/libraries"
    CC=$at/cc AR=$at/ar RANLIB=$at/ranlib CPP="$at/cc -E" OPT="-g0 -DNDEBUG -fwrapv -O3" \
        CONFIG_SITE=$at/source/Tools/wasm/config.site-wasm32-wasi \
        CPPFLAGS=-DSOCK_RAW=3 LDFLAGS=$libraries PKG_CONFIG_LIBDIR=/nowhere PKG_CONFIG_PATH='' \
        ZLIB_CFLAGS=-I$v/libz-sys/src/zlib ZLIB_LIBS="$libraries -lz" \
        BZIP2_CFLAGS=-I$(echo "$v"/bzip2-sys/bzip2-*) BZIP2_LIBS="$libraries -lbz2" \
        LIBLZMA_CFLAGS=-I$v/liblzma-sys/xz/src/liblzma/api LIBLZMA_LIBS="$libraries -llzma" \
        LIBSQLITE3_CFLAGS=-I$v/libsqlite3-sys/sqlite3 LIBSQLITE3_LIBS="$libraries -lsqlite3" \
        env $(printf 'ac_cv_func_%s=no ' $absent) ac_cv_header_libintl_h=no \
        ac_cv_header_sys_epoll_h=no ac_cv_header_sys_timerfd_h=no \
        "$at/source/configure" --host=wasm32-wasip1 --build=x86_64-pc-linux-gnu \
        --with-build-python="$at/python" --prefix=/usr/local --with-pymalloc --without-readline \
        --disable-test-modules --without-ensurepip
}

# The standard library as programs see it: what cannot work here is left out.
library() {
    local from=$1 to=$2
    mkdir -p "$to"
    tar -C "$from" -cf - --exclude=__pycache__ --exclude=./test --exclude=./site-packages \
        --exclude=./ensurepip --exclude=./idlelib --exclude=./tkinter --exclude=./turtledemo \
        --exclude=./turtle.py --exclude=./venv --exclude=./pydoc_data --exclude=./_pyrepl \
        --exclude=./curses --exclude=./ctypes --exclude='./__phello__*' --exclude=tests \
        --exclude=idle_test . |
        tar -C "$to" -xf -
}
