#!/usr/bin/env bash
# Proves the cgroup v2 backend on a kernel that has nothing but v2: boots
# Debian's kernel and a small Debian root in QEMU's software emulation, runs `assize doctor`, some programs, the unit tests of assize-cgroup
# and the escape tests in it as root and as two kinds of ordinary user, and
# prints a table.
#
#   tests/vm/run.sh [--quick] [FILTER...]
#
# --quick leaves the escape tests out; a FILTER runs only those that match.
#   ASSIZE_VM_BACKPORTS=1   the kernel of <release>-backports
#   ASSIZE_VM_KVM=1         hardware virtualisation: faster, limits less exact
#   ASSIZE_VM_TIMEOUT=1800  seconds until the machine is switched off
#   ASSIZE_VM_BIN=DIR       take assize and assize-jail from there
set -euo pipefail
cd "$(dirname "$0")/../.."

here=$PWD/tests/vm
cache=${ASSIZE_CACHE:-$HOME/.cache/assize}/vm
work=${CARGO_TARGET_DIR:-$PWD/target}/vm
limit=${ASSIZE_VM_TIMEOUT:-1800}
say() { printf 'vm: %s\n' "$*"; }
die() { printf 'vm: %s\n' "$*" >&2; exit 1; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

quick=
if [ "${1:-}" = --quick ]; then quick=1; shift; fi
mkdir -p "$cache/debs/partial" "$work"

# The emulator is the only thing installed on this machine.
missing=()
command -v qemu-system-x86_64 >/dev/null || missing+=(qemu-system-x86)
[ -x /usr/sbin/mke2fs ] || missing+=(e2fsprogs)
command -v python3 >/dev/null || missing+=(python3)
if [ ${#missing[@]} -gt 0 ]; then
    command -v apt-get >/dev/null || die "needs ${missing[*]}; install them"
    say "installing ${missing[*]}"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
fi

# Packages for the machine, from this host's Debian, into the cache only: apt
# is shown an empty system and told to download what that would need.
# shellcheck source=/dev/null
release=$(. /etc/os-release && echo "${VERSION_CODENAME:?this is not Debian}")
site() { apt-get indextargets --format '$(SITE)' "Codename: $1" "Created-By: Packages" 2>/dev/null | head -1; }
mirror=$(site "$release")
security=$(site "$release-security")
[ -n "$mirror" ] && [ -n "$security" ] || die "apt knows no mirror of $release and its security updates"
sources=$release${ASSIZE_VM_BACKPORTS:+-backports}
list=$cache/$sources.list
signed=/usr/share/keyrings/debian-archive-keyring.gpg
{
    for suite in "$release" ${ASSIZE_VM_BACKPORTS:+"$release-backports"}; do
        echo "deb [signed-by=$signed arch=amd64] $mirror $suite main"
    done
    echo "deb [signed-by=$signed arch=amd64] $security $release-security main"
} >"$list"
: >"$cache/empty"
mkdir -p "$cache/lists-$sources/partial"
apt=(-qq -o "Dir::Etc::sourcelist=$list" -o Dir::Etc::sourceparts=/dev/null
    -o "Dir::State::lists=$cache/lists-$sources" -o "Dir::State::status=$cache/empty"
    -o "Dir::Cache::archives=$cache/debs" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
    -o APT::Architecture=amd64 -o "APT::Sandbox::User=$(id -un)")

# Named after what is in it: another list of packages is another image.
packages=(bash dash coreutils grep sed gawk findutils util-linux mount procps python3 gcc g++ libc6-dev busybox-static uidmap)
root=$cache/root-$release-$(printf '%s ' "${packages[@]}" | sha256sum | cut -c1-12).img
kernel=$cache/kernel-$sources
scratch=
machine=
trap '[ -z "$machine" ] || kill "$machine" 2>/dev/null || true; [ -z "$scratch" ] || rm -rf "$scratch"' EXIT

fetch() {
    [ -s "$cache/lists-$sources/.fetched" ] || {
        say "fetching package lists ($sources)"
        apt-get "${apt[@]}" update
        date >"$cache/lists-$sources/.fetched"
    }
}

# The tree is root's inside the image whoever builds it.
fake_root() { if [ "$(id -u)" = 0 ]; then "$@"; else unshare -r "$@"; fi; }

unpack() { dpkg-deb --fsys-tarfile "$1" | tar -x --no-same-owner --keep-directory-symlink -C "$2" "${@:3}"; }

build_root() {
    local tree=$1 deb debs dir
    shift
    for dir in bin sbin lib lib64; do
        mkdir -p "$tree/usr/$dir"
        ln -s "usr/$dir" "$tree/$dir"
    done
    for deb in "$@"; do
        unpack "$deb" "$tree" --exclude ./usr/share/doc --exclude ./usr/share/man --exclude ./usr/share/locale
    done
    # What the packages' scripts would have done.
    [ -e "$tree/bin/sh" ] || ln -s dash "$tree/bin/sh"
    [ -e "$tree/bin/awk" ] || ln -s gawk "$tree/bin/awk"
    mkdir -p "$tree"/{dev,proc,sys,tmp,run,root,srv,etc} "$tree"/usr/local/{bin,lib,sbin}
    printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n' >"$tree/etc/passwd"
    printf 'root:x:0:\nnogroup:x:65534:\n' >"$tree/etc/group"
    # Two ordinary users: one with subordinate ids, one without.
    local user
    for user in plain:71000 granted:71001; do
        printf '%s:x:%s:%s::/tmp:/bin/sh\n' "${user%:*}" "${user#*:}" "${user#*:}" >>"$tree/etc/passwd"
        printf '%s:x:%s:\n' "${user%:*}" "${user#*:}" >>"$tree/etc/group"
    done
    echo granted:165536:65536 | tee "$tree/etc/subuid" >"$tree/etc/subgid"
    chmod 4755 "$tree/usr/bin/newuidmap" "$tree/usr/bin/newgidmap"
    printf '127.0.0.1 localhost\n' >"$tree/etc/hosts"
    # Something that a cell must not show.
    printf 'root:*:1::::::\n' >"$tree/etc/shadow"
    chmod 640 "$tree/etc/shadow"
    printf '# nothing\n' >"$tree/root/.profile"
    /sbin/ldconfig -r "$tree"
    /usr/sbin/mke2fs -q -F -t ext4 -O ^has_journal -E root_owner=0:0 -d "$tree" "$root.new" 2G
}

if [ ! -s "$root" ]; then
    fetch
    say "building a root file system from packages"
    rm -f "$cache"/debs/*.deb
    apt-get "${apt[@]}" -y --no-install-recommends --download-only install "${packages[@]}" >/dev/null
    scratch=$(mktemp -d)
    export -f build_root unpack
    export root
    fake_root bash -euo pipefail -c 'build_root "$@"' - "$scratch" "$cache"/debs/*.deb
    cp "$scratch/bin/busybox" "$cache/busybox"
    mv "$root.new" "$root"
    rm -rf "$scratch" "$cache"/debs/*.deb
fi

if [ ! -s "$kernel/initramfs" ]; then
    fetch
    # The meta package names the kernel; its other needs (initramfs tools) are
    # not for us.
    meta=$(apt-cache "${apt[@]:1}" ${ASSIZE_VM_BACKPORTS:+-t "$release-backports"} show --no-all-versions linux-image-cloud-amd64 |
        sed -nE 's/^Depends:.*(linux-image-[0-9][^ ,]*).*/\1/p' | head -1)
    [ -n "$meta" ] || die "$sources has no cloud kernel"
    say "fetching $meta"
    rm -rf "$kernel"
    scratch=$(mktemp -d)
    (cd "$scratch" && apt-get "${apt[@]}" download "$meta")
    mkdir -p "$kernel" "$scratch"/tree "$scratch"/init/{bin,dev,proc,sysroot}
    unpack "$scratch"/linux-image-*.deb "$scratch/tree"
    cp "$scratch"/tree/boot/vmlinuz-* "$kernel/vmlinuz"
    modules=$(find "$scratch/tree" -path '*/modules/*' -prune -type d | head -1)
    version=$(basename "$modules")
    # What it takes to see a virtio disk, and a socket family that the escape
    # tests want to see refused by the filter, not by a kernel without it.
    for name in virtio virtio_ring virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk vsock; do
        file=$(find "$modules" -name "$name.ko*" | head -1)
        [ -n "$file" ] || continue # built in
        case $file in
        *.xz) xz -dc "$file" >"$scratch/init/$name.ko" ;;
        *.zst) zstd -qdc "$file" >"$scratch/init/$name.ko" ;;
        *) cp "$file" "$scratch/init/$name.ko" ;;
        esac
        echo "$name" >>"$scratch/init/modules"
    done
    touch "$scratch/init/modules"
    cp "$cache/busybox" "$scratch/init/bin/busybox"
    cat >"$scratch/init/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t devtmpfs none /dev
# Which needs which is the kernel's affair: until all are in.
for try in 1 2 3 4; do
    while read -r name; do insmod "/$name.ko" 2>/dev/null; done </modules
done
for try in 1 2 3 4 5 6 7 8 9 10; do [ -b /dev/vdb ] && break; sleep 0.2; done
mount -t ext4 /dev/vda /sysroot && tar -xf /dev/vdb -C /sysroot && mount --move /dev /sysroot/dev &&
    exec switch_root /sysroot /vm/busybox init
echo "@@ no root file system"
poweroff -f
INIT
    chmod +x "$scratch/init/init"
    (cd "$scratch/init" && find . | "$cache/busybox" cpio -o -H newc -R 0:0 2>/dev/null | gzip -1) >"$scratch/initramfs"
    echo "$version" >"$kernel/version"
    mv "$scratch/initramfs" "$kernel/initramfs"
    rm -rf "$scratch"
fi

# What is tested, with debug information left behind, under the paths that the
# test binary was compiled with.
say "building what is to be tested"
target=${CARGO_TARGET_DIR:-$PWD/target}
bin=${ASSIZE_VM_BIN:-$target/release}
[ -n "${ASSIZE_VM_BIN:-}" ] || cargo build --quiet --release -p assize -p assize-keeper -p assize-jail
tests=$(cargo test --quiet --release --no-run --message-format=json -p assize-cgroup --lib -p assize-tests --test escape |
    python3 -Ic '
import json, sys
for line in sys.stdin:
    m = json.loads(line)
    if m.get("executable") and m.get("profile", {}).get("test"):
        print(m["target"]["name"], m["executable"])')
payload=$work/payload
rm -rf "$payload"
mkdir -p "$payload/vm/release/deps" "$payload/etc" "$payload$PWD/tests/escape"
cp -r tests/escape/programs "$payload$PWD/tests/escape/"
cp "$cache/busybox" "$here/guest.sh" "$payload/vm/"
for file in assize assize-keeper assize-jail; do
    strip -o "$payload/vm/release/$file" "$bin/$file"
done
while read -r name path; do
    [ -n "$path" ] || die "cargo built no test binary"
    strip -o "$payload/vm/release/deps/$name" "$path"
done <<<"$tests"
printf '::sysinit:/vm/guest.sh\n::ctrlaltdel:/vm/busybox poweroff -f\n' >"$payload/etc/inittab"
{
    printf 'quick=%q\n' "$quick"
    printf 'filters=('; [ $# -eq 0 ] || printf '%q ' "$@"; printf ')\n'
} >"$payload/vm/settings"
tar -c --owner=0 --group=0 -C "$payload" -f "$work/payload.tar" .

# In emulation the machine's clock counts instructions (one per nanosecond) and
# jumps over idle time: limits in seconds mean the same work on every host.
# QEMU 7.2 loses the flags of an interrupted cmpxchg16b, so there is none.
if [ -n "${ASSIZE_VM_KVM:-}" ]; then
    engine=(-accel kvm -cpu host)
else
    engine=(-accel tcg -cpu max,-cx16 -icount shift=0,sleep=off)
fi
log=$work/console.log
say "booting $(cat "$kernel/version"), at most $limit s"
nice -n 10 timeout -k 5 "$limit" qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot \
    -machine q35 "${engine[@]}" -smp 1 -m 3G \
    -kernel "$kernel/vmlinuz" -initrd "$kernel/initramfs" \
    -append "console=ttyS0 quiet loglevel=4 panic=-1 mitigations=off random.trust_cpu=on" \
    -drive "file=$root,format=raw,if=virtio,snapshot=on,cache=unsafe" \
    -drive "file=$work/payload.tar,format=raw,if=virtio,readonly=on" \
    -chardev "file,id=console,path=$log" -serial chardev:console </dev/null &
machine=$!
ended=0
wait "$machine" || ended=$?
machine=
[ "$ended" != 124 ] || say "switched off after $limit s"
[ "$ended" = 0 ] || [ "$ended" = 124 ] || die "qemu ended with status $ended"
python3 -I "$here/report.py" "$log"
