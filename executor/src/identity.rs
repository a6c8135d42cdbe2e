//! Which host ids the cells of this process run as.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use assize_wire::cell::IdSource;

use crate::outcome::Fault;

/// Ids a server uses at most: two for each of 512 slots.
pub(crate) const SPAN: u32 = 0x400;

/// Far above what systems hand out, and above the ranges of /etc/subuid's
/// defaults.
const HIGH: u32 = 0x4A00_0000;

/// Finds ids for one executor of this process.
///
/// * Root maps any id: a block of its own, spread by pid so that two servers
///   on one host rarely share one.
/// * Root of a container has the ids its user namespace has: the last ones. With
///   one id or few it is no more than an ordinary user.
/// * An ordinary user has what /etc/subuid and /etc/subgid grant, when the
///   set-uid `newuidmap` is there to map them; else only their own id.
pub(crate) fn source() -> Result<IdSource, Fault> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let instance = COUNT.fetch_add(1, Ordering::Relaxed);
    let uid = nix::unistd::geteuid().as_raw();
    if uid == 0 {
        let spread = std::process::id().wrapping_add(instance.wrapping_mul(7919)) & 0xFFFF;
        let first = HIGH + spread * SPAN;
        let first = match (mapped("uid_map"), mapped("gid_map")) {
            (Some(uids), Some(gids)) => within(first, uids.min(gids)),
            (_, _) => Some(first),
        };
        return match first {
            Some(first) => Ok(IdSource::Pairs {
                first,
                subordinate: false,
            }),
            // Our own id may be the host's root: no program runs as that.
            None if outside_of_root() == Some(0) => Err(Fault::Host(
                "this user namespace maps root and too few other ids for programs to run as: \
                 map at least 16384, or start as an ordinary user"
                    .to_owned(),
            )),
            None => Ok(IdSource::Own),
        };
    }
    Ok(match subordinate(uid) {
        Some(first) => IdSource::Pairs {
            first,
            subordinate: true,
        },
        None => IdSource::Own,
    })
}

/// What uid 0 of this user namespace is in the one above.
fn outside_of_root() -> Option<u32> {
    let map = fs::read_to_string("/proc/self/uid_map").ok()?;
    let root = map.lines().find(|l| l.trim_start().starts_with("0 "))?;
    root.split_whitespace().nth(1)?.parse().ok()
}

/// `first`, or the last block under `count` ids when that is too high; none
/// when there are too few. The very last ids are left alone: 65534 is
/// nobody's, everywhere.
fn within(first: u32, count: u64) -> Option<u32> {
    if u64::from(first) + u64::from(SPAN) <= count {
        return Some(first);
    }
    // What lies below belongs to the container's own users.
    const USERS: u64 = 10_000;
    let last = count.checked_sub(u64::from(SPAN) + 2)?;
    (last >= USERS).then(|| u32::try_from(last).ok()).flatten()
}

/// One past the highest id of this process's user namespace.
fn mapped(map: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/self/{map}")).ok()?;
    let ends = text.lines().filter_map(|line| {
        let mut numbers = line.split_whitespace().map(str::parse::<u64>);
        let (inside, _, count) = (
            numbers.next()?.ok()?,
            numbers.next()?.ok()?,
            numbers.next()?.ok()?,
        );
        Some(inside + count)
    });
    ends.max()
}

/// The first subordinate id, when enough are granted and can be mapped.
fn subordinate(uid: u32) -> Option<u32> {
    let helpers = ["newuidmap", "newgidmap"];
    if !helpers.iter().all(|name| installed(name).is_some()) {
        return None;
    }
    let name = nix::unistd::User::from_uid(uid.into()).ok().flatten()?.name;
    let uids = granted("/etc/subuid", &name, uid)?;
    let gids = granted("/etc/subgid", &name, uid)?;
    // One number serves as uid and gid of a cell, so the ranges must overlap.
    let start = uids.0.max(gids.0);
    let end = (uids.0 + uids.1).min(gids.0 + gids.1);
    (end >= start + u64::from(SPAN))
        .then(|| u32::try_from(start).ok())
        .flatten()
}

/// The largest range that subuid(5) grants, as (first, count).
fn granted(file: &str, name: &str, uid: u32) -> Option<(u64, u64)> {
    let text = fs::read_to_string(file).ok()?;
    let ranges = text.lines().filter_map(|line| {
        let mut fields = line.trim().split(':');
        let owner = fields.next()?;
        if owner != name && owner != uid.to_string() {
            return None;
        }
        Some((
            fields.next()?.parse().ok()?,
            fields.next()?.parse::<u64>().ok()?,
        ))
    });
    ranges.max_by_key(|(_, count)| *count)
}

/// Where a helper of shadow-utils is.
fn installed(name: &str) -> Option<PathBuf> {
    ["/usr/bin", "/bin", "/usr/local/bin"]
        .iter()
        .map(|dir| Path::new(dir).join(name))
        .find(|path| path.exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_user_namespace_gives_its_last_ids_but_not_nobody() {
        let first = within(HIGH, 65536).unwrap();
        assert!(first + SPAN <= 65534);
        assert_eq!(within(HIGH, u64::from(u32::MAX)), Some(HIGH));
        assert_eq!(within(HIGH, 1), None);
    }
}
