//! A jail whose cell stands, as the executor holds it.

use std::io;
use std::os::unix::net::UnixStream;

use assize_wire::cell::CellReply;
use assize_wire::frame;

use crate::keeper::BUILDING;
use crate::outcome::Fault;

/// A started jail: its cell stands, its init waits for plans. When it is
/// dropped, the cell ends.
pub(crate) struct Jail {
    /// The leash.
    pub(crate) socket: UnixStream,
    /// What the init said of its cell.
    pub(crate) traits: Traits,
}

/// What differs from cell to cell with the host.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Traits {
    /// Landlock ABI in force inside.
    pub(crate) landlock_abi: u8,
    /// Whether refused system calls are counted.
    pub(crate) counting: bool,
}

impl Jail {
    /// Waits for the init's first word.
    pub(crate) fn greet(socket: UnixStream) -> Result<Self, Fault> {
        let lost = |e: frame::FrameError| Fault::CellNotBuilt(e.to_string());
        socket.set_read_timeout(Some(BUILDING)).map_err(host)?;
        let (reply, _) = frame::recv::<CellReply>(&socket).map_err(lost)?;
        socket.set_read_timeout(None).map_err(host)?;
        match reply {
            CellReply::Ready {
                landlock_abi,
                counting,
            } => Ok(Self {
                socket,
                traits: Traits {
                    landlock_abi,
                    counting,
                },
            }),
            CellReply::Failed(failed) => Err(Fault::CellNotBuilt(failed.to_string())),
        }
    }
}

/// A failed operation of this process on its host.
pub(crate) fn host(error: io::Error) -> Fault {
    Fault::Host(error.to_string())
}
