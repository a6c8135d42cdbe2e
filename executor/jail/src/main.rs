//! `assize-jail`: builds one cell, is its init, and forks each run into it.
//!
//! # Theory of operation
//!
//! Two processes per slot, both of this program, both single-threaded:
//!
//! * the **warden** (`warden.rs`) starts in the host's namespaces with the
//!   executor's socket as descriptor 0. It makes the init with `clone3`, puts
//!   it into the slot's cgroups, maps its ids, drops its own copy of the
//!   socket and then only waits, to remove the cgroups when the cell is over.
//! * the **init** (`cell.rs`, `init.rs`) is pid 1 of the cell and uid 0 of its
//!   user namespace, which on the host is an ordinary uid that owns nothing.
//!   It builds the root, locks itself in, and then serves runs: mount fresh
//!   scratch space, fork, report, kill what is left, unmount.
//!
//! Each **run** (`run.rs`) is a fork of the init that gives up the rest of its
//! rights and becomes the program: another uid than the init, no capability,
//! Landlock, seccomp.
//!
//! Trust: the executor trusts the init's reports; the init trusts nothing that
//! runs below it and shares no writable memory, descriptor or uid with it. The
//! socket is the leash: when the executor goes, however suddenly, the init
//! reads end-of-file and exits, and the kernel kills everything in a pid
//! namespace whose pid 1 has died.
//!
//! Deliberately absent: threads, async, JSON, policy decisions, limits on time
//! (the executor watches the clock and says `Kill`), any knowledge of cgroup
//! versions.

mod backlog;
mod cell;
mod collect;
mod confine;
mod init;
mod mounts;
mod refusals;
mod run;
mod scratch;
mod traces;
mod warden;
mod warm;

use assize_sys::process::exit_now;

fn main() {
    let status = match warden::run() {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("assize-jail: {error}");
            1
        }
    };
    exit_now(status);
}
