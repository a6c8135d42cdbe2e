//! Carries bytes between a candidate and its interactor, in both directions.
//!
//! The two are never connected directly: in between we count what the
//! candidate prints, know who hung up first, and see when nobody says anything
//! any more.

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use assize_executor::{Meter, Stdio, Stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::time::{Instant, sleep};

/// Bytes carried at a time; what a pipe holds.
const HELPING: usize = 64 << 10;

/// Most bytes of what a candidate printed that are kept to be shown.
const KEPT: usize = 64 << 10;

/// How often idleness is looked for.
const LOOK: Duration = Duration::from_millis(100);

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Candidate,
    Interactor,
}

/// What was seen of a conversation.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Who hung up first. Since the other one hears of it only through us, an
    /// end that follows from it comes later.
    pub(super) first: Option<Side>,
    /// What the candidate printed.
    pub(super) printed: Stream,
    /// Whether that was more than it may.
    pub(super) over: bool,
    /// Whether both waited for each other, and we hung up on both.
    pub(super) stalled: bool,
}

/// One end of the conversation, ready to be carried.
struct End {
    hears: pipe::Receiver,
    says: pipe::Sender,
    meter: Meter,
}

impl TryFrom<Stdio> for End {
    type Error = io::Error;

    fn try_from(ends: Stdio) -> io::Result<Self> {
        Ok(Self {
            hears: pipe::Receiver::from_owned_fd(ends.hears)?,
            says: pipe::Sender::from_owned_fd(ends.says)?,
            meter: ends.meter,
        })
    }
}

/// Carries until both have hung up, or one of our own bounds is reached: more
/// than `most` bytes from the candidate, or silence of both for `patience`.
/// Then both find their streams closed.
pub(super) async fn carry(
    candidate: Stdio,
    interactor: Stdio,
    most: u64,
    patience: Duration,
) -> io::Result<Seen> {
    let (candidate, interactor) = (End::try_from(candidate)?, End::try_from(interactor)?);
    let meters = [candidate.meter, interactor.meter];
    let moved = AtomicU64::new(0);
    let over = AtomicBool::new(false);
    let first = OnceLock::new();
    let mut printed = Stream::default();
    let stalled = {
        let there = async {
            let keep = |data: &[u8]| {
                let room = KEPT - printed.data.len();
                printed
                    .data
                    .extend_from_slice(&data[..data.len().min(room)]);
                printed.total += data.len() as u64;
                moved.fetch_add(1, Ordering::Relaxed);
                printed.total <= most
            };
            let ended = pass(candidate.hears, interactor.says, keep, false).await;
            over.store(ended == Ended::Enough, Ordering::Relaxed);
            first.get_or_init(|| match ended {
                Ended::Speaker | Ended::Enough => Side::Candidate,
                Ended::Listener => Side::Interactor,
            });
        };
        let back = async {
            let keep = |_: &[u8]| {
                moved.fetch_add(1, Ordering::Relaxed);
                true
            };
            pass(interactor.hears, candidate.says, keep, true).await;
            first.get_or_init(|| Side::Interactor);
        };
        let both = async {
            tokio::join!(there, back);
        };
        let quiet = silence(&moved, &meters, patience, || first.get().is_some());
        tokio::select! {
            () = both => false,
            () = quiet => true,
        }
    };
    Ok(Seen {
        first: first.get().copied(),
        printed,
        over: over.into_inner(),
        stalled,
    })
}

/// Why one direction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// Who spoke has hung up.
    Speaker,
    /// Who listened has, and the speaker went on.
    Listener,
    /// We have had enough.
    Enough,
}

/// Carries one direction to its end, or until `take` has enough of it, which
/// is when it says false. Who speaks to one that has hung up is told by the
/// broken pipe, unless it is to be `spared` that.
async fn pass(
    mut from: pipe::Receiver,
    to: pipe::Sender,
    mut take: impl FnMut(&[u8]) -> bool,
    spared: bool,
) -> Ended {
    let mut to = Some(to);
    let mut buffer = vec![0; HELPING];
    loop {
        let count = match from.read(&mut buffer).await {
            Ok(0) | Err(_) => return Ended::Speaker,
            Ok(count) => count,
        };
        if !take(&buffer[..count]) {
            return Ended::Enough;
        }
        if let Some(open) = &mut to
            && open.write_all(&buffer[..count]).await.is_err()
        {
            if !spared {
                return Ended::Listener;
            }
            to = None;
        }
    }
}

/// Returns when for `patience` nothing was said, and neither of the two has
/// done anything that would lead to it. Never once one of them has hung up.
async fn silence(
    moved: &AtomicU64,
    meters: &[Meter; 2],
    patience: Duration,
    over: impl Fn() -> bool,
) {
    let mut said = moved.load(Ordering::Relaxed);
    let mut used = [None, None];
    let mut since = Instant::now();
    loop {
        sleep(LOOK).await;
        if over() {
            return std::future::pending().await;
        }
        let now = [meters[0].used(), meters[1].used()];
        let busy = used
            .iter()
            .zip(&now)
            .any(|(before, now)| worked(*before, *now));
        let spoke = moved.load(Ordering::Relaxed);
        if busy || spoke != said {
            since = Instant::now();
        } else if since.elapsed() >= patience {
            return;
        }
        (used, said) = (now, spoke);
    }
}

/// Whether there was more between two looks than the little that a runtime's
/// own threads do while its program waits. One that has not begun is not
/// waiting.
fn worked(before: Option<Duration>, now: Option<Duration>) -> bool {
    match (before, now) {
        (Some(before), Some(now)) => now.saturating_sub(before) > LOOK / 50,
        (None, _) | (_, None) => true,
    }
}
