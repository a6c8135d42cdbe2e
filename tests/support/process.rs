//! A server as operators start it: a process of its own, whose memory is its
//! own and can be looked at.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

/// A running `assize serve`. Dropping it stops it.
pub struct Process {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    config: std::path::PathBuf,
}

impl Process {
    /// Starts one with these further lines in its configuration.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(name: &str, configuration: &str) -> Self {
        let bin = crate::binaries();
        let config =
            std::env::temp_dir().join(format!("assize-{name}-{}.toml", std::process::id()));
        let text = format!("listen = \"127.0.0.1:0\"\n{configuration}\n");
        std::fs::write(&config, text).expect("a configuration");
        let mut child = Command::new(bin.join("assize"))
            .args(["serve", "--config"])
            .arg(&config)
            .env("ASSIZE_LOG", "error")
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the assize binary is built");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let mut said = String::new();
        let serving = lines.by_ref().map_while(Result::ok).find_map(|line| {
            said.push_str(&line);
            said.push('\n');
            let (_, rest) = line.split_once("serving on http://")?;
            rest.split(' ').next()?.parse().ok()
        });
        let address = serving.unwrap_or_else(|| panic!("the server did not start: {said}"));
        // Somebody has to read what else it says.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Self {
            child,
            address,
            config,
        }
    }

    /// Its load, as `/readyz` says it.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    pub fn load(&self) -> Value {
        let url = format!("http://{}/readyz", self.address);
        let mut answer = ureq::get(url).call().expect("an answer");
        let text = answer.body_mut().read_to_string().expect("a body");
        serde_json::from_str(&text).expect("a document")
    }

    /// Opens a connection for one request; the body is written by a thread, for
    /// as long as the server takes it.
    ///
    /// # Panics
    /// When the server takes no connection.
    #[must_use]
    pub fn send(&self, path: &str, kind: &str, body: Vec<u8>) -> TcpStream {
        self.send_with("connection: close\r\n", path, kind, body)
    }

    /// The same over a connection that is kept, as clients do: of the other kind
    /// the server reads nothing any more once it has the body, and hears that
    /// its client has left only when it writes.
    ///
    /// # Panics
    /// When the server takes no connection.
    #[must_use]
    pub fn send_kept(&self, path: &str, kind: &str, body: Vec<u8>) -> TcpStream {
        self.send_with("", path, kind, body)
    }

    fn send_with(&self, header: &str, path: &str, kind: &str, body: Vec<u8>) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("a connection");
        let mut writer = stream.try_clone().expect("a descriptor");
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\n{header}\
             content-type: {kind}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        std::thread::spawn(move || {
            // It may be told to go before everything was taken.
            let _ = writer.write_all(head.as_bytes());
            let _ = writer.write_all(&body);
        });
        stream
    }

    /// Resident memory of all its processes, in bytes, when it has been the
    /// same for a while.
    #[must_use]
    pub fn memory(&self) -> u64 {
        let (mut last, mut still) = (resident(self.child.id()), 0);
        for _ in 0..300 {
            std::thread::sleep(Duration::from_millis(100));
            let now = resident(self.child.id());
            still = if now.abs_diff(last) <= 64 << 10 {
                still + 1
            } else {
                0
            };
            last = now;
            if still >= 10 {
                break;
            }
        }
        last
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id()).ok();
        if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.config);
    }
}

/// Resident memory of a process and all below it, in bytes; a page that several
/// processes share is counted once, in parts (PSS).
fn resident(root: u32) -> u64 {
    let rollup = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"));
    let status = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/status"));
    let field = |text: &str, name: &str| {
        let line = text.lines().find_map(|l| l.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    let mut below: HashMap<u64, Vec<(u32, u64)>> = HashMap::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = entry.file_name().to_string_lossy().parse::<u32>().ok();
        let Some((pid, text)) = pid.and_then(|pid| Some((pid, status(pid).ok()?))) else {
            continue;
        };
        let parent = field(&text, "PPid:").unwrap_or(0);
        let memory = rollup(pid).ok().and_then(|text| field(&text, "Pss:"));
        let memory = memory.unwrap_or(0) << 10;
        below.entry(parent).or_default().push((pid, memory));
    }
    let own = rollup(root).ok().and_then(|text| field(&text, "Pss:"));
    let mut total = own.unwrap_or(0) << 10;
    let mut todo = vec![u64::from(root)];
    while let Some(parent) = todo.pop() {
        for (pid, memory) in below.remove(&parent).unwrap_or_default() {
            total += memory;
            todo.push(u64::from(pid));
        }
    }
    total
}
