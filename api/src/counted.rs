//! Parts of a case's way through this crate that need no cell, each as a
//! function of its own, for the check of instruction counts (`tests/counts`).

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use assize_judge::case::Submission;

use crate::admit::{Decider, tests};
use crate::queue::{Patience, Queue};
use crate::routes::batches::{Case, parse_case};

/// Parses a judgement as a batch does; how many tests it has.
#[must_use]
pub fn parse(line: &str) -> usize {
    match parse_case(line.as_bytes(), "") {
        Ok(Case::Judgement(request)) => request.tests.len(),
        Ok(Case::Run(_)) | Err(_) => 0,
    }
}

/// The same, and checks its tests for a submission that is checked already.
#[must_use]
pub fn admit(line: &str, submission: &Submission) -> usize {
    let Ok(Case::Judgement(request)) = parse_case(line.as_bytes(), "") else {
        return 0;
    };
    tests(&request.tests, submission, false, Decider::Rule).map_or(0, |tests| tests.len())
}

/// Cuts an NDJSON body that arrives in chunks of 8 KiB; how many lines it has.
#[must_use]
pub fn lines(body: &[u8]) -> usize {
    let chunks: Vec<&[u8]> = body.chunks(8 << 10).collect();
    crate::ndjson::split(&chunks).len()
}

/// Lets so many callers of four tenants wait for one place and takes each of
/// them in; how many had their turn.
#[must_use]
pub fn queue(callers: usize) -> usize {
    let queue = Queue::new(1, callers);
    let mut context = Context::from_waker(Waker::noop());
    let Poll::Ready(Ok((first, _))) =
        pin!(queue.enter("held", Patience::Bounded)).poll(&mut context)
    else {
        return 0;
    };
    let tenants = ["a", "b", "c", "d"];
    let mut waiting: Vec<_> = (0..callers)
        .map(|n| Box::pin(queue.enter(tenants[n % tenants.len()], Patience::Bounded)))
        .collect();
    for caller in &mut waiting {
        if caller.as_mut().poll(&mut context).is_ready() {
            return 0;
        }
    }
    drop(first);
    // In the order of their turns, which with as many of each is the order in
    // which they came.
    let mut entered = 0;
    for mut caller in waiting {
        if let Poll::Ready(Ok((permit, _))) = caller.as_mut().poll(&mut context) {
            entered += 1;
            drop(permit);
        }
    }
    entered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_a_turn_and_every_line_is_seen() {
        assert_eq!(queue(100), 100);
        assert_eq!(lines(&b"{}\n".repeat(10_000)), 10_000);
        let line = r#"{"language":"c","code":"","tests":[{"stdin":"","stdout":""}]}"#;
        assert_eq!(parse(line), 1);
        assert_eq!(parse("{}"), 0);
    }
}
