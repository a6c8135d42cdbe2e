//! What compilers can be given ahead: a directory of GCC's precompiled headers
//! and of the JVM's class-data archives, which cells see read-only.
//!
//! A precompiled header is loaded into every compiler that uses it, so whoever
//! can write one decides what others' programs become. It is therefore made of
//! nothing a tenant sent, by the manifest's compiler and flags, in a cell; it
//! lies under a name that is a digest of the compiler, the flags and all the
//! text it was made of; and one that is there already is believed only where
//! root alone could have written it. Any other is made anew at each start.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use assize_executor::Executor;
use assize_policies::Profile;

use crate::manifest::Precompile;
use crate::registry::{Registry, Runtime};
use crate::toolchain::Stamp;

mod bench;

use bench::Bench;

/// Where cells see the directory.
pub const HEADERS: &str = "/assize/headers";

/// What a file is called while it is written, and how old it is when nobody
/// writes it any more.
const UNFINISHED: &str = ".new-";
const ABANDONED: Duration = Duration::from_secs(600);

/// The directory, and what in it is ready for whom.
#[derive(Debug)]
pub(crate) struct Headers {
    dir: PathBuf,
    ready: RwLock<BTreeMap<String, Ready>>,
    /// Files that this process has made.
    own: Mutex<BTreeSet<PathBuf>>,
}

/// What the last try came to: options, or none where it failed.
#[derive(Debug)]
struct Ready {
    options: Vec<String>,
    /// GCC looks at itself but not at the headers' text before it takes a
    /// precompiled one, so this looks.
    stamp: Stamp,
}

/// What became of one header.
#[derive(Debug)]
pub struct Precompiled {
    /// Whose.
    pub language: String,
    /// What it is: the header's name, as programs include it.
    pub header: String,
    /// Whether it was made now, or stood ready; or why there is none.
    pub made: Result<bool, String>,
}

impl Headers {
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            ready: RwLock::default(),
            own: Mutex::default(),
        }
    }

    /// The options that make a compile use it; none where it is not ready, or
    /// was made of other files than there are now.
    pub(crate) fn options(&self, runtime: &Runtime, stamp: Stamp) -> Vec<String> {
        let ready = self.ready.read().unwrap_or_else(PoisonError::into_inner);
        match ready.get(&runtime.manifest.language) {
            Some(ready) if wanted(runtime).is_some() && ready.stamp == stamp => {
                ready.options.clone()
            }
            Some(_) | None => Vec::new(),
        }
    }

    /// Whether files that they are made of have changed since they were made,
    /// or tried to be.
    pub(crate) fn stale(&self, registry: &Registry) -> bool {
        let ready = self.ready.read().unwrap_or_else(PoisonError::into_inner);
        registry.all().any(|runtime| {
            let tried = ready.get(&runtime.manifest.language).map(|r| r.stamp);
            wanted(runtime).is_some() && tried != Some(runtime.tools.stamp())
        })
    }

    /// Makes what is missing. Blocks its thread while it reads and writes.
    pub(crate) async fn make(
        &self,
        executor: &Executor,
        policy: &Arc<Profile>,
        registry: &Registry,
    ) -> Vec<Precompiled> {
        let mut all = Vec::new();
        for runtime in registry.all() {
            let Some((what, flags)) = wanted(runtime) else {
                continue;
            };
            let bench = Bench {
                executor,
                policy,
                runtime,
                what,
                flags,
            };
            let stamp = runtime.tools.stamp();
            let (options, made) = match self.one(&bench).await {
                Ok(_) if runtime.tools.stamp() != stamp => {
                    (Vec::new(), Err("the compiler changed meanwhile".to_owned()))
                }
                Ok((options, made)) => (options, Ok(made)),
                Err(why) => (Vec::new(), Err(why)),
            };
            let language = runtime.manifest.language.clone();
            let mut ready = self.ready.write().unwrap_or_else(PoisonError::into_inner);
            ready.insert(language.clone(), Ready { options, stamp });
            drop(ready);
            all.push(Precompiled {
                language,
                header: what.name().to_owned(),
                made,
            });
        }
        if all.iter().any(|p| p.made == Ok(true)) {
            self.forget_others();
        }
        all
    }

    /// The options that use it, and whether it had to be made.
    async fn one(&self, bench: &Bench<'_>) -> Result<(Vec<String>, bool), String> {
        let draft = bench.draft().await?;
        let file = self.dir.join(&draft.name).join(&draft.file);
        let own = || self.own.lock().unwrap_or_else(PoisonError::into_inner);
        let ours = own().contains(&file) && file.is_file();
        let made = !ours && !believed(&self.dir, &file);
        if made {
            let data = bench.make(&draft).await?;
            install(&self.dir, &file, &data).map_err(|e| format!("{}: {e}", file.display()))?;
            own().insert(file);
        }
        let options = draft.options();
        bench.prove(&options).await?;
        Ok((options, made))
    }

    /// Removes what was made of other compilers or flags, 100 MB each.
    fn forget_others(&self) {
        let ready = self.ready.read().unwrap_or_else(PoisonError::into_inner);
        for entry in fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let digest = name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit());
            let used = ready
                .values()
                .flat_map(|r| &r.options)
                .any(|o| o.contains(&name));
            if digest && !used {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }
}

/// What a runtime wants made ahead, and its flags.
fn wanted(runtime: &Runtime) -> Option<(&Precompile, &[String])> {
    let compile = runtime.manifest.compile.as_ref()?;
    Some((compile.precompile.as_ref()?, &compile.flags))
}

/// Whether what stands there can only be root's work.
fn believed(dir: &Path, file: &Path) -> bool {
    let roots = |meta: &Metadata| meta.uid() == 0 && meta.mode() & 0o022 == 0;
    let whole = fs::symlink_metadata(file).is_ok_and(|m| m.is_file() && m.len() > 0 && roots(&m));
    let above = file.ancestors().skip(1).take_while(|p| p.starts_with(dir));
    whole
        && above
            .into_iter()
            .all(|p| fs::symlink_metadata(p).is_ok_and(|m| m.is_dir() && roots(&m)))
}

/// Puts a file where cells see it whole or not at all.
fn install(dir: &Path, file: &Path, data: &[u8]) -> io::Result<()> {
    let parent = file.parent().unwrap_or(dir);
    fs::create_dir_all(parent)?;
    forget_unfinished(parent);
    let new = parent.join(format!("{UNFINISHED}{}", std::process::id()));
    // The umask may be tighter than programs in cells, who are others, need.
    for above in parent.ancestors().take_while(|p| *p != dir) {
        fs::set_permissions(above, Permissions::from_mode(0o755))?;
    }
    let placed = fs::write(&new, data)
        .and_then(|()| fs::set_permissions(&new, Permissions::from_mode(0o644)))
        .and_then(|()| fs::rename(&new, file));
    if placed.is_err() {
        let _ = fs::remove_file(&new);
    }
    placed
}

/// What a process that was killed has left here.
fn forget_unfinished(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let modified = entry.metadata().and_then(|m| m.modified());
        let age = modified.ok().and_then(|m| m.elapsed().ok());
        let ours = entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(UNFINISHED.as_bytes());
        if ours && age.is_some_and(|a| a > ABANDONED) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Makes sure of a directory that cells can be shown: whoever they run as must
/// be able to walk to it, and nobody but root and these `owners` may put
/// anything into it. Says why not.
pub fn open_directory(dir: &Path, owners: &[u32]) -> Result<PathBuf, String> {
    let said = |e: io::Error| format!("{}: {e}", dir.display());
    let missing: Vec<&Path> = dir.ancestors().take_while(|p| !p.exists()).collect();
    fs::create_dir_all(dir).map_err(said)?;
    for path in missing.into_iter().filter(|p| !p.as_os_str().is_empty()) {
        fs::set_permissions(path, Permissions::from_mode(0o755)).map_err(said)?;
    }
    let dir = std::path::absolute(dir).map_err(said)?;
    for path in dir.ancestors() {
        let shown = path.display();
        let meta = fs::metadata(path).map_err(|e| format!("{shown}: {e}"))?;
        if !meta.is_dir() || meta.mode() & 0o001 == 0 {
            return Err(format!(
                "{shown} is closed to others, and so to programs in cells"
            ));
        }
        // In /tmp anybody makes files, but nobody renames those of others.
        let shared = meta.mode() & 0o022 != 0 && (path == dir || meta.mode() & 0o1000 == 0);
        let foreign = path == dir && meta.uid() != 0 && !owners.contains(&meta.uid());
        if shared || foreign {
            let (owner, mode) = (meta.uid(), meta.mode() & 0o7777);
            return Err(format!(
                "{shown} (owner {owner}, mode {mode:o}) is open to others"
            ));
        }
    }
    Ok(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_root_alone_could_write_is_believed() {
        let dir = std::env::temp_dir().join(format!("assize-headers-{}", std::process::id()));
        let file = dir.join("a/bits/x.gch");
        fs::create_dir_all(&dir).unwrap();
        install(&dir, &file, b"made").unwrap();
        fs::set_permissions(&dir, Permissions::from_mode(0o755)).unwrap();
        let root = fs::metadata(&file).unwrap().uid() == 0;
        assert_eq!(believed(&dir, &file), root);
        for (path, bad) in [
            (file.as_path(), 0o664),
            (&dir, 0o777),
            (&dir.join("a"), 0o775),
        ] {
            let mode = fs::metadata(path).unwrap().permissions();
            fs::set_permissions(path, Permissions::from_mode(bad)).unwrap();
            assert!(!believed(&dir, &file), "{}", path.display());
            fs::set_permissions(path, mode).unwrap();
        }
        if root {
            std::os::unix::fs::chown(dir.join("a/bits"), Some(65_534), None).unwrap();
            assert!(!believed(&dir, &file));
        }
        assert!(!believed(&dir, &dir.join("a/bits/y.gch")));
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_directory_that_cells_cannot_reach_or_others_can_fill_is_refused() {
        let dir = std::env::temp_dir().join(format!("assize-open-{}", std::process::id()));
        let mine = |dir: &Path| open_directory(dir, &[fs::metadata(dir).unwrap().uid()]);
        let inner = dir.join("inner");
        fs::create_dir_all(&inner).unwrap();
        let mode = |path: &Path, mode| {
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        };
        mode(&dir, 0o755);
        mode(&inner, 0o755);
        assert_eq!(mine(&inner), Ok(inner.clone()));
        for (path, bad, why) in [
            (&inner, 0o775, "open to others"),
            (&dir, 0o777, "open to others"),
            (&dir, 0o700, "closed to others"),
        ] {
            mode(path, bad);
            assert!(mine(&inner).unwrap_err().contains(why), "{bad:o}");
            mode(path, 0o755);
        }
        if fs::metadata(&inner).unwrap().uid() == 0 {
            std::os::unix::fs::chown(&inner, Some(65_534), None).unwrap();
            assert!(open_directory(&inner, &[1000]).is_err());
            assert!(open_directory(&inner, &[65_534]).is_ok());
        }
        fs::remove_dir_all(dir).unwrap();
    }
}
