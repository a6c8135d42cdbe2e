//! The file that holds the key receipts are signed with.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use anyhow::{Context, Result};
use assize_api::receipt::Signer;

use crate::Usage;

/// What cells see of the host, beside single files of `/etc`: a key does not
/// belong there, whoever may read it.
const SHOWN: [&str; 7] = [
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32",
];

/// The key in this file, which is made when it is not there, readable by its
/// owner only.
pub(crate) fn key(path: &Path) -> Result<Signer> {
    let wrong = |message: &str| Usage(format!("receipts.key_file {}: {message}", path.display()));
    let full = std::path::absolute(path).context("the working directory")?;
    if SHOWN.iter().any(|shown| full.starts_with(shown)) {
        return Err(wrong("cells see that directory; keep the key elsewhere").into());
    }
    match OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
    {
        Ok(mut file) => {
            let signer = Signer::generate()?;
            let written = signer.to_pem().map(|pem| store(&mut file, pem.as_ref()));
            if let Err(e) = written? {
                // Half a key would stop the next start.
                let _ = std::fs::remove_file(path);
                return Err(wrong(&e.to_string()).into());
            }
            // As it will be at the next start, when it is not ephemeral.
            read(path).map_err(|message| wrong(&message).into())
        }
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {
            read(path).map_err(|message| wrong(&message).into())
        }
        Err(e) => Err(wrong(&e.to_string()).into()),
    }
}

fn store(file: &mut File, pem: &[u8]) -> std::io::Result<()> {
    file.write_all(pem)?;
    file.sync_all()
}

/// Reads a key that nobody else may read.
fn read(path: &Path) -> Result<Signer, String> {
    let file = File::open(path).map_err(|e| e.to_string())?;
    let about = file.metadata().map_err(|e| e.to_string())?;
    if !about.is_file() {
        return Err("is not a file".to_owned());
    }
    if about.mode() & 0o077 != 0 {
        return Err(format!(
            "others may use it (mode {:o}): chmod 600",
            about.mode() & 0o777
        ));
    }
    let mut text = String::new();
    let bounded = file.take(64 << 10).read_to_string(&mut text);
    bounded.map_err(|e| e.to_string())?;
    Signer::from_pem(&text).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use super::*;

    /// A path of our own, removed in the end.
    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            let name = format!("assize-key-{}-{name}", std::process::id());
            Self(std::env::temp_dir().join(name))
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    fn refusal(path: &Path) -> String {
        key(path).unwrap_err().to_string()
    }

    #[test]
    fn a_key_is_made_once_for_its_owner_only_and_stays() {
        let place = Place::new("made");
        let made = key(&place.0).unwrap();
        assert_eq!(std::fs::metadata(&place.0).unwrap().mode() & 0o777, 0o600);
        let again = key(&place.0).unwrap();
        assert_eq!(made.public(), again.public());
        assert!(!made.ephemeral() && !again.ephemeral());
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let place = Place::new("open");
        key(&place.0).unwrap();
        for mode in [0o640, 0o604, 0o620] {
            std::fs::set_permissions(&place.0, PermissionsExt::from_mode(mode)).unwrap();
            assert!(refusal(&place.0).contains("chmod 600"));
        }
    }

    #[test]
    fn what_is_no_key_is_refused_and_kept() {
        let place = Place::new("text");
        std::fs::write(&place.0, "my secret").unwrap();
        std::fs::set_permissions(&place.0, PermissionsExt::from_mode(0o600)).unwrap();
        assert!(refusal(&place.0).contains("PKCS#8"));
        assert_eq!(std::fs::read_to_string(&place.0).unwrap(), "my secret");
    }

    #[test]
    fn a_key_is_not_kept_where_cells_look() {
        for path in ["/usr/lib/assize/key.pem", "/lib/key.pem"] {
            assert!(refusal(Path::new(path)).contains("cells see"), "{path}");
        }
        assert!(refusal(Path::new("/nowhere/at/all/key.pem")).contains("key_file"));
    }
}
