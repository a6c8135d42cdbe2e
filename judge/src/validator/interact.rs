//! One test of an interactive problem: candidate and interactor in a cell
//! each, connected through us, and what both ends mean together.

use std::time::Duration;

use assize_executor::{End, Executor, Fault, Limit, Outcome, Stdio};
use assize_policies::Limits;
use assize_runtimes::{Role, Runnable};

use super::relay::{Seen, Side, carry};
use super::{Decision, Material, Ready, Ruling, host};
use crate::case::Submission;
use crate::engine::{limit_verdict, not_accepted};
use crate::verdict::Verdict;

/// Times a pair is started before a lost cell becomes a fault.
const ATTEMPTS: u32 = 3;

/// Signal of a write to somebody who has hung up.
const SIGPIPE: i32 = 13;

/// What a test of an interactive problem came to.
pub(crate) struct Interaction {
    pub(crate) verdict: Verdict,
    pub(crate) detail: String,
    pub(crate) score: Option<f64>,
    /// The candidate's run; what it printed is what was carried.
    pub(crate) outcome: Outcome,
}

/// Lets the two talk.
pub(crate) async fn interact(
    executor: &Executor,
    submission: &Submission,
    candidate: &Runnable,
    interactor: &Ready,
    material: Material<'_>,
) -> Result<Interaction, Fault> {
    let Submission { limits, policy, .. } = submission;
    let mut attempt = 1;
    loop {
        let (near, far) = (Stdio::pair().map_err(host)?, Stdio::pair().map_err(host)?);
        let mut a = candidate
            .plan(Role::Program(&[]), *limits, policy, &[])
            .map_err(host)?;
        let mut b = interactor.plan(material, b"")?;
        b.limits = outlasting(b.limits, a.limits);
        a.channel = Some(near.1);
        b.channel = Some(far.1);
        let patience = Duration::from_millis(a.limits.cpu_ms.max(1000));
        let carrying = carry(near.0, far.0, a.limits.stdout_bytes, patience);
        let (ran, seen) = tokio::join!(executor.run_pair(a, b), carrying);
        match ran {
            (Ok(mut outcome), Ok(ended)) => {
                let mut seen = seen.map_err(host)?;
                let ruling = interactor.ruling(&ended);
                outcome.stdout = std::mem::take(&mut seen.printed);
                if seen.over {
                    outcome.end = End::Limit(Limit::Output);
                }
                let (verdict, detail) = conclude(&outcome, &ruling, &seen);
                let score = ruling.score.filter(|_| verdict == Verdict::Accepted);
                return Ok(Interaction {
                    verdict,
                    detail,
                    score,
                    outcome,
                });
            }
            (Err(fault), _) | (_, Err(fault)) if fault.retryable() && attempt < ATTEMPTS => {
                tracing::warn!(%fault, attempt, "a pair lost a cell, trying again");
                attempt += 1;
            }
            (Err(fault), _) | (_, Err(fault)) => return Err(fault),
        }
    }
}

/// An interactor waits for its candidate, whose limits are to end the pair.
fn outlasting(interactor: Limits, candidate: Limits) -> Limits {
    let wall = candidate.wall_ms.saturating_add(10_000);
    Limits {
        wall_ms: interactor.wall_ms.max(wall),
        ..interactor
    }
}

/// The rules of ICPC: whoever ended first decides. A rejection stands whatever
/// the candidate did once it was alone; a candidate that failed before that has
/// failed, and what its interactor then made of the silence says nothing.
fn conclude(candidate: &Outcome, ruling: &Ruling, seen: &Seen) -> (Verdict, String) {
    if candidate.end == End::Violation {
        return (Verdict::SecurityViolation, not_accepted(candidate));
    }
    if seen.over {
        return (Verdict::OutputLimitExceeded, not_accepted(candidate));
    }
    if seen.stalled {
        let why = "deadlock: both waited for the other to say something";
        return (Verdict::TimeLimitExceeded, why.to_owned());
    }
    let decided = match ruling.decision {
        Decision::Accept => (Verdict::Accepted, String::new()),
        Decision::Reject => (Verdict::WrongAnswer, ruling.message.clone()),
        Decision::Failed => (Verdict::JudgeError, ruling.message.clone()),
    };
    if seen.first == Some(Side::Interactor) && ruling.decision != Decision::Accept {
        return decided;
    }
    if let Some(verdict) = limit_verdict(&candidate.end) {
        return (verdict, not_accepted(candidate));
    }
    match candidate.end {
        End::Exited(0) | End::Signaled(SIGPIPE) => decided,
        End::Exited(_) | End::Signaled(_) | End::Trapped(_) | End::Limit(_) | End::Violation => {
            (Verdict::RunTimeError, not_accepted(candidate))
        }
    }
}
