//! What to run.

use std::sync::Arc;

use assize_policies::{Limits, Profile};
use assize_wire::plan::Collect;

use crate::channel::Channel;
use crate::pack::{Pack, Sealed};

/// Everything one run needs. Paths are paths inside the cell; the working
/// directory is `/work`.
#[derive(Debug)]
pub struct Plan {
    /// Program and arguments. Natively `argv[0]` is an absolute path.
    pub argv: Vec<String>,
    /// The whole environment.
    pub env: Vec<(String, String)>,
    /// Files under `/work`.
    pub files: Option<Pack>,
    /// Standard input; none is empty.
    pub stdin: Option<Sealed>,
    /// A conversation with another cell or with the judge: natively the
    /// program writes to descriptor 3 and reads from 5; in wasm it has the
    /// `assize.channel_*` functions.
    pub channel: Option<Channel>,
    /// Most bytes of the report that trusted code in the cell may write on
    /// descriptor 4 (`assize.report`); 0 for none.
    pub report_bytes: u64,
    /// Files to hand back.
    pub collect: Vec<Collect>,
    /// Limits, already within what the policy grants.
    pub limits: Limits,
    /// What the program may do.
    pub policy: Arc<Profile>,
    /// Where it runs.
    pub target: Target,
    /// Whether it may go on from an interpreter that was started before it.
    /// Nothing that it depends on may be the submission's but its files: the
    /// interpreter reads arguments and environment with more rights than it has
    /// when it reads those.
    pub warm: Option<Warm>,
}

/// How an interpreter is started for runs to go on from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warm {
    /// Statements, in its own language, that it runs before it waits: trusted
    /// ones. Empty for none.
    pub before: Arc<str>,
    /// The program's file, if it is the interpreter itself that reads it, and
    /// no harness of ours.
    pub program: Option<String>,
}

/// Where a program runs.
#[derive(Debug, Clone)]
pub enum Target {
    /// In a native cell.
    Native,
    /// In a WASI worker.
    Wasi(Module, Time),
}

/// What a program in a WASI worker takes for time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Time {
    /// The machine's.
    Real,
    /// Its own instructions, a million of which are a millisecond, and what it
    /// slept. Clocks, random bytes and listings are the same in every run, and
    /// so are the result and the count.
    Counted,
}

/// What the WASI worker runs.
#[derive(Debug, Clone)]
pub enum Module {
    /// An installed guest, by name.
    Guest(String),
    /// A module compiled for this run.
    Compiled(Sealed),
}

impl Plan {
    /// The same plan once more, for another attempt. None when it holds a
    /// channel: the peer has seen this attempt, so both must start anew.
    pub(crate) fn again(&self) -> Option<Self> {
        if self.channel.is_some() {
            return None;
        }
        Some(Self {
            argv: self.argv.clone(),
            env: self.env.clone(),
            files: self.files.clone(),
            stdin: self.stdin.clone(),
            channel: None,
            report_bytes: self.report_bytes,
            collect: self.collect.clone(),
            limits: self.limits,
            policy: Arc::clone(&self.policy),
            target: self.target.clone(),
            warm: self.warm.clone(),
        })
    }
}
