//! Interpreters that wait in a slot, and which runs go on from them.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use assize_wire::warm::WarmSpec;

use crate::plan::Plan;

/// Where the object that makes an interpreter wait is seen in a cell.
pub(crate) const LIBRARY: &str = "/assize/warm.so";

/// Its file beside the other binaries.
pub(crate) const FILE: &str = "libassize_warm.so";

/// Most interpreters that wait in one slot. Each holds some megabytes.
const MOST: usize = 4;

/// Most kinds of runs that are remembered as seen, and as refused.
const REMEMBERED: usize = 64;

/// When interpreters are started to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Warmth {
    /// Never.
    Off,
    /// When a run of a kind that was seen before has ended, for the next.
    Seen,
    /// Before the first run already, which waits for it. For tests.
    AtOnce,
}

/// What two runs must have in common to go on from one interpreter: everything
/// that it reads before it looks at its program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kind {
    argv: Vec<String>,
    env: Vec<(String, String)>,
    before: String,
    program: Option<String>,
    stack: u64,
}

impl Kind {
    /// None for a run that may not, or that is not of a kind that can: a
    /// conversation over its standard streams, whose nature an interpreter
    /// looks at when it starts.
    pub(crate) fn of(plan: &Plan) -> Option<Self> {
        let warm = plan.warm.as_ref()?;
        let stdio = matches!(plan.channel, Some(crate::channel::Channel::Stdio { .. }));
        (!stdio).then(|| Self {
            argv: plan.argv.clone(),
            env: plan.env.clone(),
            before: warm.before.to_string(),
            program: warm.program.clone(),
            stack: crate::rlimits::stack(&plan.limits),
        })
    }
}

/// One that waits.
struct Waiting {
    id: u32,
    kind: Kind,
    /// What its slot's group holds for it, in bytes.
    memory: u64,
}

/// The interpreters of one slot, the one that was used last at the end.
#[derive(Default)]
pub(crate) struct Interpreters {
    waiting: Vec<Waiting>,
    last: u32,
}

impl Interpreters {
    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        self.waiting.len() as u64
    }

    /// The one for runs of this kind.
    pub(crate) fn of(&mut self, kind: &Kind) -> Option<u32> {
        let at = self.waiting.iter().position(|w| w.kind == *kind)?;
        let found = self.waiting.remove(at);
        let id = found.id;
        self.waiting.push(found);
        Some(id)
    }

    /// What to ask the slot's init for; the memory that goes with the one that
    /// has to make room.
    pub(crate) fn next(&mut self, kind: &Kind) -> (WarmSpec, u64) {
        let full = self.waiting.len() >= MOST;
        let gone = full.then(|| self.waiting.remove(0));
        self.last += 1;
        let bytes = |s: &String| s.clone().into_bytes();
        let spec = WarmSpec {
            id: self.last,
            argv: kind.argv.iter().map(bytes).collect(),
            env: kind
                .env
                .iter()
                .map(|(k, v)| format!("{k}={v}").into_bytes())
                .collect(),
            library: LIBRARY.to_owned(),
            stack: kind.stack,
            before: kind.before.clone(),
            program: kind.program.clone(),
            instead_of: gone.as_ref().map(|w| w.id),
        };
        (spec, gone.map_or(0, |w| w.memory))
    }

    /// It waits, and holds so much.
    pub(crate) fn add(&mut self, id: u32, kind: Kind, memory: u64) {
        self.waiting.push(Waiting { id, kind, memory });
    }

    /// Forgets those that are not among these any more; the memory that they
    /// held.
    pub(crate) fn left(&mut self, ids: &[u32]) -> u64 {
        let (left, gone): (Vec<_>, Vec<_>) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|w| ids.contains(&w.id));
        self.waiting = left;
        gone.iter().map(|w| w.memory).sum()
    }

    /// The slot's group is a new one, which never held anything for them.
    pub(crate) fn moved(&mut self) {
        self.waiting.iter_mut().for_each(|w| w.memory = 0);
    }
}

/// Which kinds of runs are worth an interpreter.
#[derive(Default)]
pub(crate) struct Kinds(Mutex<Remembered>);

#[derive(Default)]
struct Remembered {
    seen: VecDeque<Kind>,
    refused: VecDeque<Kind>,
}

impl Kinds {
    /// Remembers a kind of run; says whether it was seen before and has never
    /// been refused.
    pub(crate) fn again(&self, kind: &Kind) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.refused.contains(kind) {
            return false;
        }
        let seen = all.seen.contains(kind);
        if !seen {
            remember(&mut all.seen, kind);
        }
        seen
    }

    /// An interpreter of this kind cannot wait: it has threads, or lacks a
    /// module.
    pub(crate) fn refuse(&self, kind: &Kind) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        remember(&mut all.refused, kind);
    }
}

fn remember(kinds: &mut VecDeque<Kind>, kind: &Kind) {
    if kinds.len() >= REMEMBERED {
        kinds.pop_front();
    }
    kinds.push_back(kind.clone());
}
