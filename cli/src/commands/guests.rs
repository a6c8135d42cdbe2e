//! `assize guests`: the interpreters that run inside the WASI worker.

use std::fs::{self, DirBuilder, File};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use include_dir::{Dir, DirEntry, include_dir};
use serde_json::json;

use crate::args::{GuestsBuild, GuestsCommand, Host, Json};
use crate::{Usage, setup, show, status};

/// What the guests are built with, as in the tree this binary was built from.
static SCRIPTS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../runtimes/wasi");
static HARNESS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../runtimes/guest");

const SUMS: &str = "SHA256SUMS";

pub(crate) fn guests(host: &Host, command: &GuestsCommand) -> Result<u8> {
    match command {
        GuestsCommand::List(args) => list(host, args),
        GuestsCommand::Build(args) => build(host, args),
    }
}

/// A guest as its directory describes it.
struct Guest {
    name: String,
    version: String,
    /// SHA-256 of its native code, in hexadecimal.
    digest: String,
    /// Of all its files, in bytes.
    size: u64,
}

fn installed(dir: &Path) -> Result<Vec<Guest>> {
    let sums = dir.join(SUMS);
    let sums = fs::read_to_string(&sums).with_context(|| format!("{}", sums.display()))?;
    let mut guests: Vec<Guest> = Vec::new();
    for (digest, file) in sums.lines().filter_map(|line| line.split_once("  ")) {
        // NAME.cwasm; NAME.fuel.cwasm and NAME.tar belong to it.
        let Some(name) = file.strip_suffix(".cwasm").filter(|n| !n.contains('.')) else {
            continue;
        };
        let size =
            |suffix| fs::metadata(dir.join(format!("{name}.{suffix}"))).map_or(0, |m| m.len());
        let version = fs::read_to_string(dir.join(format!("{name}.version"))).unwrap_or_default();
        guests.push(Guest {
            name: name.to_owned(),
            version: version.trim().to_owned(),
            digest: digest.to_owned(),
            size: ["cwasm", "fuel.cwasm", "tar"].map(size).iter().sum(),
        });
    }
    guests.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(guests)
}

fn list(host: &Host, args: &Json) -> Result<u8> {
    let bin = setup::bin(host)?;
    let dir = setup::guests(host, &bin);
    let guests = dir
        .as_deref()
        .map(installed)
        .transpose()?
        .unwrap_or_default();
    if args.json {
        let guests: Vec<_> = guests
            .iter()
            .map(|g| json!({"name": g.name, "version": g.version, "digest": g.digest, "size": g.size}))
            .collect();
        println!("{}", json!({"directory": dir, "guests": guests}));
        return Ok(status::DONE);
    }
    let Some(dir) = dir else {
        println!("No guests are installed; `assize guests build` builds them.");
        return Ok(status::DONE);
    };
    let mut table = show::table(&["guest", "version", "size", "digest"]);
    for guest in &guests {
        table.add_row([
            guest.name.as_str().into(),
            guest.version.as_str().into(),
            show::right(show::size(guest.size)),
            guest.digest.get(..16).unwrap_or_default().into(),
        ]);
    }
    println!("{table}\n{}", dir.display());
    Ok(status::DONE)
}

fn build(host: &Host, args: &GuestsBuild) -> Result<u8> {
    let bin = setup::bin(host)?;
    let wasm = bin.join("assize-wasm");
    if !wasm.exists() {
        let message = format!("{} does not exist; it compiles the guests", wasm.display());
        return Err(Usage(message).into());
    }
    let out = args
        .out
        .clone()
        .or_else(|| host.guests.clone())
        .unwrap_or_else(|| bin.join("guests"));
    let scripts = Scripts::find(&bin)?;
    let mut command = Command::new("bash");
    command
        .arg(scripts.root().join("runtimes/wasi/build.sh"))
        .arg(std::path::absolute(&out)?)
        .args(&args.names)
        .env("ASSIZE_WASM", &wasm)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let start = Instant::now();
    let mut child = command.spawn().context("cannot start bash")?;
    let steps = child.stdout.take().context("no output")?;
    for step in BufReader::new(steps).lines() {
        let step = step?;
        let step = show::harmless(step.strip_prefix("guests: ").unwrap_or(&step));
        eprintln!("{:>5} s  {step}", start.elapsed().as_secs());
    }
    let ended = child.wait()?;
    ensure!(ended.success(), "building the guests failed ({ended})");
    if args.json {
        let guests = installed(&out)?.into_iter().map(|g| g.name);
        println!(
            "{}",
            json!({"directory": out, "guests": guests.collect::<Vec<_>>()})
        );
    }
    Ok(status::DONE)
}

/// The scripts: those of the tree that the binary lies in, else its own,
/// unpacked for as long as this lives.
enum Scripts {
    Tree(PathBuf),
    Unpacked(PathBuf),
}

impl Scripts {
    fn find(bin: &Path) -> Result<Self> {
        // Not the current directory: anybody may have written what lies there.
        let here = |dir: &&Path| dir.join("runtimes/wasi/build.sh").exists();
        if let Some(tree) = bin.canonicalize()?.ancestors().take(4).find(here) {
            return Ok(Self::Tree(tree.to_owned()));
        }
        let root = std::env::temp_dir().join(format!("assize-guests-{}", std::process::id()));
        // It must not have existed: nobody else can then have written in it.
        DirBuilder::new()
            .mode(0o700)
            .create(&root)
            .with_context(|| format!("cannot create {}", root.display()))?;
        let unpacked = Self::Unpacked(root);
        unpack(&SCRIPTS, &unpacked.root().join("runtimes/wasi"))?;
        unpack(&HARNESS, &unpacked.root().join("runtimes/guest"))?;
        Ok(unpacked)
    }

    fn root(&self) -> &Path {
        match self {
            Self::Tree(root) | Self::Unpacked(root) => root,
        }
    }
}

impl Drop for Scripts {
    fn drop(&mut self) {
        if let Self::Unpacked(root) = self {
            let _ = fs::remove_dir_all(root);
        }
    }
}

/// Writes `from` below `to`. What lies there for no build (byte code of a test
/// run) changes nothing: the scripts name what they read.
fn unpack(from: &Dir<'_>, to: &Path) -> Result<()> {
    for entry in from.entries() {
        let path = to.join(entry.path());
        match entry {
            DirEntry::Dir(dir) => unpack(dir, to)?,
            DirEntry::File(file) => {
                fs::create_dir_all(path.parent().unwrap_or(to))?;
                fs::write(&path, file.contents())?;
                File::open(&path)?.set_permissions(fs::Permissions::from_mode(0o600))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_binary_carries_what_the_guests_are_built_with() {
        let scripts = Scripts::find(Path::new("/")).unwrap();
        let root = scripts.root().to_owned();
        for file in [
            "wasi/build.sh",
            "wasi/python/guest.sh",
            "wasi/python/reactor.c",
            "wasi/javascript/guest.sh",
            "guest/python/plain.py",
        ] {
            assert!(root.join("runtimes").join(file).is_file(), "{file}");
        }
        drop(scripts);
        assert!(!root.exists());
    }

    #[test]
    fn a_guest_is_its_native_code_and_what_belongs_to_it() {
        let dir = std::env::temp_dir().join(format!("assize-guests-test-{}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        let sums = "aa  python.cwasm\nbb  python.fuel.cwasm\ncc  python.tar\n";
        fs::write(dir.join(SUMS), sums).unwrap();
        fs::write(dir.join("python.cwasm"), "12345").unwrap();
        fs::write(dir.join("python.tar"), "12").unwrap();
        fs::write(dir.join("python.version"), "3.13.5\n").unwrap();
        let guests = installed(&dir).unwrap();
        fs::remove_dir_all(&dir).unwrap();
        assert_eq!(guests.len(), 1);
        let guest = &guests[0];
        assert_eq!(
            (
                guest.name.as_str(),
                guest.version.as_str(),
                guest.digest.as_str(),
                guest.size
            ),
            ("python", "3.13.5", "aa", 7)
        );
    }
}
