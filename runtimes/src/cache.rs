//! What compiles came to, kept in memory by everything they depend on.
//!
//! Bounded by bytes. When it is full, what was asked for once goes before what
//! was asked for again (quick_cache: Clock-PRO, much like S3-FIFO), so a
//! tenant who sends ten thousand programs once does not push out another's
//! checker. Artefacts are held as plain memory and sealed anew for each case:
//! ten thousand descriptors would be more than a process may have.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use assize_executor::Fault;
use quick_cache::sync::{Cache as Entries, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, Lifecycle, OptionsBuilder, Weighter};

use crate::compile::Compiled;

/// Bytes that the cache may hold unless something else is asked for.
pub const CACHE_BYTES: u64 = 256 << 20;

/// What an entry takes beside what the compiler made and printed: its key, its
/// place in the tables, what is known of its run.
const OVERHEAD: u64 = 1024;

/// An entry's usual size, from which the tables' first size is estimated.
const USUAL: u64 = 32 << 10;

pub(crate) type Key = [u8; 32];

/// The cache. All methods may be called at once.
pub(crate) struct Cache {
    entries: Entries<Key, Entry, Bytes, DefaultHashBuilder, Counting>,
    hits: AtomicU64,
    misses: AtomicU64,
    evictions: Arc<AtomicU64>,
}

/// What those who wait for one compile are told.
#[derive(Clone)]
enum Entry {
    /// This came of it.
    Kept(Arc<Compiled>),
    /// What came of it is not for others: each compiles for itself, at once.
    /// Gone as soon as they know.
    NotKept,
}

/// Figures of a cache since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Builds that took what another compile had made, or was making.
    pub hits: u64,
    /// Builds that compiled.
    pub misses: u64,
    /// Entries that had to make room.
    pub evictions: u64,
    /// Entries there are.
    pub entries: u64,
    /// Bytes they take.
    pub bytes: u64,
    /// Bytes they may take.
    pub capacity: u64,
}

#[derive(Clone)]
struct Bytes;

impl Weighter<Key, Entry> for Bytes {
    fn weight(&self, _: &Key, entry: &Entry) -> u64 {
        match entry {
            Entry::Kept(compiled) => weight(compiled),
            // Never in the way of anything, nor pushed out before it was seen.
            Entry::NotKept => 0,
        }
    }
}

fn weight(compiled: &Compiled) -> u64 {
    let outcome = &compiled.report.outcome;
    let printed = outcome.stdout.data.len() + outcome.stderr.data.len();
    let made = compiled.artefact.as_ref().map_or(0, |a| a.len());
    OVERHEAD + printed as u64 + made as u64
}

#[derive(Clone)]
struct Counting(Arc<AtomicU64>);

impl Lifecycle<Key, Entry> for Counting {
    type RequestState = <DefaultLifecycle<Key, Entry> as Lifecycle<Key, Entry>>::RequestState;

    fn on_evict(&self, _: &mut Self::RequestState, _: Key, _: Entry) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Cache").field(&self.stats()).finish()
    }
}

impl Cache {
    /// An empty one that holds at most so many bytes; none for 0.
    pub(crate) fn new(capacity: u64) -> Option<Self> {
        let expected = usize::try_from(capacity / USUAL).unwrap_or(usize::MAX);
        let options = OptionsBuilder::new()
            // One: each shard would hold its own part only, and no large entry.
            .shards(1)
            .estimated_items_capacity(expected.clamp(16, 1 << 20))
            .weight_capacity(capacity)
            .build()
            .ok()?;
        let evictions = Arc::new(AtomicU64::new(0));
        let lifecycle = Counting(Arc::clone(&evictions));
        (capacity > 0).then(|| Self {
            entries: Entries::with_options(
                options,
                Bytes,
                DefaultHashBuilder::default(),
                lifecycle,
            ),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            evictions,
        })
    }

    /// What is kept under this key, or what `compile` comes to, and whether it
    /// was there already. `compile` also says whether it may be kept.
    ///
    /// Whoever asks while somebody compiles the same waits for that; if that
    /// one goes away, one of those who wait takes its place.
    pub(crate) async fn obtain(
        &self,
        key: Key,
        compile: impl AsyncFnOnce() -> Result<(Compiled, bool), Fault>,
    ) -> Result<(Arc<Compiled>, bool), Fault> {
        let guard = match self.entries.get_value_or_guard_async(&key).await {
            Ok(Entry::Kept(compiled)) => {
                self.hits.fetch_add(1, Ordering::Relaxed);
                return Ok((compiled, true));
            }
            Ok(Entry::NotKept) => None,
            Err(guard) => Some(guard),
        };
        self.misses.fetch_add(1, Ordering::Relaxed);
        let made = compile().await;
        let (made, entry) = match made {
            Ok((compiled, keep)) => {
                let compiled = Arc::new(compiled);
                let keep = keep && weight(&compiled) <= self.entries.capacity();
                let entry = keep.then(|| Entry::Kept(Arc::clone(&compiled)));
                (Ok((compiled, false)), entry)
            }
            Err(fault) => (Err(fault), None),
        };
        if let Some(guard) = guard {
            let kept = entry.is_some();
            // Refused only when the place was cleared meanwhile: then nothing
            // is kept.
            let _ = guard.insert(entry.unwrap_or(Entry::NotKept));
            if !kept {
                let told = |entry: &Entry| matches!(entry, Entry::NotKept);
                self.entries.remove_if(&key, told);
            }
        }
        made
    }

    /// Its figures now.
    pub(crate) fn stats(&self) -> CacheStats {
        CacheStats {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            evictions: self.evictions.load(Ordering::Relaxed),
            entries: self.entries.len() as u64,
            bytes: self.entries.weight(),
            capacity: self.entries.capacity(),
        }
    }
}

#[cfg(test)]
#[path = "cache/tests.rs"]
mod tests;
