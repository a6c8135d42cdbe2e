//! The loop: one poll over the server's socket, the slots' sockets and the
//! jails that are ending.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Instant;

use assize_cgroup::Backend;
use assize_wire::frame;
use assize_wire::keeper::{KeeperSpec, SlotOrder};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::slot::Slot;

/// Serves until every slot's socket and the server's own are closed and every
/// jail has ended.
pub(crate) fn until_the_server_goes(
    server: &UnixStream,
    spec: &KeeperSpec,
    cgroups: &dyn Backend,
    leases: Vec<UnixStream>,
) {
    let mut slots: Vec<Slot> = (0..).zip(leases).map(|(n, s)| Slot::new(n, s)).collect();
    let mut server_is_there = true;
    while server_is_there || !slots.iter().all(Slot::is_over) {
        let (gone, spoke) = wait(server_is_there.then_some(server), &slots);
        if gone {
            server_is_there = false;
            // Whoever still holds a copy of a slot's socket, it is not the
            // server any more.
            for slot in &mut slots {
                slot.socket = None;
                slot.close(false);
            }
        }
        for index in spoke {
            obey(&mut slots[index], spec, cgroups);
        }
        for slot in &mut slots {
            slot.attend(cgroups);
        }
    }
    cgroups.finish();
}

/// Sleeps until there is something to do. Says whether the server is gone, and
/// which slots have something to say.
fn wait(server: Option<&UnixStream>, slots: &[Slot]) -> (bool, Vec<usize>) {
    let mut sources = Vec::with_capacity(2 * slots.len() + 1);
    let mut speakers = Vec::with_capacity(slots.len());
    if let Some(server) = server {
        sources.push(PollFd::new(server.as_fd(), PollFlags::POLLIN));
    }
    for (index, slot) in slots.iter().enumerate() {
        if let Some(socket) = &slot.socket {
            speakers.push((sources.len(), index));
            sources.push(PollFd::new(socket.as_fd(), PollFlags::POLLIN));
        }
        if let Some(ending) = slot.ending() {
            sources.push(PollFd::new(ending, PollFlags::POLLIN));
        }
    }
    let deadline = slots.iter().filter_map(Slot::deadline).min();
    let timeout = deadline.map_or(PollTimeout::NONE, |deadline| {
        let left = deadline.saturating_duration_since(Instant::now());
        // Rounded up, so that the deadline has passed when we look.
        u16::try_from(left.as_millis() + 1).map_or(PollTimeout::MAX, PollTimeout::from)
    });
    // Interrupted or failed: the caller looks at everything and comes back.
    let _ = poll(&mut sources, timeout);
    let ready = |at: usize| sources[at].any() == Some(true);
    let gone = server.is_some() && ready(0);
    let spoke = speakers
        .into_iter()
        .filter(|(at, _)| ready(*at))
        .map(|(_, index)| index);
    (gone, spoke.collect())
}

/// Reads one order and carries it out. Anything but an order, end-of-file
/// included, closes the slot.
fn obey(slot: &mut Slot, spec: &KeeperSpec, cgroups: &dyn Backend) {
    let Some(socket) = &slot.socket else { return };
    match frame::recv::<SlotOrder>(socket) {
        Ok((SlotOrder::Open, _)) => slot.open(spec, cgroups),
        Ok((SlotOrder::Renew, _)) => slot.renew(cgroups),
        Ok((SlotOrder::Close, _)) => slot.close(true),
        Err(_) => {
            slot.socket = None;
            slot.close(false);
        }
    }
}
