//! From what a program did to what it earned: comparison, verdict, reward.
//!
//! [`engine`] splits a case into runs and asks the executor for their outcomes;
//! [`script`] and [`channel`] hold the two sides of a function test apart, and
//! [`validator`] the programs of a problem's author.
//! Everything else is pure: bytes and plain data in, verdicts out, no clock, no
//! file, no randomness. What a candidate printed or returned is an allegation;
//! it is decoded in exactly one place ([`plain`]) and compared by this crate,
//! never by code that shares a process with the candidate.
//!
//! Deliberately absent: leniency. A checker accepts what its name says and
//! nothing else; chains of ever looser comparisons are how graders come to
//! accept wrong answers.

mod again;
pub mod case;
mod channel;
pub mod checker;
pub mod engine;
pub mod feedback;
pub mod metrics;
pub mod package;
pub mod plain;
mod predict;
pub mod reward;
pub mod rows;
mod script;
pub mod select;
mod shared;
mod suite;
pub mod sweep;
pub mod trials;
pub mod validator;
pub mod verdict;

/// What reads bytes that a candidate wrote, for the fuzz targets.
#[doc(hidden)]
pub mod fuzz {
    /// One reply on the channel of a function test.
    pub fn reply(frame: &[u8]) {
        let _ = crate::channel::read_reply(frame);
    }
}
