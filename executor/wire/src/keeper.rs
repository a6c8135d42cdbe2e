//! What the server asks of its keeper, the one process with privileges.
//!
//! A keeper is told once, by the server that starts it and before that server
//! gives up its own privileges, what cells look like ([`KeeperSpec`]). After
//! that no message can name a path, an id, a program or a limit: the socket on
//! which an order arrives is the slot it is about, and there are three orders.

use serde::{Deserialize, Serialize};

use crate::cell::{Bind, IdSource, Layer, RootFile};

/// Everything a keeper will ever be told about cells. The server's ends of
/// `slots` sockets follow in frames of at most [`LEASES_PER_FRAME`]
/// descriptors each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeeperSpec {
    /// Name of the cgroup directory that holds this server's slots:
    /// `assize-<pid of the server>`, with a number behind it where one process
    /// has several executors.
    pub name: String,
    /// Absolute path of the `assize-jail` binary.
    pub jail: String,
    /// Slots this server may open, numbered from 0.
    pub slots: u32,
    /// Where the cells' host identities come from.
    pub ids: IdSource,
    /// Host trees shown read-only inside.
    pub binds: Vec<Bind>,
    /// Symbolic links made in the root, as (path, target).
    pub symlinks: Vec<(String, String)>,
    /// Small files written into the root before it becomes read-only.
    pub files: Vec<RootFile>,
    /// Seccomp programs of every cell.
    pub filters: Vec<Vec<u8>>,
    /// Their allow-list, see [`crate::cell::CellSpec::allow_list`].
    pub allow_list: Vec<u8>,
    /// Layers left out, for controls of escape tests. Empty in production.
    pub without: Vec<Layer>,
    /// Whether a host without usable cgroups is accepted: its runs then list
    /// fewer limits as enforced.
    pub best_effort: bool,
}

/// Most slot sockets on one frame.
pub const LEASES_PER_FRAME: usize = 32;

/// A frame of slot sockets, in the order of their slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leases {
    /// How many are attached.
    pub count: u32,
}

/// The keeper's only word on the socket it was started with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeeperReply {
    /// It serves.
    Ready {
        /// The kind of cgroup hierarchy in use (`v2`, `v1`, `hybrid`,
        /// `none`).
        cgroups: String,
        /// Why there is none; empty otherwise.
        missing: String,
    },
    /// It cannot.
    Failed(Refused),
}

/// What a slot's socket may say to the keeper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SlotOrder {
    /// Make this slot's group and start its jail.
    Open,
    /// Move the jail into a fresh group, for kernels that cannot reset a
    /// group's high-water mark. Only between runs.
    Renew,
    /// End the jail, by force when it does not end by itself, and remove the
    /// group. Closing the socket asks the same without an answer.
    Close,
}

/// What the keeper answers, one reply per order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SlotReply {
    /// Descriptors: the jail's socket, then one for each of `controls`.
    Opened {
        /// Names of the group's control files.
        controls: Vec<String>,
    },
    /// Descriptors: one for each of `controls`.
    Renewed {
        /// Names of the group's control files.
        controls: Vec<String>,
    },
    /// Nothing of the slot is left.
    Closed,
    /// It could not be done; the slot is closed.
    Failed(Refused),
}

/// Why the keeper could not do something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The limit of a request that this host cannot enforce, when that is the
    /// reason.
    pub limit: Option<String>,
    /// For people.
    pub reason: String,
}
