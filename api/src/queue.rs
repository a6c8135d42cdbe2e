//! Admission: so many cases at once, the rest wait their tenant's turn, and a
//! full queue says so at once.
//!
//! Tenants take turns: one that submits ten thousand cases delays another's
//! single case by at most one case. Waiting costs no limit of the program.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// The queue. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Queue {
    state: Arc<Mutex<State>>,
}

struct State {
    free: usize,
    slots: usize,
    waiting: usize,
    most: usize,
    tenants: BTreeMap<String, VecDeque<oneshot::Sender<Permit>>>,
    /// Tenants with somebody waiting, in the order of their turns.
    turns: VecDeque<String>,
    closed: bool,
}

/// The right to try one case. Dropping it lets the next one in.
pub(crate) struct Permit {
    queue: Queue,
}

/// Why there is no permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denied {
    /// The queue is full; try again after about so many seconds.
    Full(u64),
    /// The server is shutting down.
    Closed,
}

/// How a caller waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Turned away when the queue is full.
    Bounded,
    /// Already admitted as part of a batch, which bounds itself.
    Admitted,
    /// Under way, between two parts: before all of its tenant's that are not.
    UnderWay,
}

/// Numbers for people and metrics.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) running: usize,
    pub(crate) waiting: usize,
}

impl Queue {
    /// `slots` cases at once, `most` waiting.
    pub(crate) fn new(slots: usize, most: usize) -> Self {
        let (tenants, turns) = (BTreeMap::new(), VecDeque::new());
        let state = State {
            free: slots,
            slots,
            waiting: 0,
            most,
            tenants,
            turns,
            closed: false,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a turn; says how long it took.
    pub(crate) async fn enter(
        &self,
        tenant: &str,
        patience: Patience,
    ) -> Result<(Permit, Duration), Denied> {
        let start = Instant::now();
        let turn = {
            let mut state = self.lock();
            if state.closed {
                return Err(Denied::Closed);
            }
            if state.free > 0 {
                state.free -= 1;
                return Ok((
                    Permit {
                        queue: self.clone(),
                    },
                    Duration::ZERO,
                ));
            }
            if patience == Patience::Bounded && state.is_full_for(tenant) {
                // A guess: everybody before you, a tenth of a second each.
                let seconds = (state.waiting / (10 * state.slots.max(1))).clamp(1, 60);
                return Err(Denied::Full(seconds as u64));
            }
            let (sender, turn) = oneshot::channel();
            state.waiting += 1;
            let queue = state.tenants.entry(tenant.to_owned()).or_default();
            match patience {
                Patience::UnderWay => queue.push_front(sender),
                Patience::Bounded | Patience::Admitted => queue.push_back(sender),
            }
            if queue.len() == 1 {
                state.turns.push_back(tenant.to_owned());
            }
            turn
        };
        match turn.await {
            Ok(permit) => Ok((permit, start.elapsed())),
            Err(_) => Err(Denied::Closed),
        }
    }

    /// Between two parts of a case: gives its place up to whoever of another
    /// tenant waits, and waits for the tenant's next turn. A server that shuts
    /// down lets a case that has begun go on, without a place.
    pub(crate) async fn next_turn(&self, tenant: &str, place: &Mutex<Option<Permit>>) {
        let contended = self.lock().turns.iter().any(|waiting| waiting != tenant);
        if !contended {
            return;
        }
        let take = || place.lock().unwrap_or_else(PoisonError::into_inner);
        let held = take().take();
        // Asked for before the place is given up: behind the tenants who wait
        // now, not behind those who come in the meantime.
        let mut entering = std::pin::pin!(self.enter(tenant, Patience::UnderWay));
        let asked = futures::poll!(&mut entering);
        drop(held);
        let entered = match asked {
            std::task::Poll::Ready(entered) => entered,
            std::task::Poll::Pending => entering.await,
        };
        if let Ok((permit, _)) = entered {
            *take() = Some(permit);
        }
    }

    /// Gives a freed slot to the next tenant's next caller.
    fn release(&self) {
        loop {
            let next = {
                let mut state = self.lock();
                match state.next() {
                    Some(next) => next,
                    None => {
                        state.free += 1;
                        return;
                    }
                }
            };
            match next.send(Permit {
                queue: self.clone(),
            }) {
                Ok(()) => return,
                // That caller has left. Its permit must not be dropped here,
                // which would release it a second time.
                Err(permit) => permit.forget(),
            }
        }
    }

    /// Lets nobody in any more; those waiting get [`Denied::Closed`].
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.tenants.clear();
        state.turns.clear();
        state.waiting = 0;
    }

    pub(crate) fn load(&self) -> Load {
        let mut state = self.lock();
        state.sweep();
        Load {
            running: state.slots - state.free,
            waiting: state.waiting,
        }
    }
}

impl State {
    /// Whether this tenant has to come again later. A full queue still takes
    /// callers of a tenant that has less than its share of it: one that fills
    /// it must not turn the others away. It can so be exceeded, by what the
    /// shares of fewer tenants are larger than those of more.
    fn is_full_for(&mut self, tenant: &str) -> bool {
        if self.waiting < self.most {
            return false;
        }
        self.sweep();
        let own = self.tenants.get(tenant).map_or(0, VecDeque::len);
        let others = self.tenants.keys().filter(|name| *name != tenant).count();
        self.waiting >= self.most && own >= self.most / (others + 1)
    }

    /// Forgets callers that have left: they hold no place.
    fn sweep(&mut self) {
        for queue in self.tenants.values_mut() {
            queue.retain(|turn| !turn.is_closed());
        }
        self.tenants.retain(|_, queue| !queue.is_empty());
        self.turns.retain(|name| self.tenants.contains_key(name));
        self.waiting = self.tenants.values().map(VecDeque::len).sum();
    }

    fn next(&mut self) -> Option<oneshot::Sender<Permit>> {
        let tenant = self.turns.pop_front()?;
        let queue = self.tenants.get_mut(&tenant)?;
        let next = queue.pop_front();
        if queue.is_empty() {
            self.tenants.remove(&tenant);
        } else {
            self.turns.push_back(tenant);
        }
        self.waiting -= usize::from(next.is_some());
        next
    }
}

impl Permit {
    fn forget(self) {
        std::mem::forget(self);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.queue.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn enter(queue: &Queue, tenant: &str) -> Result<Permit, Denied> {
        queue
            .enter(tenant, Patience::Bounded)
            .await
            .map(|(permit, _)| permit)
    }

    #[tokio::test]
    async fn tenants_take_turns() {
        let queue = Queue::new(1, 100);
        let first = enter(&queue, "a").await.unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for tenant in ["a", "a", "a", "b"] {
            let (q, order) = (queue.clone(), Arc::clone(&order));
            tasks.push(tokio::spawn(async move {
                let _permit = enter(&q, tenant).await.unwrap();
                order.lock().unwrap().push(tenant);
            }));
            tokio::task::yield_now().await;
        }
        drop(first);
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), ["a", "b", "a", "a"]);
        assert_eq!((queue.load().running, queue.load().waiting), (0, 0));
    }

    #[tokio::test]
    async fn a_full_queue_says_so_and_a_caller_that_left_holds_no_slot() {
        let queue = Queue::new(1, 1);
        let held = enter(&queue, "a").await.unwrap();
        let q = queue.clone();
        let waiting = tokio::spawn(async move { enter(&q, "a").await.map(drop) });
        tokio::task::yield_now().await;
        assert!(matches!(enter(&queue, "b").await, Err(Denied::Full(_))));
        waiting.abort();
        let _ = waiting.await;
        drop(held);
        assert!(enter(&queue, "b").await.is_ok());
    }

    #[tokio::test]
    async fn a_tenant_that_fills_the_queue_does_not_keep_the_others_out() {
        let queue = Queue::new(1, 10);
        let held = enter(&queue, "a").await.unwrap();
        let wait = |tenant: &'static str| {
            let q = queue.clone();
            tokio::spawn(async move { enter(&q, tenant).await.map(drop) })
        };
        let mut waiting: Vec<_> = (0..20).map(|_| wait("a")).collect();
        tokio::task::yield_now().await;
        assert!(matches!(enter(&queue, "a").await, Err(Denied::Full(_))));
        waiting.extend((0..10).map(|_| wait("b")));
        tokio::task::yield_now().await;
        // Half of the places are b's share, and no more.
        assert_eq!(queue.load().waiting, 15);
        assert!(matches!(enter(&queue, "b").await, Err(Denied::Full(_))));
        drop(held);
        let mut admitted = 0;
        for task in waiting {
            admitted += usize::from(task.await.unwrap().is_ok());
        }
        assert_eq!(admitted, 15);
        assert_eq!((queue.load().running, queue.load().waiting), (0, 0));
    }

    #[tokio::test]
    async fn a_case_under_way_lets_others_pass_between_its_parts() {
        let queue = Queue::new(1, 10);
        let place = Mutex::new(Some(enter(&queue, "a").await.unwrap()));
        let wait = |tenant: &'static str| {
            let q = queue.clone();
            tokio::spawn(async move { enter(&q, tenant).await.map(drop) })
        };
        // Its own tenant's have to wait for its end.
        let own = wait("a");
        tokio::task::yield_now().await;
        queue.next_turn("a", &place).await;
        assert_eq!(queue.load().waiting, 1);
        let other = wait("b");
        tokio::task::yield_now().await;
        // The turn may be a's once more, for the one that waits, and is then b's.
        queue.next_turn("a", &place).await;
        queue.next_turn("a", &place).await;
        assert!(other.await.unwrap().is_ok());
        assert!(place.lock().unwrap().is_some() && !own.is_finished());
        drop(place);
        assert!(own.await.unwrap().is_ok());
        assert_eq!((queue.load().running, queue.load().waiting), (0, 0));
    }

    #[tokio::test]
    async fn callers_that_left_hold_no_place_in_the_queue() {
        let queue = Queue::new(1, 2);
        let _held = enter(&queue, "a").await.unwrap();
        let wait = || {
            let q = queue.clone();
            tokio::spawn(async move { enter(&q, "a").await.map(drop) })
        };
        for _ in 0..5 {
            let left = [wait(), wait()];
            tokio::task::yield_now().await;
            assert_eq!(queue.load().waiting, 2);
            for task in left {
                task.abort();
                let _ = task.await;
            }
            // Nor do they count as load.
            assert_eq!(queue.load().waiting, 0);
        }
    }

    #[tokio::test]
    async fn closing_tells_everybody_who_waits() {
        let queue = Queue::new(1, 9);
        let _held = enter(&queue, "a").await.unwrap();
        let q = queue.clone();
        let waiting = tokio::spawn(async move { enter(&q, "a").await.map(drop) });
        tokio::task::yield_now().await;
        queue.close();
        assert_eq!(waiting.await.unwrap(), Err(Denied::Closed));
    }
}
