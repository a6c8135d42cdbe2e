//! The cell of one worker, and how it is started in there.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use assize_cgroup::{Ceilings, Group};
use assize_policies::Profile;
use assize_wire::frame;
use assize_wire::plan as wire;
use assize_wire::worker::{SOCKET_FD, WorkerReply};

use super::{BINARY, GUESTS};
use crate::keeper::Lease;
use crate::outcome::Fault;
use crate::plan::Time;
use crate::spawn::{Jail, host};

/// How one worker is started.
pub(super) struct Home {
    pub(super) lease: Lease,
    pub(super) profile: Arc<Profile>,
    pub(super) time: Time,
    /// Runs after which it is replaced.
    pub(super) runs: u64,
}

/// A started worker that has said what guests it has.
pub(super) struct Running {
    pub(super) jail: Jail,
    pub(super) group: Box<dyn Group>,
    pub(super) socket: UnixStream,
    pub(super) guests: Vec<String>,
}

impl Home {
    pub(super) fn start(&self) -> Result<Running, Fault> {
        let (jail, mut group) = self.lease.open()?;
        match self.launch(&jail, group.as_mut()) {
            Ok((socket, guests)) => Ok(Running {
                jail,
                group,
                socket,
                guests,
            }),
            Err(fault) => {
                drop(jail);
                self.lease.close();
                Err(fault)
            }
        }
    }

    fn launch(
        &self,
        jail: &Jail,
        group: &mut dyn Group,
    ) -> Result<(UnixStream, Vec<String>), Fault> {
        let limits = self.profile.limits;
        let (memory_bytes, processes) = (limits.memory_bytes, limits.processes);
        group
            .arm(Ceilings {
                memory_bytes,
                processes,
                residents: 1,
            })
            .map_err(|e| Fault::Host(e.to_string()))?;
        let (ours, theirs) = UnixStream::pair().map_err(host)?;
        let null = || {
            File::options()
                .read(true)
                .write(true)
                .open("/dev/null")
                .map_err(host)
        };
        let stderr =
            rustix::io::fcntl_dupfd_cloexec(std::io::stderr(), 3).map_err(|e| host(e.into()))?;
        let fds = [
            null()?.into(),
            null()?.into(),
            stderr,
            OwnedFd::from(theirs),
        ];
        let mut argv = vec![BINARY, "worker", "--guests", GUESTS];
        if self.time == Time::Counted {
            argv.push("--deterministic");
        }
        let order = wire::Order::Run(Box::new(wire::Plan {
            argv: argv.iter().map(|a| a.as_bytes().to_vec()).collect(),
            env: vec![b"TMPDIR=/tmp".to_vec(), b"PATH=/usr/bin:/bin".to_vec()],
            files: Vec::new(),
            extra_fds: vec![SOCKET_FD],
            disk_bytes: limits.disk_bytes,
            inodes: limits.files,
            rlimits: vec![
                (nix::libc::RLIMIT_NOFILE, 4096),
                (nix::libc::RLIMIT_MEMLOCK, 0),
            ],
            collect: Vec::new(),
            filter: self.profile.filter.clone(),
            sockets: false,
            read_only: self.profile.files.read_only.clone(),
            read_write: self.profile.files.read_write.clone(),
            warm: None,
        }));
        let borrowed: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
        let lost = |e: frame::FrameError| Fault::CellNotBuilt(format!("wasm worker: {e}"));
        frame::send(&jail.socket, &order, &borrowed).map_err(lost)?;
        drop(fds);
        ours.set_read_timeout(Some(Duration::from_secs(60)))
            .map_err(host)?;
        let (reply, _) = frame::recv::<WorkerReply>(&ours).map_err(|e| {
            // Its init knows how it ended, which says more than end-of-file.
            // It may also be stuck, and then says nothing.
            let _ = jail.socket.set_read_timeout(Some(Duration::from_secs(5)));
            let end = frame::recv::<wire::JailEvent>(&jail.socket).map(|(event, _)| event);
            match end {
                Ok(wire::JailEvent::Done(report)) => {
                    Fault::CellNotBuilt(format!("the wasm worker ended: {:?}", report.end))
                }
                Ok(wire::JailEvent::Idle | wire::JailEvent::Warm(_)) | Err(_) => lost(e),
            }
        })?;
        ours.set_read_timeout(None).map_err(host)?;
        match reply {
            WorkerReply::Ready { guests } => Ok((ours, guests)),
            WorkerReply::Done(_) => Err(Fault::CellNotBuilt("wasm worker out of turn".into())),
        }
    }
}
