//! The directory of WASI guests: whose it is, and what is written in it.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::outcome::Fault;
use crate::spawn::host;

/// What is written beside the guests, read while this process may.
#[derive(Debug, Clone, Default)]
pub(crate) struct Guests {
    /// Versions by guest.
    pub(crate) versions: BTreeMap<String, String>,
    /// `sha256:` digests by guest.
    pub(crate) digests: BTreeMap<String, String>,
}

impl Guests {
    pub(crate) fn read(dir: &Path) -> Self {
        let mut found = Self::default();
        let sums = std::fs::read_to_string(dir.join("SHA256SUMS")).unwrap_or_default();
        for line in sums.lines() {
            let mut words = line.split_whitespace();
            let (Some(hex), Some(file)) = (words.next(), words.next()) else {
                continue;
            };
            let Some(name) = file.strip_suffix(".cwasm") else {
                continue;
            };
            found
                .digests
                .insert(name.to_owned(), format!("sha256:{hex}"));
            if let Ok(version) = std::fs::read_to_string(dir.join(format!("{name}.version"))) {
                found
                    .versions
                    .insert(name.to_owned(), version.trim().to_owned());
            }
        }
        found
    }
}

/// Refuses guests that somebody else could put other code into. The list of
/// checksums lies among them, so it proves nothing against who can write there.
/// Ours are root's, this user's, or those of whoever owns the worker's program,
/// who has no need of guests to run what he likes.
pub(crate) fn only_ours(worker: &Path, guests: &Path) -> Result<(), Fault> {
    let look = |path: &Path| {
        std::fs::metadata(path).map_err(|e| Fault::Host(format!("{}: {e}", path.display())))
    };
    let ours = [0, nix::unistd::geteuid().as_raw(), look(worker)?.uid()];
    let names = std::fs::read_dir(guests).map_err(host)?;
    let files = names.flatten().map(|entry| entry.path());
    for path in std::iter::once(guests.to_owned()).chain(files) {
        let meta = look(&path)?;
        if !ours.contains(&meta.uid()) || meta.mode() & 0o022 != 0 {
            let (path, mode) = (path.display(), meta.mode() & 0o7777);
            return Err(Fault::Host(format!(
                "{path} (owner {}, mode {mode:o}) holds code that others may write: \
                 make it root's and `chmod go-w`",
                meta.uid()
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn guests_that_others_may_write_are_refused() {
        let dir = std::env::temp_dir().join(format!("assize-guests-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let (worker, code) = (dir.join("worker"), dir.join("python.cwasm"));
        for path in [&worker, &code] {
            std::fs::write(path, "code").unwrap();
        }
        let mode = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        let checked = || only_ours(&worker, &dir).map_err(|fault| fault.to_string());
        for path in [dir.as_path(), &worker, &code] {
            mode(path, 0o755);
        }
        assert_eq!(checked(), Ok(()));
        for (path, bad) in [(code.as_path(), 0o666), (&code, 0o664), (&dir, 0o777)] {
            mode(path, bad);
            assert!(checked().unwrap_err().contains("others may write"));
            mode(path, 0o755);
        }
        if nix::unistd::geteuid().is_root() {
            std::os::unix::fs::chown(&code, Some(65_534), None).unwrap();
            assert!(checked().unwrap_err().contains("owner 65534"));
        }
        std::fs::remove_dir_all(dir).unwrap();
    }
}
