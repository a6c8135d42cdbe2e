//! The files that a compile depends on beside its sources: whether they are
//! still those of before.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use assize_executor::Executor;
use assize_policies::Profile;
use sha2::{Digest, Sha256};

use crate::detect::ask;
use crate::digest::Fields;

/// Where compilers find the programs that they call by a bare name.
const PATH: [&str; 3] = ["/usr/local/bin", "/usr/bin", "/bin"];

/// What changes with every package that is installed, and what somebody
/// changes who installs by hand. Headers and libraries are thousands of files;
/// these say whether to look at any.
const WITNESSES: [&str; 14] = [
    "/var/lib/dpkg/status",
    "/var/lib/rpm/rpmdb.sqlite",
    "/lib/apk/db/installed",
    "/var/lib/pacman/local",
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/usr/include",
    "/usr/lib",
    "/usr/lib64",
    "/usr/lib/gcc",
    "/usr/lib/jvm",
    "/usr/local/include",
    "/usr/local/lib",
    "/usr/local/bin",
];

/// The programs of a compiler, by path.
#[derive(Debug, Clone, Default)]
pub struct Toolchain {
    tools: Vec<PathBuf>,
}

/// What the files were like at one moment: equal stamps, the same files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp(pub(crate) [u8; 32]);

impl Toolchain {
    /// Asks a compiler, in a cell, which programs it starts. One that it does
    /// not know it calls by its bare name.
    pub(crate) async fn find(
        executor: &Executor,
        policy: &Arc<Profile>,
        bin: &str,
        names: &[String],
        own: Option<&Path>,
    ) -> Self {
        let mut tools: Vec<PathBuf> = own.map(Path::to_owned).into_iter().collect();
        if !bin.is_empty() {
            tools.push(bin.into());
        }
        for name in names {
            let argv = vec![bin.to_owned(), format!("-print-prog-name={name}")];
            let told = ask(executor, policy, argv).await.unwrap_or_default();
            let told = told.trim();
            let path = match told.starts_with('/') {
                true => Some(PathBuf::from(told)),
                false => PATH
                    .iter()
                    .map(|d| Path::new(d).join(name))
                    .find(|p| p.exists()),
            };
            tools.extend(path);
        }
        Self { tools }
    }

    /// What its files are like now: some microseconds.
    pub(crate) fn stamp(&self) -> Stamp {
        let mut fields = Fields::default();
        let witnesses = WITNESSES.iter().map(Path::new);
        for path in self.tools.iter().map(PathBuf::as_path).chain(witnesses) {
            fields.bytes(path.as_os_str().as_encoded_bytes());
            match std::fs::metadata(path) {
                Ok(meta) => fields.numbers(&look(&meta)),
                Err(_) => fields.numbers(&[]),
            }
        }
        Stamp(fields.digest())
    }

    /// Digest of what its programs are, read in full: for what outlives this
    /// process, where times of files prove little.
    pub(crate) fn contents(&self) -> std::io::Result<[u8; 32]> {
        let mut fields = Fields::default();
        for path in &self.tools {
            fields.bytes(path.as_os_str().as_encoded_bytes());
            fields.bytes(&Sha256::digest(std::fs::read(path)?));
        }
        Ok(fields.digest())
    }
}

/// A file that is replaced is another inode, and one that is written to has
/// another time of change, which nobody can set.
fn look(meta: &Metadata) -> [u64; 7] {
    [
        meta.dev(),
        meta.ino(),
        meta.size(),
        meta.mtime().cast_unsigned(),
        meta.mtime_nsec().cast_unsigned(),
        meta.ctime().cast_unsigned(),
        meta.ctime_nsec().cast_unsigned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_that_is_written_to_or_replaced_is_another_even_with_its_old_times() {
        let dir = std::env::temp_dir().join(format!("assize-tools-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let tool = dir.join("cc1");
        std::fs::write(&tool, "one").unwrap();
        let toolchain = Toolchain {
            tools: vec![tool.clone()],
        };
        let (first, contents) = (toolchain.stamp(), toolchain.contents().unwrap());
        assert_eq!(first, toolchain.stamp());
        let times = std::fs::metadata(&tool).unwrap().modified().unwrap();
        let other = dir.join("other");
        std::fs::write(&other, "two").unwrap();
        std::fs::File::options()
            .write(true)
            .open(&other)
            .unwrap()
            .set_modified(times)
            .unwrap();
        std::fs::rename(&other, &tool).unwrap();
        assert_ne!(first, toolchain.stamp());
        assert_ne!(contents, toolchain.contents().unwrap());
        std::fs::remove_file(&tool).unwrap();
        assert_ne!(first, toolchain.stamp());
        std::fs::remove_dir_all(dir).unwrap();
    }
}
