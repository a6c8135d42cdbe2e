//! Compiles programs, each once.

use std::path::PathBuf;
use std::sync::Arc;

use assize_executor::{Executor, Fault};
use assize_policies::Profile;

use crate::build::{Built, Program};
use crate::cache::{CACHE_BYTES, Cache, CacheStats};
use crate::compile::Recipe;
use crate::headers::{Headers, Precompiled};
use crate::registry::{Registry, Runtime};

/// How programs are compiled on this host.
#[derive(Debug, Clone)]
pub struct Compiling {
    /// Bytes of compiled programs that are kept; 0 for none.
    pub cache_bytes: u64,
    /// The directory of precompiled headers, which cells see as
    /// [`crate::HEADERS`]; none for none.
    pub headers: Option<PathBuf>,
}

impl Default for Compiling {
    fn default() -> Self {
        Self {
            cache_bytes: CACHE_BYTES,
            headers: None,
        }
    }
}

/// Compiles programs in cells, and keeps what came of it.
pub struct Compiler {
    executor: Arc<Executor>,
    policy: Arc<Profile>,
    cache: Option<Cache>,
    headers: Option<Headers>,
}

impl std::fmt::Debug for Compiler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compiler")
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}

impl Compiler {
    /// One that compiles under this policy. It keeps nothing yet.
    #[must_use]
    pub fn new(executor: Arc<Executor>, policy: Arc<Profile>, how: &Compiling) -> Self {
        Self {
            executor,
            policy,
            cache: Cache::new(how.cache_bytes),
            headers: how.headers.clone().map(Headers::new),
        }
    }

    /// Builds a program of this tenant's: takes what the same program, of the
    /// same tenant, was compiled to before, or compiles it in a cell. Programs
    /// of languages that do not compile are ready as they are.
    pub async fn build(
        &self,
        tenant: &str,
        program: &Program,
        runtime: &Arc<Runtime>,
    ) -> Result<Built, Fault> {
        let stamp = runtime.tools.stamp();
        let headers = self.headers.as_ref();
        let options = headers.map_or_else(Vec::new, |h| h.options(runtime, stamp));
        let Some(recipe) = Recipe::new(program, runtime, &options) else {
            return program.ready(runtime);
        };
        let compile = async || {
            let compiled = recipe.run(&self.executor, &self.policy, program).await?;
            // A compiler that was replaced under it may have been half of each.
            let keep = compiled.steady && runtime.tools.stamp() == stamp;
            Ok((compiled, keep))
        };
        let (compiled, cached) = match &self.cache {
            Some(cache) => {
                let key = recipe.key(tenant, program, runtime, stamp, &self.policy);
                cache.obtain(key, compile).await?
            }
            None => (Arc::new(compile().await?.0), false),
        };
        program.finish(runtime, &compiled, cached)
    }

    /// Figures of the cache; none where nothing is kept.
    #[must_use]
    pub fn cache(&self) -> Option<CacheStats> {
        self.cache.as_ref().map(Cache::stats)
    }

    /// Makes ready, or finds, the precompiled headers of every runtime that
    /// has one. Programs compile without them until then.
    pub async fn precompile(&self, registry: &Registry) -> Vec<Precompiled> {
        let Some(headers) = &self.headers else {
            return Vec::new();
        };
        headers.make(&self.executor, &self.policy, registry).await
    }

    /// Whether precompiled headers should be made again, because files of the
    /// compiler are not those of before.
    #[must_use]
    pub fn stale(&self, registry: &Registry) -> bool {
        self.headers.as_ref().is_some_and(|h| h.stale(registry))
    }
}
