//! Starting a jail and talking it through the building of its cell.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use assize_wire::cell::{CellReply, CellSpec};
use assize_wire::frame;

use crate::outcome::Fault;

/// A started jail: its cell stands, its init waits for plans.
pub(crate) struct Jail {
    /// The leash: when it is dropped, the cell ends.
    pub(crate) socket: UnixStream,
    /// Landlock ABI in force inside.
    pub(crate) landlock_abi: u8,
    warden: Child,
}

impl Jail {
    /// Starts `binary` and has it build `cell`. The socket is the child's
    /// stdin, so std uses posix_spawn and no code of ours runs between fork
    /// and exec.
    pub(crate) fn start(binary: &Path, cell: &CellSpec) -> Result<Self, Fault> {
        let (ours, theirs) = UnixStream::pair().map_err(host)?;
        let mut warden = Command::new(binary)
            .env_clear()
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(|e| Fault::CellNotBuilt(format!("{}: {e}", binary.display())))?;
        match converse(&ours, cell) {
            Ok(landlock_abi) => Ok(Self {
                socket: ours,
                landlock_abi,
                warden,
            }),
            Err(fault) => {
                drop(ours);
                let _ = warden.wait();
                Err(fault)
            }
        }
    }

    /// Lets the cell go and waits until it is gone, with everything in it.
    pub(crate) fn end(mut self, group: &mut dyn assize_cgroup::Group) {
        drop(self.socket);
        // A second is an eternity for an exit; then it is taken down by force.
        for _ in 0..1000 {
            match self.warden.try_wait() {
                Ok(None) => std::thread::sleep(Duration::from_millis(1)),
                Ok(Some(_)) | Err(_) => {
                    group.remove();
                    return;
                }
            }
        }
        tracing::warn!("a cell did not end by itself and is killed");
        group.kill();
        // The init dies with its warden (PR_SET_PDEATHSIG).
        let _ = self.warden.kill();
        let _ = self.warden.wait();
        group.remove();
    }
}

fn converse(socket: &UnixStream, cell: &CellSpec) -> Result<u8, Fault> {
    let lost = |e: frame::FrameError| Fault::CellNotBuilt(e.to_string());
    socket
        .set_read_timeout(Some(Duration::from_secs(30)))
        .map_err(host)?;
    frame::send(socket, cell, &[]).map_err(lost)?;
    let (reply, _) = frame::recv::<CellReply>(socket).map_err(lost)?;
    socket.set_read_timeout(None).map_err(host)?;
    match reply {
        CellReply::Ready { landlock_abi } => Ok(landlock_abi),
        CellReply::Failed(failed) => Err(Fault::CellNotBuilt(failed.to_string())),
    }
}

/// A failed operation of this process on its host.
pub(crate) fn host(error: io::Error) -> Fault {
    Fault::Host(error.to_string())
}
