//! Stops a run: by its CPU time, by the clock on the wall, or on request.
//!
//! CPU time is the thread's, taken around each poll of the run's future, so it
//! counts this run and no other. A poll ends at the latest with the next epoch
//! ([`TICK`]), and a host call that waits ends it at once: neither a busy nor
//! a sleeping guest can overstay by more than a tick.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::oneshot::Receiver;
use tokio::time::{Instant, Sleep, sleep_until};

/// Time between two epochs.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// Longest wall limit taken at its word (a year); the clock cannot add more.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// How a metered future ended.
pub(crate) enum Ended<T> {
    Done(T),
    CpuLimit,
    WallLimit,
    Cancelled,
}

/// The limits of one run and what it has used.
pub(crate) struct Meter {
    cpu_limit: Duration,
    pub(crate) cpu: Duration,
    started: Instant,
    deadline: Instant,
    alarm: Pin<Box<Sleep>>,
    cancel: Receiver<()>,
}

impl Meter {
    /// The clock starts here. `cancel` ends the run when something is sent.
    pub(crate) fn start(cpu_ns: u64, wall_ns: u64, cancel: Receiver<()>) -> Self {
        let started = Instant::now();
        let deadline = started + Duration::from_nanos(wall_ns).min(FOREVER);
        Self {
            cpu_limit: Duration::from_nanos(cpu_ns),
            cpu: Duration::ZERO,
            started,
            deadline,
            alarm: Box::pin(sleep_until(deadline)),
            cancel,
        }
    }

    pub(crate) fn wall(&self) -> Duration {
        self.started.elapsed()
    }

    /// Runs `future` to its end or to a limit. A future that ends by itself
    /// but over its CPU limit has reached the limit: the tick must not decide.
    pub(crate) async fn run<F: Future>(&mut self, future: F) -> Ended<F::Output> {
        let mut future = std::pin::pin!(future);
        std::future::poll_fn(|cx| self.poll(future.as_mut(), cx)).await
    }

    fn poll<F: Future>(
        &mut self,
        future: Pin<&mut F>,
        cx: &mut Context<'_>,
    ) -> Poll<Ended<F::Output>> {
        let before = thread_cpu();
        let polled = future.poll(cx);
        self.cpu += thread_cpu().saturating_sub(before);
        if self.cpu > self.cpu_limit {
            return Poll::Ready(Ended::CpuLimit);
        }
        if let Poll::Ready(value) = polled {
            return Poll::Ready(Ended::Done(value));
        }
        // The clock is read as well as the alarm: a busy guest wakes itself,
        // and the alarm may not have had its turn yet.
        if Instant::now() >= self.deadline || self.alarm.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ended::WallLimit);
        }
        if let Poll::Ready(Ok(())) = Pin::new(&mut self.cancel).poll(cx) {
            return Poll::Ready(Ended::Cancelled);
        }
        Poll::Pending
    }
}

fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::from_secs(seconds)
        + Duration::from_nanos(u64::try_from(time.tv_nsec).unwrap_or_default())
}
