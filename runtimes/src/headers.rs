//! Headers that are compiled ahead: a directory of GCC's precompiled headers,
//! which cells see read-only.
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

use assize_executor::{End, Executor, FileSource, Outcome, Pack, Plan};
use assize_policies::{Limits, Profile};
use sha2::{Digest, Sha256};

use crate::compile::plan;
use crate::digest::{Fields, hex};
use crate::registry::{Registry, Runtime};
use crate::toolchain::Stamp;

/// Where cells see the directory.
pub const HEADERS: &str = "/assize/headers";

/// Changes with what is made.
const FORMAT: u64 = 1;

/// Most bytes of a precompiled header (GCC 12: 118 MiB), of the text it is
/// made of, and of the disk that making it takes.
const MADE_BYTES: u64 = 512 << 20;
const TEXT_BYTES: u64 = 64 << 20;
const DISK_BYTES: u64 = 1 << 30;

/// What a file is called while it is written, and how old it is when nobody
/// writes it any more.
const UNFINISHED: &str = ".new-";
const ABANDONED: Duration = Duration::from_secs(600);

/// A program that includes the header and nothing else.
const PROBE: &str = "probe.cpp";

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
    /// Its name, as programs include it.
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
            let Some((header, flags)) = wanted(runtime) else {
                continue;
            };
            let bench = Bench {
                executor,
                policy,
                runtime,
                header,
                flags,
            };
            let stamp = runtime.tools.stamp();
            let (options, made) = match bench.ready(&self.dir, &self.own).await {
                Ok(_) if runtime.tools.stamp() != stamp => {
                    (Vec::new(), Err("the compiler changed meanwhile".to_owned()))
                }
                Ok((options, made)) => (options, Ok(made)),
                Err(why) => (Vec::new(), Err(why)),
            };
            let mut ready = self.ready.write().unwrap_or_else(PoisonError::into_inner);
            ready.insert(runtime.manifest.language.clone(), Ready { options, stamp });
            drop(ready);
            all.push(Precompiled {
                language: runtime.manifest.language.clone(),
                header: header.to_owned(),
                made,
            });
        }
        all
    }
}

/// The header that a runtime wants precompiled, and its flags.
fn wanted(runtime: &Runtime) -> Option<(&str, &[String])> {
    let compile = runtime.manifest.compile.as_ref()?;
    Some((compile.precompile.as_deref()?, &compile.flags))
}

/// What makes one header.
struct Bench<'a> {
    executor: &'a Executor,
    policy: &'a Arc<Profile>,
    runtime: &'a Runtime,
    header: &'a str,
    flags: &'a [String],
}

impl Bench<'_> {
    /// The options that use it, and whether it had to be made.
    async fn ready(
        &self,
        dir: &Path,
        own: &Mutex<BTreeSet<PathBuf>>,
    ) -> Result<(Vec<String>, bool), String> {
        let text = self.run(&["-E", "-dD", "-o", "text.ii", PROBE]).await?;
        let text = collected(text, "text.ii")?;
        let source = source(&text, self.header)
            .ok_or_else(|| format!("{} does not include a file of that name", self.header))?;
        let tools = self.runtime.tools.contents().map_err(|e| e.to_string())?;
        let mut fields = Fields::default();
        fields.numbers(&[FORMAT]);
        fields.bytes(&tools);
        fields.text(&self.runtime.version);
        fields.texts(self.flags.iter().map(String::as_str));
        fields.texts([self.header, &source].into_iter());
        fields.bytes(&Sha256::digest(&text));
        let name = hex(&fields.digest());
        let file = dir.join(&name).join(format!("{}.gch", self.header));
        let own = || own.lock().unwrap_or_else(PoisonError::into_inner);
        let ours = own().contains(&file) && file.is_file();
        let made = !ours && !believed(dir, &file);
        if made {
            let compiled = self
                .run(&["-x", "c++-header", "-o", "made.gch", &source])
                .await?;
            let data = collected(compiled, "made.gch")?;
            install(dir, &file, &data).map_err(|e| format!("{}: {e}", file.display()))?;
            forget_others(dir, &name);
            own().insert(file);
        }
        let options = vec!["-isystem".to_owned(), format!("{HEADERS}/{name}")];
        self.prove(&options).await?;
        Ok((options, made))
    }

    /// GCC says nothing when it passes a precompiled header over, so it is
    /// asked to: `! file` in what `-H` prints is one that it took.
    async fn prove(&self, options: &[String]) -> Result<(), String> {
        let mut arguments: Vec<&str> = options.iter().map(String::as_str).collect();
        arguments.extend(["-H", "-Winvalid-pch", "-fsyntax-only", PROBE]);
        let outcome = self.run(&arguments).await?;
        let said = String::from_utf8_lossy(&outcome.stderr.data).into_owned();
        match said.lines().any(|line| line.starts_with("! ")) {
            true => Ok(()),
            false => Err(format!(
                "the compiler does not take it: {}",
                said.lines().next().unwrap_or("it says nothing")
            )),
        }
    }

    /// One run of the compiler with its flags and these arguments.
    async fn run(&self, arguments: &[&str]) -> Result<Outcome, String> {
        let probe = FileSource {
            path: PROBE.to_owned(),
            data: format!("#include <{}>\n", self.header).into_bytes(),
            executable: false,
        };
        let pack = Pack::new(&[probe]).map_err(|e| e.to_string())?;
        let bin = std::iter::once(self.runtime.bin.clone());
        let argv = bin
            .chain(self.flags.iter().cloned())
            .chain(arguments.iter().map(|a| (*a).to_owned()));
        let output = arguments.iter().skip_while(|a| **a != "-o").nth(1);
        let most = match output {
            Some(&"text.ii") => TEXT_BYTES,
            Some(_) | None => MADE_BYTES,
        };
        let mut plan: Plan = plan(
            argv.collect(),
            Some(pack),
            (output.unwrap_or(&"none"), most),
            self.policy,
        );
        let roomy = Limits {
            cpu_ms: self.policy.ceiling.cpu_ms,
            wall_ms: self.policy.ceiling.wall_ms,
            disk_bytes: DISK_BYTES,
            memory_bytes: DISK_BYTES * 2,
            ..self.policy.limits
        };
        plan.limits = roomy.meet(self.policy.ceiling);
        let outcome = self.executor.run(plan).await.map_err(|e| e.to_string())?;
        match outcome.end {
            End::Exited(0) => Ok(outcome),
            end => {
                let said = String::from_utf8_lossy(&outcome.stderr.data);
                let line = said.lines().next().unwrap_or_default();
                Err(format!("the compiler ended with {end:?}: {line}"))
            }
        }
    }
}

fn collected(mut outcome: Outcome, name: &str) -> Result<Vec<u8>, String> {
    match outcome.files.remove(name) {
        Some(Ok(data)) => Ok(data),
        Some(Err(why)) => Err(format!("{name}: {why:?}")),
        None => Err(format!("{name} was not made")),
    }
}

/// The path of the header, from the marks that the preprocessor leaves:
/// `# 1 "/usr/include/…" 1`.
fn source(text: &[u8], header: &str) -> Option<String> {
    let end = format!("/{header}");
    text.split(|b| *b == b'\n')
        .filter_map(|line| std::str::from_utf8(line).ok()?.strip_prefix("# "))
        .filter_map(|mark| mark.split('"').nth(1))
        .find(|path| path.starts_with('/') && path.ends_with(&end))
        .map(str::to_owned)
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

/// Headers of other compilers or flags, 100 MB each, that this directory held.
fn forget_others(dir: &Path, name: &str) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let other = entry.file_name().to_string_lossy().into_owned();
        let digest = other.len() == 64 && other.bytes().all(|b| b.is_ascii_hexdigit());
        if digest && other != name {
            let _ = fs::remove_dir_all(entry.path());
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
    fn the_headers_path_is_found_in_what_the_preprocessor_leaves() {
        let text = b"# 0 \"probe.cpp\"\n#define __x \"/a/bits/stdc++.h\"\n# 1 \"/usr/include/c++/12/bits/stdc++.h\" 1 3\n";
        let found = source(text, "bits/stdc++.h");
        assert_eq!(found.as_deref(), Some("/usr/include/c++/12/bits/stdc++.h"));
        assert_eq!(source(text, "vector"), None);
    }

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
