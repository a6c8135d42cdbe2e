//! Compiled programs, kept for runs that begin with the same source.
//!
//! An interpreter that has parsed and compiled its program may hand the result
//! to the worker, which gives it to the next run of that very source: a test
//! script is the same for every candidate, and a candidate that is run on ten
//! inputs is the same ten times.
//!
//! | import of `assize` | meaning |
//! |---|---|
//! | `code_get(name, name_len, source, source_len) -> i32` | the length of what is kept for that source, or -1: none, hand it over; or -2: none, and none is wanted |
//! | `code_take(ptr, cap) -> i32` | copies it: bytes copied, or -1 |
//! | `code_put(ptr, len) -> i32` | hands it over (`len` 0: there is nothing): 0, or -1 |
//!
//! What is at stake: whoever can put something under another's source decides
//! what that other runs, tests included. So
//!
//! - the key is ours to compute, from the guest's digest, the name and the
//!   whole source, and an instance can put only under the one key that it has
//!   asked for;
//! - it asks before any byte of the program runs, once, and answers before any
//!   byte runs: with the first `code_put` the door is closed, and an
//!   interpreter calls it whatever came of compiling. A program that has taken
//!   over its interpreter finds the door closed;
//! - so bytes under a key come from an instance that had done nothing but
//!   compile that source. A source that subverts the compiler poisons itself;
//! - what a compiler says (warnings) is part of a run: when anything has been
//!   written, nothing is kept;
//! - memory is bounded, and a source seen for the first time costs a hash.
//!
//! Deterministic runs keep nothing: their fuel must not depend on what ran
//! before them. Nor do modules of a submission's own.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest as _, Sha256};
use wasmtime::{Caller, Linker, Result};

use crate::abi::{memory, slice, slice_mut};
use crate::host::Host;

/// All that is kept by a worker.
const MAX_BYTES: usize = 32 << 20;

/// The longest entry.
const MAX_ENTRY: usize = 1 << 20;

/// Sources remembered as seen once.
const MAX_SEEN: usize = 4096;

const FAILED: i32 = -1;
const WANTED: i32 = -1;
const UNWANTED: i32 = -2;

type Key = [u8; 32];

/// What a worker keeps. The least recently used goes first.
#[derive(Default)]
pub(crate) struct Kept {
    entries: HashMap<Key, Entry>,
    bytes: usize,
    /// Counts uses; orders the entries by their last one.
    clock: u64,
    seen: HashSet<Key>,
    seen_in_order: VecDeque<Key>,
}

struct Entry {
    code: Arc<[u8]>,
    used: u64,
}

impl Kept {
    fn get(&mut self, key: &Key) -> Option<Arc<[u8]>> {
        self.clock += 1;
        let entry = self.entries.get_mut(key)?;
        entry.used = self.clock;
        Some(Arc::clone(&entry.code))
    }

    /// Whether `key` has been asked for before; from now on it has.
    fn seen(&mut self, key: Key) -> bool {
        if !self.seen.insert(key) {
            return true;
        }
        self.seen_in_order.push_back(key);
        if self.seen_in_order.len() > MAX_SEEN
            && let Some(oldest) = self.seen_in_order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        false
    }

    fn put(&mut self, key: Key, code: &[u8]) -> bool {
        if code.is_empty() || code.len() > MAX_ENTRY || self.entries.contains_key(&key) {
            return false;
        }
        self.clock += 1;
        self.bytes += code.len();
        let used = self.clock;
        let code = code.into();
        self.entries.insert(key, Entry { code, used });
        while self.bytes > MAX_BYTES {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.used);
            let Some(oldest) = oldest.map(|(key, _)| *key) else {
                break;
            };
            if let Some(entry) = self.entries.remove(&oldest) {
                self.bytes -= entry.code.len();
            }
        }
        true
    }
}

/// Where one instance stands.
enum State {
    /// It has not asked.
    Fresh,
    /// Something is kept for what it asked.
    Found(Arc<[u8]>),
    /// It may put something under this key, once.
    Wanted(Key),
    Closed,
}

/// One instance's door to what is kept.
pub(crate) struct Code {
    state: State,
    kept: Option<(Arc<Mutex<Kept>>, Arc<str>)>,
}

impl Code {
    /// For instances that neither find nor keep anything.
    pub(crate) fn none() -> Self {
        Self {
            state: State::Closed,
            kept: None,
        }
    }

    /// For an instance of the guest with this digest.
    pub(crate) fn open(kept: Arc<Mutex<Kept>>, guest: Arc<str>) -> Self {
        Self {
            state: State::Fresh,
            kept: Some((kept, guest)),
        }
    }

    fn with<T>(&self, f: impl FnOnce(&mut Kept, &str) -> T) -> Option<T> {
        let (kept, guest) = self.kept.as_ref()?;
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        Some(f(&mut kept, guest))
    }

    fn ask(&mut self, name: &[u8], source: &[u8]) -> i32 {
        if !matches!(self.state, State::Fresh) {
            return UNWANTED;
        }
        let answer = self.with(|kept, guest| {
            let key = key(guest, name, source);
            match kept.get(&key) {
                Some(code) => State::Found(code),
                None if kept.seen(key) => State::Wanted(key),
                None => State::Closed,
            }
        });
        self.state = answer.unwrap_or(State::Closed);
        match &self.state {
            State::Found(code) => i32::try_from(code.len()).unwrap_or(UNWANTED),
            State::Wanted(_) => WANTED,
            State::Fresh | State::Closed => UNWANTED,
        }
    }

    fn take(&mut self) -> Option<Arc<[u8]>> {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Found(code) => Some(code),
            State::Fresh | State::Wanted(_) | State::Closed => None,
        }
    }

    /// `silent`: the instance has written nothing so far.
    fn put(&mut self, code: &[u8], silent: bool) -> bool {
        let State::Wanted(key) = std::mem::replace(&mut self.state, State::Closed) else {
            return false;
        };
        silent && self.with(|kept, _| kept.put(key, code)).unwrap_or(false)
    }
}

/// Lengths before texts: no two triples give the same bytes.
fn key(guest: &str, name: &[u8], source: &[u8]) -> Key {
    let mut hash = Sha256::new();
    for part in [guest.as_bytes(), name, source] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// Adds the functions to `linker`.
pub(crate) fn link(linker: &mut Linker<Host>) -> Result<()> {
    linker.func_wrap("assize", "code_get", get)?;
    linker.func_wrap("assize", "code_take", take)?;
    linker.func_wrap("assize", "code_put", put)?;
    Ok(())
}

fn get(
    mut caller: Caller<'_, Host>,
    name: u32,
    name_len: u32,
    source: u32,
    source_len: u32,
) -> Result<i32> {
    let (memory, host) = memory(&mut caller)?.data_and_store_mut(&mut caller);
    let name = slice(memory, name, name_len)?;
    let source = slice(memory, source, source_len)?;
    // A long source compiles into a longer entry, and hashing takes time.
    if name.len() > MAX_ENTRY || source.len() > MAX_ENTRY {
        host.code = Code::none();
    }
    Ok(host.code.ask(name, source))
}

fn take(mut caller: Caller<'_, Host>, ptr: u32, cap: u32) -> Result<i32> {
    let (memory, host) = memory(&mut caller)?.data_and_store_mut(&mut caller);
    let into = slice_mut(memory, ptr, cap)?;
    let Some(code) = host.code.take().filter(|code| code.len() <= into.len()) else {
        return Ok(FAILED);
    };
    into[..code.len()].copy_from_slice(&code);
    Ok(i32::try_from(code.len()).unwrap_or(FAILED))
}

fn put(mut caller: Caller<'_, Host>, ptr: u32, len: u32) -> Result<i32> {
    let (memory, host) = memory(&mut caller)?.data_and_store_mut(&mut caller);
    let silent = host.files.stdout.is_empty() && host.files.stderr.is_empty();
    let kept = host.code.put(slice(memory, ptr, len)?, silent);
    Ok(if kept { 0 } else { FAILED })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(kept: &Arc<Mutex<Kept>>) -> Code {
        Code::open(Arc::clone(kept), "digest".into())
    }

    /// Asks often enough to be wanted.
    fn wanted(kept: &Arc<Mutex<Kept>>, source: &[u8]) -> Code {
        assert_eq!(door(kept).ask(b"f", source), UNWANTED);
        let mut second = door(kept);
        assert_eq!(second.ask(b"f", source), WANTED);
        second
    }

    #[test]
    fn what_the_second_run_hands_over_the_third_finds() {
        let kept = Arc::default();
        assert!(wanted(&kept, b"source").put(b"code", true));
        let mut third = door(&kept);
        assert_eq!(third.ask(b"f", b"source"), 4);
        assert_eq!(third.take().as_deref(), Some(b"code".as_slice()));
    }

    #[test]
    fn only_what_was_asked_for_can_be_put_and_only_once() {
        let kept = Arc::default();
        // Never asked.
        assert!(!door(&kept).put(b"code", true));
        // Asked, and answered that there is nothing.
        let mut asked = wanted(&kept, b"source");
        assert!(!asked.put(b"", true));
        assert!(!asked.put(b"poison", true));
        // Asking again opens nothing.
        assert_eq!(asked.ask(b"f", b"victim"), UNWANTED);
        assert!(!asked.put(b"poison", true));
        // One that found something cannot replace it.
        assert!(wanted(&kept, b"other").put(b"code", true));
        let mut found = door(&kept);
        assert_eq!(found.ask(b"f", b"other"), 4);
        assert!(!found.put(b"poison", true));
    }

    #[test]
    fn a_run_that_has_written_something_keeps_nothing() {
        let kept = Arc::default();
        assert!(!wanted(&kept, b"source").put(b"code", false));
    }

    #[test]
    fn another_name_guest_or_split_is_another_source() {
        assert_ne!(key("g", b"a", b"bc"), key("g", b"ab", b"c"));
        assert_ne!(key("g", b"a", b"b"), key("h", b"a", b"b"));
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_least_used_goes_first() {
        let mut kept = Kept::default();
        let entry = vec![1; MAX_ENTRY];
        let name = |i: usize| key("g", b"f", &i.to_le_bytes());
        let fit = MAX_BYTES / MAX_ENTRY;
        for i in 0..fit {
            assert!(kept.put(name(i), &entry));
        }
        assert!(kept.get(&name(0)).is_some());
        assert!(kept.put(name(fit), &entry));
        assert!(kept.bytes <= MAX_BYTES && kept.entries.len() == fit);
        assert!(kept.get(&name(0)).is_some() && kept.get(&name(1)).is_none());
        assert!(!kept.put(name(fit + 1), &vec![1; MAX_ENTRY + 1]));
        for i in 0..2 * MAX_SEEN {
            kept.seen(name(i));
        }
        assert!(kept.seen.len() <= MAX_SEEN && kept.seen_in_order.len() <= MAX_SEEN);
    }
}
