//! A server of our own, as anybody starts one: another process, reached over
//! HTTP, whose memory is its own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use assize_executor::Backend;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::args::Host;

/// A running server; dropping it stops it.
pub(super) struct Served {
    child: Child,
    pub(super) url: String,
}

impl Served {
    /// Starts one that takes everything, with its configuration in `dir`.
    pub(super) fn start(host: &Host, dir: &Path) -> Result<Self> {
        let config = dir.join("assize.toml");
        let mut file = std::fs::File::create(&config)?;
        file.write_all(
            b"listen = \"127.0.0.1:0\"\nqueue = 1000000\nbatches = 64\n[host]\nrequire = []\n",
        )?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("serve").arg("--config").arg(&config);
        let paths = [
            ("--guests", &host.guests),
            ("--bin", &host.bin),
            ("--policies", &host.policies),
        ];
        for (name, path) in paths {
            if let Some(path) = path {
                command.arg(name).arg(path);
            }
        }
        if let Some(slots) = host.slots {
            command.arg("--slots").arg(slots.to_string());
        }
        for (name, set) in [("--best-effort", host.best_effort), ("--cold", host.cold)] {
            if set {
                command.arg(name);
            }
        }
        command
            .env("ASSIZE_LOG", "error")
            .stdin(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let stderr = child.stderr.take().context("a pipe")?;
        let mut served = Self {
            child,
            url: String::new(),
        };
        let mut said = String::new();
        let mut lines = BufReader::new(stderr).lines();
        for line in lines.by_ref() {
            let line = line?;
            if let Some((_, rest)) = line.split_once("serving on ") {
                served.url = rest.split(' ').next().unwrap_or_default().to_owned();
                // Somebody has to read what else it says.
                std::thread::spawn(move || lines.for_each(drop));
                return Ok(served);
            }
            said.push_str(&line);
            said.push('\n');
        }
        bail!("the server did not start:\n{said}")
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Languages and the backends they run on.
    pub(super) fn languages(&self) -> Result<Vec<(String, Backend)>> {
        let mut answer = ureq::get(format!("{}/v1/runtimes", self.url)).call()?;
        let answer: Value = serde_json::from_str(&answer.body_mut().read_to_string()?)?;
        let listed = answer["runtimes"].as_array().or(answer.as_array());
        let listed = listed.context("a list of runtimes")?;
        let pair = |r: &Value| {
            let backend = match r["backend"].as_str()? {
                "wasi" => Backend::Wasi,
                _ => Backend::Native,
            };
            Some((r["language"].as_str()?.to_owned(), backend))
        };
        Ok(listed.iter().filter_map(pair).collect())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Ok(pid) = i32::try_from(self.child.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        let _ = self.child.wait();
    }
}
