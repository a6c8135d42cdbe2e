use std::sync::Mutex;

use assize_executor::{Backend, End, Outcome, Stream, Usage};

use super::*;
use crate::build::CompileReport;

fn compiled(artefact: usize) -> Compiled {
    let outcome = Outcome {
        end: End::Exited(0),
        stdout: Stream::default(),
        stderr: Stream::default(),
        report: Stream::default(),
        files: std::collections::BTreeMap::new(),
        usage: Usage::default(),
        backend: Backend::Native,
        enforced: Arc::from([]),
        missing: Arc::from([]),
        violations: Vec::new(),
        attempts: 1,
    };
    Compiled {
        report: CompileReport {
            outcome,
            succeeded: true,
            cached: false,
        },
        artefact: Some(vec![0; artefact].into()),
        steady: true,
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    futures::executor::block_on(future)
}

fn key(n: u8) -> Key {
    [n; 32]
}

/// Obtains `key`, compiling to so many bytes; whether it was there.
async fn obtain(cache: &Cache, n: u8, bytes: usize, keep: bool) -> bool {
    let made = cache.obtain(key(n), async || Ok((compiled(bytes), keep)));
    made.await.unwrap().1
}

#[test]
fn the_same_is_compiled_once_and_what_may_not_be_kept_is_not() {
    let cache = Cache::new(1 << 20).unwrap();
    let there = block_on(async {
        [
            obtain(&cache, 1, 10, true).await,
            obtain(&cache, 1, 10, true).await,
            obtain(&cache, 2, 10, false).await,
            obtain(&cache, 2, 10, true).await,
            obtain(&cache, 2, 10, true).await,
        ]
    });
    assert_eq!(there, [false, true, false, false, true]);
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.entries), (2, 3, 2));
    assert_eq!(stats.bytes, 2 * (OVERHEAD + 10));
}

#[test]
fn bytes_never_exceed_the_bound_and_what_had_to_go_is_counted() {
    let bound = 64 << 10;
    let cache = Cache::new(bound).unwrap();
    block_on(async {
        for n in 0..100 {
            obtain(&cache, n, 10 << 10, true).await;
            assert!(cache.stats().bytes <= bound);
        }
        // More than there is room for is nobody's to push others out with.
        let before = cache.stats();
        obtain(&cache, 200, 1 << 20, true).await;
        assert_eq!(cache.stats().evictions, before.evictions);
        assert_eq!(cache.stats().bytes, before.bytes);
    });
    let stats = cache.stats();
    assert_eq!(stats.entries + stats.evictions, 100);
    assert!(Cache::new(0).is_none());
}

#[test]
fn what_is_asked_for_again_outlasts_ten_times_the_bound_of_what_is_not() {
    let cache = Cache::new(1 << 20).unwrap();
    block_on(async {
        for _ in 0..3 {
            obtain(&cache, 0, 1000, true).await;
        }
        for n in 1..=255 {
            obtain(&cache, n, 40 << 10, true).await;
        }
        assert!(obtain(&cache, 0, 1000, true).await);
    });
}

#[test]
fn those_who_ask_while_somebody_compiles_wait_for_that() {
    let cache = Arc::new(Cache::new(1 << 20).unwrap());
    let (finish, finished) = futures::channel::oneshot::channel::<()>();
    let leader = cache.obtain(key(1), async || {
        finished.await.unwrap();
        Ok((compiled(5), true))
    });
    let followers = futures::future::join_all(
        (0..10).map(|_| cache.obtain(key(1), async || panic!("two compile the same"))),
    );
    let both = async {
        let mut leader = Box::pin(leader);
        assert!(futures::poll!(&mut leader).is_pending());
        let mut followers = Box::pin(followers);
        assert!(futures::poll!(&mut followers).is_pending());
        finish.send(()).unwrap();
        (leader.await, followers.await)
    };
    let (leader, followers) = block_on(both);
    assert!(!leader.unwrap().1);
    assert!(followers.into_iter().all(|f| f.unwrap().1));
    assert_eq!((cache.stats().hits, cache.stats().misses), (10, 1));
}

#[test]
fn when_the_one_who_compiles_goes_away_one_of_those_who_wait_takes_over() {
    let cache = Cache::new(1 << 20).unwrap();
    let compiles = Mutex::new(0);
    block_on(async {
        let mut leader = Box::pin(cache.obtain(key(1), async || {
            futures::future::pending::<()>().await;
            Ok((compiled(5), true))
        }));
        assert!(futures::poll!(&mut leader).is_pending());
        let mut followers = Box::pin(futures::future::join_all((0..5).map(|_| {
            cache.obtain(key(1), async || {
                *compiles.lock().unwrap() += 1;
                Ok((compiled(5), true))
            })
        })));
        assert!(futures::poll!(&mut followers).is_pending());
        drop(leader);
        assert!(followers.await.into_iter().all(|f| f.is_ok()));
    });
    assert_eq!(*compiles.lock().unwrap(), 1);
}

#[test]
fn a_fault_or_a_limit_of_the_one_who_compiles_is_not_that_of_those_who_wait() {
    for fault in [true, false] {
        let cache = Cache::new(1 << 20).unwrap();
        let (finish, finished) = futures::channel::oneshot::channel::<()>();
        let leader = cache.obtain(key(1), async || {
            finished.await.unwrap();
            match fault {
                true => Err(Fault::CellLost("gone".to_owned())),
                false => Ok((compiled(5), false)),
            }
        });
        // They do not wait for one another: all compile at once.
        let all = Arc::new(futures::lock::Mutex::new(0));
        let followers = futures::future::join_all((0..5).map(|_| {
            let all = Arc::clone(&all);
            let cache = &cache;
            async move {
                let compile = async || {
                    *all.lock().await += 1;
                    while *all.lock().await < 5 {
                        futures::pending!();
                    }
                    Ok((compiled(5), true))
                };
                cache.obtain(key(1), compile).await.unwrap().1
            }
        }));
        let (leader, followers) = block_on(async {
            let mut leader = Box::pin(leader);
            assert!(futures::poll!(&mut leader).is_pending());
            let mut followers = Box::pin(followers);
            assert!(futures::poll!(&mut followers).is_pending());
            finish.send(()).unwrap();
            let leader = leader.await;
            loop {
                if let std::task::Poll::Ready(done) = futures::poll!(&mut followers) {
                    break (leader, done);
                }
            }
        });
        assert_eq!(leader.is_err(), fault);
        assert!(followers.into_iter().all(|there| !there));
        assert_eq!(cache.stats().misses, 6);
        assert_eq!(cache.stats().entries, 0);
    }
}
