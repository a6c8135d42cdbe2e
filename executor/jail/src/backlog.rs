//! Bytes that no memory cgroup counts: those of connections that nobody has
//! accepted. The kernel charges a connection's buffers to whoever accepts it,
//! and until then to nobody, so a program that listens, connects to itself and
//! writes could fill the host's memory past its own limit.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use nix::poll::PollTimeout;
use rustix::fs::{Mode, OFlags, openat};

/// Most such bytes of one run.
const MOST: u64 = 16 << 20;

/// Sockets that need no closer look: the cell's network lets each hold about a
/// megabyte (`tcp_rmem`).
const FEW: u64 = 16;

/// Least time between two looks at the tables: to find the sockets of one
/// namespace the kernel walks through those of all, which takes milliseconds.
const LOOK: Duration = Duration::from_millis(100);

/// The TCP sockets of the cell's network namespace.
pub(crate) struct Backlog {
    /// How many there are, which is quick to read.
    counts: Vec<File>,
    /// What they hold, which is not.
    tables: Vec<File>,
    looked: Instant,
}

impl Backlog {
    /// `proc` is a procfs; a table that the kernel does not have holds nothing.
    pub(crate) fn open(proc: &OwnedFd) -> Self {
        let open = |name: &str| {
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            openat(proc, name, flags, Mode::empty())
                .ok()
                .map(File::from)
        };
        let all = |names: [&str; 2]| names.into_iter().filter_map(open).collect();
        Self {
            counts: all(["self/net/sockstat", "self/net/sockstat6"]),
            tables: all(["self/net/tcp", "self/net/tcp6"]),
            looked: Instant::now(),
        }
    }

    /// Whether more waits than one run may have waiting, as far as it is time
    /// to look.
    pub(crate) fn is_over(&mut self) -> bool {
        let sockets: u64 = self.counts.iter().map(|file| in_use(&read(file))).sum();
        if sockets <= FEW || self.looked.elapsed() < LOOK {
            return false;
        }
        let mut waiting = 0;
        for table in &self.tables {
            let text = read(table);
            waiting += text.lines().skip(1).filter_map(unowned).sum::<u64>();
        }
        // From here: what a look costs must stay a small part of the time.
        self.looked = Instant::now();
        waiting > MOST
    }
}

/// How often the count is read while a run lasts.
pub(crate) fn patience() -> PollTimeout {
    PollTimeout::from(50u8)
}

/// `TCP: inuse 3 orphan 0 …`, and the same for TCP6.
fn in_use(text: &str) -> u64 {
    let line = text.lines().find(|l| l.starts_with("TCP"));
    let count = line.and_then(|l| l.split_whitespace().nth(2));
    count.and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// The whole table, read anew.
fn read(table: &File) -> String {
    let mut data = Vec::new();
    let mut buffer = [0; 16 << 10];
    while let Ok(n @ 1..) = table.read_at(&mut buffer, data.len() as u64) {
        data.extend_from_slice(&buffer[..n]);
    }
    String::from_utf8_lossy(&data).into_owned()
}

/// Bytes queued in a socket that no descriptor refers to: its inode is 0.
/// `sl local remote st tx:rx tr:when retransmits uid timeout inode …`
fn unowned(line: &str) -> Option<u64> {
    let mut fields = line.split_whitespace().skip(4);
    let (tx, rx) = fields.next()?.split_once(':')?;
    let inode = fields.nth(4)?;
    let bytes = |hex| u64::from_str_radix(hex, 16).ok();
    (inode == "0").then(|| Some(bytes(tx)? + bytes(rx)?))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_holds_counts() {
        assert_eq!(
            in_use("sockets: used 9\nTCP: inuse 3 orphan 0 tw 1\nUDP: inuse 7"),
            3
        );
        assert_eq!(in_use("TCP6: inuse 2\n"), 2);
        let accepted = "0: 0100007F:1F90 0100007F:C350 01 00000000:001E8480 00:00000000 00000000 1000 0 4242 1";
        let waiting =
            "1: 0100007F:1F90 0100007F:C352 01 00000001:001E8480 00:00000000 00000000 0 0 0 1";
        assert_eq!(unowned(accepted), None);
        assert_eq!(unowned(waiting), Some(2_000_001));
        assert_eq!(unowned("nonsense"), None);
    }
}
