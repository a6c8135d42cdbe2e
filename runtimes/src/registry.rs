//! All runtimes of this host, and which one serves a request.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use assize_executor::{Backend, Executor};
use assize_policies::Profile;
use serde::{Deserialize, Serialize};

use crate::build::Program;
use crate::detect;
use crate::manifest::{self, Manifest, Overhead};
use crate::toolchain::Toolchain;

/// Version of the modules that are taken as they are: WebAssembly's binary
/// format, and the interface they may import.
const WASM_VERSION: &str = "1.0, wasi_snapshot_preview1";

/// Which backend a request wants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackendChoice {
    /// Ours to choose: where the program looks as if it ran in the WASI worker,
    /// it is tried there first, and what passes there has passed.
    #[default]
    Auto,
    /// A native cell.
    Native,
    /// The WASI worker.
    Wasi,
}

/// One usable runtime.
#[derive(Debug, Clone)]
pub struct Runtime {
    /// What its file says.
    pub manifest: Manifest,
    /// Where its programs run.
    pub backend: Backend,
    /// The program found on the host; empty for a WASI guest.
    pub bin: String,
    /// Its version.
    pub version: String,
    /// Digest of its program.
    pub digest: String,
    /// The programs that compile for it.
    pub tools: Toolchain,
}

impl Runtime {
    /// Of submissions that are the output itself, so that nothing runs.
    fn output() -> Self {
        let manifest = Manifest {
            language: "output".to_owned(),
            title: "Output only: files, and nothing runs".to_owned(),
            aliases: Vec::new(),
            entry: "output.txt".to_owned(),
            extensions: Vec::new(),
            detect: None,
            guest: None,
            compile: None,
            run: manifest::Run {
                argv: Vec::new(),
                env: BTreeMap::new(),
            },
            harness: None,
            warm: None,
            limits: Overhead::default(),
            mounts: Vec::new(),
            without: Vec::new(),
        };
        Self {
            manifest,
            backend: Backend::Native,
            bin: String::new(),
            version: String::new(),
            digest: String::new(),
            tools: Toolchain::default(),
        }
    }

    /// Whether it runs anything at all.
    #[must_use]
    pub fn runs(&self) -> bool {
        !self.manifest.run.argv.is_empty()
    }

    /// Whether its programs are queries on a database.
    #[must_use]
    pub fn queries(&self) -> bool {
        self.manifest.language == "sql"
    }

    /// Whether it can serve function and script tests.
    #[must_use]
    pub fn has_harness(&self) -> bool {
        self.manifest.harness.is_some()
    }

    /// Whether it can look at predictions about its programs.
    #[must_use]
    pub fn has_predictions(&self) -> bool {
        let harness = self.manifest.harness.as_ref();
        harness.is_some_and(|h| !h.predict.is_empty())
    }

    /// Whether test scripts that need live objects can run in the program's
    /// own interpreter.
    #[must_use]
    pub fn has_shared_mode(&self) -> bool {
        let harness = self.manifest.harness.as_ref();
        harness.is_some_and(|h| !h.shared.is_empty())
    }
}

/// A runtime that was looked for and is not usable, with the reason.
#[derive(Debug, Clone, Serialize)]
pub struct Missing {
    /// Its language.
    pub language: String,
    /// Its backend.
    pub backend: Backend,
    /// Why not.
    pub reason: String,
}

/// All runtimes of this host.
#[derive(Debug)]
pub struct Registry {
    runtimes: Vec<Arc<Runtime>>,
    missing: Vec<Missing>,
}

/// A request names a language or backend that is not there.
#[derive(Debug, thiserror::Error)]
pub enum SelectError {
    /// Nobody knows this language.
    #[error("unknown language {0:?}; this server has: {1}")]
    UnknownLanguage(String, String),
    /// Known, but not on this host or not on that backend.
    #[error("language {language:?} is not available on backend {backend}: {reason}")]
    Unavailable {
        /// The language.
        language: String,
        /// The backend asked for.
        backend: &'static str,
        /// Why not.
        reason: String,
    },
}

/// A runtime and how it was chosen.
pub type Selected = Arc<Runtime>;

impl Registry {
    /// Looks for every shipped runtime.
    pub async fn survey(executor: &Executor, policy: &Arc<Profile>) -> Result<Self, String> {
        let mut registry = Self {
            runtimes: Vec::new(),
            missing: Vec::new(),
        };
        for manifest in manifest::native().map_err(|e| e.to_string())? {
            registry
                .look(executor, policy, manifest, Backend::Native)
                .await;
        }
        registry.runtimes.push(Arc::new(Runtime::output()));
        for manifest in manifest::wasi().map_err(|e| e.to_string())? {
            registry
                .look(executor, policy, manifest, Backend::Wasi)
                .await;
        }
        Ok(registry)
    }

    async fn look(
        &mut self,
        executor: &Executor,
        policy: &Arc<Profile>,
        manifest: Manifest,
        backend: Backend,
    ) {
        let found = match (&manifest.detect, &manifest.guest) {
            _ if backend == Backend::Wasi && !executor.has_wasi() => {
                Err("the WASI backend is not set up (see `assize doctor`)".to_owned())
            }
            (Some(detect), _) => detect::find(executor, policy, detect).await,
            (None, Some(guest)) if executor.has_guest(guest) => Ok(detect::Found {
                bin: String::new(),
                version: executor.guest_version(guest).unwrap_or_default(),
                digest: executor.guest_digest(guest).unwrap_or_default(),
            }),
            (None, None) if manifest.compile.as_ref().is_some_and(|c| c.wasm) => {
                Ok(detect::Found {
                    bin: String::new(),
                    version: WASM_VERSION.to_owned(),
                    digest: String::new(),
                })
            }
            (None, _) => Err("its guest is not built (make guests)".to_owned()),
        };
        let tools = match (&found, &manifest.compile) {
            (Ok(found), Some(compile)) => {
                let own = executor.worker_program().filter(|_| compile.wasm);
                Toolchain::find(executor, policy, &found.bin, &compile.tools, own).await
            }
            (_, _) => Toolchain::default(),
        };
        match found {
            Ok(found) => self.runtimes.push(Arc::new(Runtime {
                manifest,
                backend,
                bin: found.bin,
                version: found.version,
                digest: found.digest,
                tools,
            })),
            Err(reason) => {
                self.missing.push(Missing {
                    language: manifest.language,
                    backend,
                    reason,
                });
            }
        }
    }

    /// Every usable runtime.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Runtime>> {
        self.runtimes.iter()
    }

    /// What was looked for and is not there.
    #[must_use]
    pub fn missing(&self) -> &[Missing] {
        &self.missing
    }

    /// What tries a program of `runtime` first where the choice is ours: an
    /// interpreter that is already awake, unless the program needs what is not
    /// there.
    #[must_use]
    pub fn quick(&self, runtime: &Runtime, program: &Program) -> Option<Arc<Runtime>> {
        let serves = |r: &&Arc<Runtime>| {
            r.backend == Backend::Wasi
                && r.manifest.guest.is_some()
                && r.manifest.language == runtime.manifest.language
        };
        let quick = self.runtimes.iter().find(serves)?;
        let fits = runtime.backend == Backend::Native && quick.manifest.suits(program);
        fits.then(|| Arc::clone(quick))
    }

    /// The runtime for a language on a backend.
    pub fn select(&self, language: &str, backend: BackendChoice) -> Result<Selected, SelectError> {
        let called =
            |m: &Manifest| m.language == language || m.aliases.iter().any(|a| a == language);
        let native = |r: &Arc<Runtime>| r.backend == Backend::Native && called(&r.manifest);
        let wanted = match backend {
            BackendChoice::Native => Backend::Native,
            BackendChoice::Wasi => Backend::Wasi,
            BackendChoice::Auto if self.runtimes.iter().any(native) => Backend::Native,
            BackendChoice::Auto => {
                let wasi = |r: &Arc<Runtime>| r.backend == Backend::Wasi && called(&r.manifest);
                match self.runtimes.iter().any(wasi) {
                    true => Backend::Wasi,
                    false => Backend::Native,
                }
            }
        };
        let found = self
            .runtimes
            .iter()
            .find(|r| r.backend == wanted && called(&r.manifest));
        if let Some(runtime) = found {
            return Ok(Arc::clone(runtime));
        }
        let backend = match wanted {
            Backend::Native => "native",
            Backend::Wasi => "wasi",
        };
        if let Some(missing) = self
            .missing
            .iter()
            .find(|m| m.backend == wanted && m.language == language)
        {
            let (language, reason) = (language.to_owned(), missing.reason.clone());
            return Err(SelectError::Unavailable {
                language,
                backend,
                reason,
            });
        }
        if self.runtimes.iter().any(|r| called(&r.manifest)) {
            let reason = "no runtime of this backend runs it".to_owned();
            return Err(SelectError::Unavailable {
                language: language.to_owned(),
                backend,
                reason,
            });
        }
        let names: BTreeSet<&str> = self
            .runtimes
            .iter()
            .map(|r| r.manifest.language.as_str())
            .collect();
        let names = names.into_iter().collect::<Vec<_>>().join(", ");
        Err(SelectError::UnknownLanguage(language.to_owned(), names))
    }
}
