//! Starts the built `assize-wasm` and talks to it as the executor would.

#![allow(clippy::unwrap_used, reason = "a failure here fails the test")]

use std::fs::{self, File};
use std::io::Write as _;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use assize_wire::frame;
use assize_wire::plan::PackEntry;
use assize_wire::worker::{
    ModuleRef, SOCKET_FD, WasiLimits, WasiPlan, WasiReport, WorkerReply, WorkerRequest,
};
use command_fds::{CommandFdExt as _, FdMapping};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

/// The binary under test. Cargo names it for tests; for an example it lies one
/// directory up.
pub(crate) fn binary() -> PathBuf {
    match option_env!("CARGO_BIN_EXE_assize-wasm") {
        Some(path) => path.into(),
        None => std::env::current_exe()
            .unwrap()
            .ancestors()
            .nth(2)
            .unwrap()
            .join("assize-wasm"),
    }
}

/// A running worker; ended when dropped.
pub(crate) struct Worker {
    pub(crate) child: Child,
    pub(crate) socket: UnixStream,
    pub(crate) guests: Vec<String>,
}

impl Worker {
    pub(crate) fn start(guests: &Path) -> Self {
        Self::with(guests, &[])
    }

    pub(crate) fn with(guests: &Path, options: &[&str]) -> Self {
        let (child, socket) = spawn(guests, options);
        let (reply, _) = frame::recv(&socket).expect("the worker says that it is ready");
        let WorkerReply::Ready { guests } = reply else {
            panic!("not ready: {reply:?}")
        };
        Self {
            child,
            socket,
            guests,
        }
    }

    /// A worker without guests.
    pub(crate) fn bare() -> Self {
        let dir = TempDir::new();
        fs::write(dir.path().join("SHA256SUMS"), "").unwrap();
        Self::start(dir.path())
    }

    pub(crate) fn send(&self, request: &WorkerRequest, fds: &[BorrowedFd<'_>]) {
        frame::send(&self.socket, request, fds).unwrap();
    }

    pub(crate) fn receive(&self) -> WasiReport {
        match frame::recv(&self.socket).unwrap().0 {
            WorkerReply::Done(report) => *report,
            WorkerReply::Ready { guests } => panic!("ready twice: {guests:?}"),
        }
    }

    pub(crate) fn run(&self, run: Run) -> WasiReport {
        run.start(self);
        self.receive()
    }
}

impl Drop for Worker {
    /// Ends it as the executor would, so that it removes its files.
    fn drop(&mut self) {
        let _ = self.socket.shutdown(Shutdown::Both);
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::yield_now();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a worker without waiting for it to be ready.
pub(crate) fn spawn(guests: &Path, options: &[&str]) -> (Child, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut command = Command::new(binary());
    command
        .args(["worker", "--guests"])
        .arg(guests)
        .args(options)
        .stderr(Stdio::piped());
    command
        .fd_mappings(vec![FdMapping {
            parent_fd: theirs.into(),
            child_fd: SOCKET_FD,
        }])
        .unwrap();
    (command.spawn().unwrap(), ours)
}

/// A plan with its descriptors.
pub(crate) struct Run {
    pub(crate) plan: WasiPlan,
    module: Option<OwnedFd>,
    pack: Vec<u8>,
    stdin: Option<OwnedFd>,
    channel: Option<UnixStream>,
}

impl Run {
    fn new(module: ModuleRef, argv: &[&str]) -> Self {
        let limits = WasiLimits {
            cpu_ns: 10_000_000_000,
            wall_ns: 20_000_000_000,
            memory_bytes: 256 << 20,
            disk_bytes: 64 << 20,
            files: 4096,
            stdout_bytes: 1 << 20,
            stderr_bytes: 1 << 20,
            report_bytes: 0,
        };
        let plan = WasiPlan {
            id: 1,
            module,
            argv: argv.iter().map(|&arg| arg.to_owned()).collect(),
            env: Vec::new(),
            files: Vec::new(),
            collect: Vec::new(),
            stdin: false,
            channel: false,
            limits,
        };
        Self {
            plan,
            module: None,
            pack: Vec::new(),
            stdin: None,
            channel: None,
        }
    }

    pub(crate) fn guest(name: &str, argv: &[&str]) -> Self {
        Self::new(ModuleRef::Guest(name.to_owned()), argv)
    }

    /// A program in the text format.
    pub(crate) fn wat(text: &str) -> Self {
        Self::compiled(
            &compile(&wat::parse_str(text).unwrap()).unwrap(),
            &["program"],
        )
    }

    pub(crate) fn compiled(native: &[u8], argv: &[&str]) -> Self {
        let mut run = Self::new(ModuleRef::Passed, argv);
        run.module = Some(sealed(native));
        run
    }

    pub(crate) fn replace_module(&mut self, module: OwnedFd) {
        self.module = Some(module);
    }

    pub(crate) fn id(mut self, id: u64) -> Self {
        self.plan.id = id;
        self
    }

    pub(crate) fn limits(mut self, change: impl FnOnce(&mut WasiLimits)) -> Self {
        change(&mut self.plan.limits);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.plan.env.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn file(mut self, path: &str, content: &[u8]) -> Self {
        let offset = self.pack.len() as u64;
        let (path, len) = (path.to_owned(), content.len() as u64);
        self.plan.files.push(PackEntry {
            path,
            mode: 0o644,
            offset,
            len,
        });
        self.pack.extend_from_slice(content);
        self
    }

    pub(crate) fn stdin(mut self, bytes: &[u8]) -> Self {
        self.plan.stdin = true;
        self.stdin = Some(sealed(bytes));
        self
    }

    /// Attaches this descriptor as it is.
    pub(crate) fn stdin_fd(mut self, fd: OwnedFd) -> Self {
        self.plan.stdin = true;
        self.stdin = Some(fd);
        self
    }

    pub(crate) fn channel(mut self, end: UnixStream) -> Self {
        self.plan.channel = true;
        self.channel = Some(end);
        self
    }

    pub(crate) fn start(self, worker: &Worker) {
        let pack = (!self.plan.files.is_empty()).then(|| sealed(&self.pack));
        let channel = self.channel.map(OwnedFd::from);
        let fds = [&self.module, &pack, &self.stdin, &channel];
        let fds: Vec<_> = fds.into_iter().flatten().map(|fd| fd.as_fd()).collect();
        worker.send(&WorkerRequest::Run(Box::new(self.plan)), &fds);
    }
}

/// A sealed memfd with these bytes.
pub(crate) fn sealed(bytes: &[u8]) -> OwnedFd {
    let fd = memfd_create("test", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    let mut file = File::from(fd);
    file.write_all(bytes).unwrap();
    fcntl_add_seals(
        &file,
        SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK,
    )
    .unwrap();
    file.into()
}

/// Native code for a module, or what the compiler said.
pub(crate) fn compile(wasm: &[u8]) -> Result<Vec<u8>, String> {
    let dir = TempDir::new();
    let (input, output) = (dir.path().join("in.wasm"), dir.path().join("out.cwasm"));
    fs::write(&input, wasm).unwrap();
    let Output { status, stderr, .. } = Command::new(binary())
        .arg("compile")
        .args([&input, &output])
        .output()
        .unwrap();
    if status.success() {
        return Ok(fs::read(output).unwrap());
    }
    assert_eq!(status.code(), Some(1));
    Err(String::from_utf8(stderr).unwrap())
}

/// How long `f` takes, with what it returns.
pub(crate) fn timed<T>(f: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    (f(), start.elapsed())
}

/// A directory that is removed when dropped.
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    pub(crate) fn new() -> Self {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "wasm-test-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
