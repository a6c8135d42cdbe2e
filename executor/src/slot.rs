//! A slot: one native cell and its cgroup, serving runs one after another.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use assize_cgroup::{Ceilings, CgroupError, Group, Kind, Rest};
use assize_policies::Limits;
use assize_wire::cell::Layer;
use assize_wire::frame;
use assize_wire::plan as wire;
use assize_wire::plan::{CollectError, JailEvent, Order, RunReport};

use crate::cell::Blueprint;
use crate::channel::{Channel, Meter};
use crate::ended::{call_name, end};
use crate::enforced::{enforced, missing};
use crate::keeper::Lease;
use crate::outcome::{Backend, Fault, Limit, Outcome, Stream, Usage, Violation};
use crate::pack::Sealed;
use crate::plan::Plan;
use crate::rlimits::{instead_of_cgroups, leave_room_in_flight, rlimits};
use crate::spawn::{Jail, host};
use crate::warm::{self, Interpreters, Kinds, Warmth};
use crate::watch::{Capture, Watched, watch};

/// Runs after which a slot is replaced even when all went well.
const RUNS_PER_CELL: u32 = 2000;

/// One native cell after another, in one place.
pub(crate) struct Slot {
    facts: Arc<Facts>,
    lease: Lease,
    live: Option<Live>,
}

/// What all slots of this process have in common.
pub(crate) struct Facts {
    /// What cells look like.
    pub(crate) blueprint: Blueprint,
    /// The cgroup hierarchy in use.
    pub(crate) cgroups: Kind,
    /// When interpreters are started to wait.
    pub(crate) warmth: Warmth,
    /// The kinds of runs that they could be for.
    pub(crate) kinds: Kinds,
}

/// Where init and program share a uid, that uid may own the jail's binary too,
/// which a program can then reach through its own /proc/self/exe
/// (CVE-2019-5736): Landlock is what stands between.
const UNGUARDED: &str = "this kernel has no Landlock, without which a program of the server's own \
    uid could reach the server's files; run as root, or give this user subordinate ids \
    (package uidmap, and a line in /etc/subuid and /etc/subgid)";

impl Facts {
    fn guarded(&self, jail: &Jail) -> bool {
        let blueprint = &self.blueprint;
        blueprint.two_ids() || jail.traits.landlock_abi > 0 || !blueprint.has(Layer::Landlock)
    }
}

struct Live {
    jail: Jail,
    group: Box<dyn Group>,
    enforced: Arc<[String]>,
    missing: Arc<[String]>,
    runs: u32,
    /// Whether programs have this process's own uid.
    one_id: bool,
    /// The last run's `Idle` has not been read yet.
    busy: bool,
    /// Interpreters that wait in it.
    interpreters: Interpreters,
    /// One that the last run could have gone on from.
    wanted: Option<warm::Kind>,
}

impl Slot {
    /// A slot that is built when it is first needed.
    pub(crate) fn new(facts: Arc<Facts>, lease: Lease) -> Self {
        Self {
            facts,
            lease,
            live: None,
        }
    }

    /// Builds the cell now, off anybody's path.
    pub(crate) fn prepare(&mut self) -> Result<(), Fault> {
        self.live().map(drop)
    }

    fn live(&mut self) -> Result<&mut Live, Fault> {
        if self.live.is_none() {
            let (jail, group) = self.lease.open()?;
            if !self.facts.guarded(&jail) {
                drop(jail);
                self.lease.close();
                return Err(Fault::CellNotBuilt(UNGUARDED.to_owned()));
            }
            let enforced = enforced(&self.facts, &jail);
            self.live = Some(Live {
                jail,
                group,
                enforced,
                missing: missing(&self.facts),
                runs: 0,
                one_id: !self.facts.blueprint.two_ids(),
                busy: false,
                interpreters: Interpreters::default(),
                wanted: None,
            });
        }
        self.live.as_mut().ok_or(Fault::ShuttingDown)
    }

    /// Ends the cell; the next run gets a new one.
    pub(crate) fn retire(&mut self) {
        if let Some(live) = self.live.take() {
            drop(live);
            self.lease.close();
        }
    }

    /// Runs one plan. After an `Err` the cell is gone.
    pub(crate) fn run(
        &mut self,
        plan: Plan,
        abandoned: &dyn Fn() -> bool,
    ) -> Result<Outcome, Fault> {
        self.settle();
        let facts = Arc::clone(&self.facts);
        let result = self
            .live()
            .and_then(|live| live.run(plan, &facts, abandoned));
        match &result {
            Err(_) => self.retire(),
            Ok(_) => {
                if self.live.as_ref().is_some_and(|l| l.runs >= RUNS_PER_CELL) {
                    self.retire();
                }
            }
        }
        result
    }

    /// Waits for the cell to be clean after its last run. A cell that cannot
    /// clean itself is replaced. Called off the path of a run where possible.
    pub(crate) fn settle(&mut self) {
        let Some(live) = &mut self.live else { return };
        if !live.busy {
            return;
        }
        let settled = live.settle().and_then(|rest| {
            if rest == Rest::Renew {
                live.group = self.lease.renew()?;
                live.interpreters.moved();
            }
            match live.wanted.take() {
                Some(kind) => live.warm_up(&kind, &self.facts),
                None => Ok(()),
            }
        });
        if let Err(fault) = settled {
            tracing::warn!(%fault, "a cell was not clean after its run; replaced");
            self.retire();
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.retire();
    }
}

impl Live {
    fn run(
        &mut self,
        mut plan: Plan,
        facts: &Facts,
        abandoned: &dyn Fn() -> bool,
    ) -> Result<Outcome, Fault> {
        let limits = plan.limits;
        let warm = self.choose(&plan, facts)?;
        let (streams, channel, meter) = apart(plan.channel.take())?;
        let (stdin, (stdout, out)) = match streams {
            Some((stdin, stdout)) => (Some(stdin), (Capture::none(), stdout)),
            None => (None, Capture::new(limits.stdout_bytes)?),
        };
        let (stderr, err) = Capture::new(limits.stderr_bytes)?;
        let mut captures = vec![stdout, stderr];
        let mut fds: Vec<OwnedFd> = Vec::with_capacity(7);
        if let Some(pack) = &plan.files {
            fds.push(pack.sealed.open().map_err(host)?);
        }
        fds.push(match stdin {
            Some(stdin) => stdin,
            None => self.input(plan.stdin.as_ref())?,
        });
        fds.extend([out, err]);
        let mut extra_fds = Vec::new();
        let mut order = wire_plan(&plan);
        if !self.missing.is_empty() {
            order.rlimits.extend(instead_of_cgroups(&limits));
        }
        if self.one_id {
            order.rlimits.iter_mut().for_each(leave_room_in_flight);
        }
        if let Some((hears, says)) = channel {
            fds.extend([says, hears]);
            extra_fds.extend([3, 5]);
        }
        if plan.report_bytes > 0 {
            let (report, theirs) = Capture::new(plan.report_bytes)?;
            captures.push(report);
            fds.push(theirs);
            extra_fds.push(4);
        }
        let ceilings = Ceilings {
            memory_bytes: limits.memory_bytes,
            processes: limits.processes,
            residents: 1 + self.interpreters.count(),
        };
        self.group.arm(ceilings).map_err(cgroup)?;
        let order = Order::Run(Box::new(wire::Plan {
            extra_fds,
            warm,
            ..order
        }));
        let borrowed: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
        let start = Instant::now();
        frame::send(&self.jail.socket, &order, &borrowed)
            .map_err(|e| Fault::CellLost(e.to_string()))?;
        // Our copies of the write ends must go, or no stream would ever end.
        drop(fds);
        let group = self.group.as_ref();
        let watched = watch(
            start,
            &self.jail.socket,
            group,
            &limits,
            &mut captures,
            meter.as_ref(),
            abandoned,
        );
        self.runs += 1;
        self.busy = true;
        let own = plan
            .argv
            .first()
            .is_some_and(|program| program.starts_with("/work/"));
        self.conclude(watched, captures, &limits, &plan.collect, own)
    }

    /// The interpreter that a run goes on from, if one waits; if none does, one
    /// is noted as wanted when that is worth it.
    fn choose(&mut self, plan: &Plan, facts: &Facts) -> Result<Option<u32>, Fault> {
        self.wanted = None;
        if facts.warmth == Warmth::Off || !facts.blueprint.can_keep_warm() {
            return Ok(None);
        }
        let Some(kind) = warm::Kind::of(plan) else {
            return Ok(None);
        };
        let again = facts.kinds.again(&kind);
        if let Some(id) = self.interpreters.of(&kind) {
            return Ok(Some(id));
        }
        if facts.warmth == Warmth::AtOnce {
            self.warm_up(&kind, facts)?;
            return Ok(self.interpreters.of(&kind));
        }
        self.wanted = again.then_some(kind);
        Ok(None)
    }

    /// Has an interpreter started that waits for runs of this kind. What it
    /// holds is the slot's, not any run's.
    fn warm_up(&mut self, kind: &warm::Kind, facts: &Facts) -> Result<(), Fault> {
        let lost = |e: frame::FrameError| Fault::CellLost(e.to_string());
        let (spec, freed) = self.interpreters.next(kind);
        let id = spec.id;
        let before = self.group.memory().map_err(cgroup)?.saturating_sub(freed);
        self.group.shift(0 - signed(freed));
        let order = Order::Warm(Box::new(spec));
        frame::send(&self.jail.socket, &order, &[]).map_err(lost)?;
        let waits = match frame::recv::<JailEvent>(&self.jail.socket).map_err(lost)?.0 {
            JailEvent::Warm(waits) => waits,
            JailEvent::Idle | JailEvent::Done(_) => {
                return Err(Fault::CellLost("out of turn".into()));
            }
        };
        if !waits {
            facts.kinds.refuse(kind);
            return Ok(());
        }
        let memory = self.group.memory().map_err(cgroup)?.saturating_sub(before);
        self.group.shift(signed(memory));
        self.interpreters.add(id, kind.clone(), memory);
        Ok(())
    }

    /// A program's input as its descriptor 0.
    fn input(&self, stdin: Option<&Sealed>) -> Result<OwnedFd, Fault> {
        let input = match stdin {
            Some(sealed) => sealed,
            None => empty()?,
        };
        // Memory belongs to the uid that made it. A program of that same uid
        // could leave times and attributes on it for the next run to read.
        match self.one_id {
            true => input.copy(),
            false => input.open(),
        }
        .map_err(host)
    }

    fn conclude(
        &mut self,
        watched: Watched,
        captures: Vec<Capture>,
        limits: &Limits,
        collect: &[wire::Collect],
        own: bool,
    ) -> Result<Outcome, Fault> {
        let used = self.group.usage().map_err(|e| match &watched.report {
            Err(_) => Fault::CellLost(e.to_string()),
            Ok(_) => cgroup(e),
        })?;
        let mut streams = captures.into_iter().map(Capture::finish);
        let mut next = || streams.next().unwrap_or_default();
        let (stdout, stderr, report_stream) = (next(), next(), next());
        let (report, files) = match watched.report {
            Ok(received) => received,
            // The kernel chose the init: the group was out of memory, which is
            // the program's doing, however the cell ended.
            Err(_) if used.oom_kills > 0 => {
                let end = wire::End::Signaled(nix::libc::SIGKILL);
                (
                    RunReport {
                        end,
                        collected: Vec::new(),
                        leftovers: 0,
                        refused: Vec::new(),
                        backlog: false,
                        cpu_us: 0,
                        warm: Vec::new(),
                    },
                    Vec::new(),
                )
            }
            Err(fault) => return Err(fault),
        };
        let freed = self.interpreters.left(&report.warm);
        self.group.shift(0 - signed(freed));
        if watched.abandoned {
            return Err(Fault::ShuttingDown);
        }
        // Where no group counts, what the init saw of the dead is all there is.
        let used = match self.missing.is_empty() {
            true => used,
            false => assize_cgroup::Usage {
                cpu: Duration::from_micros(report.cpu_us),
                ..used
            },
        };
        let mut violations = Vec::new();
        if used.forks_refused > 0 {
            let (name, count) = ("fork".to_owned(), used.forks_refused);
            violations.push(Violation {
                kind: "processes",
                name,
                count,
            });
        }
        violations.extend(report.refused.iter().map(|&(number, count)| Violation {
            kind: "syscall",
            name: call_name(number),
            count,
        }));
        // An rlimit kills by the scheduler's tick, up to two of them early.
        let killed = report.end == wire::End::Signaled(nix::libc::SIGKILL);
        let slack = match killed && !self.missing.is_empty() {
            true => Duration::from_millis(20),
            false => Duration::ZERO,
        };
        let over_output = stdout.total > limits.stdout_bytes;
        let limit = if used.oom_kills > 0 || report.backlog {
            Some(Limit::Memory)
        } else if over_output {
            Some(Limit::Output)
        } else if (used.cpu + slack).as_millis() >= u128::from(limits.cpu_ms) {
            Some(Limit::Cpu)
        } else {
            watched.limit
        };
        let end = end(report.end, limit, own, &mut violations)?;
        Ok(Outcome {
            end,
            stdout,
            stderr,
            report: report_stream,
            files: read_files(collect, report.collected, files),
            usage: Usage {
                cpu: used.cpu,
                wall: watched.wall,
                memory_peak: used.memory_peak,
                processes_peak: used.processes_peak,
                instructions: None,
            },
            backend: Backend::Native,
            enforced: Arc::clone(&self.enforced),
            missing: Arc::clone(&self.missing),
            violations,
            attempts: 1,
        })
    }

    fn settle(&mut self) -> Result<Rest, Fault> {
        let lost = |e: frame::FrameError| Fault::CellLost(e.to_string());
        match frame::recv::<JailEvent>(&self.jail.socket).map_err(lost)?.0 {
            JailEvent::Idle => self.busy = false,
            JailEvent::Done(_) | JailEvent::Warm(_) => {
                return Err(Fault::CellLost("out of turn".into()));
            }
        }
        self.group.rest().map_err(cgroup)
    }
}

type Ends = Option<(OwnedFd, OwnedFd)>;

/// A channel's parts: a program's own standard streams, if it is one of those;
/// else what it hears and says; and who is to be told its CPU time.
fn apart(channel: Option<Channel>) -> Result<(Ends, Ends, Option<Meter>), Fault> {
    match channel {
        None => Ok((None, None, None)),
        Some(Channel::Pipes { hears, says }) => Ok((None, Some((hears, says)), None)),
        Some(Channel::Stdio {
            stdin,
            stdout,
            meter,
        }) => Ok((Some((stdin, stdout)), None, Some(meter))),
        Some(Channel::Socket(_)) => Err(Fault::Host("a socket for a native program".to_owned())),
    }
}

/// Empty input: our own memory, not the host's /dev/null, whose times every
/// cell could set and read.
fn empty() -> Result<&'static Sealed, Fault> {
    static EMPTY: OnceLock<Sealed> = OnceLock::new();
    if let Some(sealed) = EMPTY.get() {
        return Ok(sealed);
    }
    let sealed = Sealed::new(&[]).map_err(host)?;
    Ok(EMPTY.get_or_init(|| sealed))
}

fn wire_plan(plan: &Plan) -> wire::Plan {
    let bytes = |s: &String| s.clone().into_bytes();
    wire::Plan {
        argv: plan.argv.iter().map(bytes).collect(),
        env: plan
            .env
            .iter()
            .map(|(k, v)| format!("{k}={v}").into_bytes())
            .collect(),
        files: plan
            .files
            .as_ref()
            .map(|p| p.entries.to_vec())
            .unwrap_or_default(),
        extra_fds: Vec::new(),
        disk_bytes: plan.limits.disk_bytes,
        inodes: plan.limits.files,
        rlimits: rlimits(&plan.limits),
        collect: plan.collect.clone(),
        filter: plan.policy.filter.clone(),
        sockets: plan.policy.calls.sockets == assize_policies::Sockets::Loopback,
        read_only: plan.policy.files.read_only.clone(),
        read_write: plan.policy.files.read_write.clone(),
        warm: None,
    }
}

fn read_files(
    wanted: &[wire::Collect],
    collected: Vec<Result<u64, CollectError>>,
    files: Vec<OwnedFd>,
) -> BTreeMap<String, Result<Vec<u8>, CollectError>> {
    let mut files = files.into_iter();
    let read = |(want, found): (&wire::Collect, Result<u64, CollectError>)| {
        let data = found.and_then(|_| {
            let file = File::from(files.next().ok_or(CollectError::Missing)?);
            let mut data = Vec::new();
            // The size was checked inside; what we read is bounded again here.
            let mut bounded = file.take(want.max_bytes.saturating_add(1));
            bounded
                .read_to_end(&mut data)
                .map_err(|_| CollectError::Irregular)?;
            let fits = data.len() as u64 <= want.max_bytes;
            if fits {
                Ok(data)
            } else {
                Err(CollectError::TooLarge)
            }
        });
        (want.path.clone(), data)
    };
    wanted.iter().zip(collected).map(read).collect()
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

pub(crate) fn cgroup(error: CgroupError) -> Fault {
    match error {
        CgroupError::Unenforceable { limit, reason } => Fault::Unenforceable { limit, reason },
        // The kernel said no to a value: the host cannot hold this limit.
        CgroupError::ReadBack { ref path, .. } => {
            let file = path.to_string_lossy();
            let limit = if file.contains("pids") {
                "processes"
            } else {
                "memory_bytes"
            };
            Fault::Unenforceable {
                limit,
                reason: error.to_string(),
            }
        }
        CgroupError::Unsettled(_) => Fault::Host(error.to_string()),
        CgroupError::Io { path, source } => Fault::Host(format!("{}: {source}", path.display())),
    }
}

impl From<Stream> for Vec<u8> {
    fn from(stream: Stream) -> Self {
        stream.data
    }
}
