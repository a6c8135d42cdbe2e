//! Limits that the kernel keeps for each process by itself.

use assize_policies::Limits;

/// What an rlimit can do for each process where no cgroup limits them all.
pub(crate) fn instead_of_cgroups(limits: &Limits) -> [(u32, u64); 3] {
    use nix::libc::{RLIMIT_CPU, RLIMIT_DATA, RLIMIT_NPROC};
    [
        (RLIMIT_CPU, limits.cpu_ms.div_ceil(1000)),
        // Private writable memory; address space alone would refuse runtimes
        // that reserve much and use little.
        (RLIMIT_DATA, limits.memory_bytes),
        // Counted in the cell's own user namespace since Linux 5.14; the init
        // is one.
        (RLIMIT_NPROC, limits.processes.saturating_add(1)),
    ]
}

/// Descriptors on their way through Unix sockets are counted for the uid, and
/// whoever sends one more is held to their own limit on open files. Programs of
/// our own uid must stay well below what we (1024 at least, everywhere) need to
/// send a run or a slot at all: at most one message of 253 above their limit.
pub(crate) fn leave_room_in_flight((resource, value): &mut (u32, u64)) {
    if *resource == nix::libc::RLIMIT_NOFILE {
        *value = (*value).min(512);
    }
}

/// Second lines behind the cgroup, and the limits only an rlimit can set.
pub(crate) fn rlimits(limits: &Limits) -> Vec<(u32, u64)> {
    use nix::libc::{
        RLIMIT_CPU, RLIMIT_MEMLOCK, RLIMIT_MSGQUEUE, RLIMIT_NICE, RLIMIT_NOFILE, RLIMIT_RTPRIO,
        RLIMIT_SIGPENDING, RLIMIT_STACK,
    };
    // Per process and in whole seconds, so a second above the limit that the
    // cgroup decides.
    let cpu_seconds = limits.cpu_ms.div_ceil(1000).saturating_add(1);
    vec![
        (RLIMIT_CPU, cpu_seconds),
        (RLIMIT_STACK, stack(limits)),
        (RLIMIT_NOFILE, 1024),
        (RLIMIT_MEMLOCK, 0),
        (RLIMIT_SIGPENDING, 1024),
        (RLIMIT_MSGQUEUE, 819_200),
        (RLIMIT_NICE, 0),
        (RLIMIT_RTPRIO, 0),
    ]
}

/// Deep recursion is legal as far as memory goes; the kernel reserves none of it
/// up front.
pub(crate) fn stack(limits: &Limits) -> u64 {
    limits.memory_bytes.min(1 << 30)
}
