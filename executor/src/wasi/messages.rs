//! From plans to what a worker is told, and from its reports to outcomes.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use assize_wire::worker::{
    Captured, ModuleRef, WasiEnd, WasiLimits, WasiPlan, WasiReport, WorkerRequest,
};

use crate::channel::Channel;
use crate::outcome::{Backend, End, Fault, Limit, Outcome, Stream, Usage, Violation};
use crate::plan::{Module, Plan, Target};
use crate::spawn::host;

pub(super) fn wire_plan(id: u64, plan: Plan) -> Result<(WorkerRequest, Vec<OwnedFd>), Fault> {
    let mut fds = Vec::new();
    let module = match plan.target {
        Target::Wasi(Module::Guest(name), _) => ModuleRef::Guest(name),
        Target::Wasi(Module::Compiled(sealed), _) => {
            fds.push(sealed.open().map_err(host)?);
            ModuleRef::Passed
        }
        Target::Native => return Err(Fault::NoBackend("wasi")),
    };
    let files = match &plan.files {
        Some(pack) => {
            if !pack.entries.is_empty() {
                fds.push(pack.sealed.open().map_err(host)?);
            }
            pack.entries.to_vec()
        }
        None => Vec::new(),
    };
    if let Some(stdin) = &plan.stdin {
        fds.push(stdin.open().map_err(host)?);
    }
    let channel = plan.channel.is_some();
    match plan.channel {
        Some(Channel::Socket(socket)) => fds.push(socket),
        Some(Channel::Pipes { .. } | Channel::Stdio { .. }) => {
            return Err(Fault::Host("pipes for a wasm guest".to_owned()));
        }
        None => {}
    }
    let ns = |ms: u64| ms.saturating_mul(1_000_000);
    let limits = WasiLimits {
        cpu_ns: ns(plan.limits.cpu_ms),
        wall_ns: ns(plan.limits.wall_ms),
        memory_bytes: plan.limits.memory_bytes,
        disk_bytes: plan.limits.disk_bytes,
        files: plan.limits.files,
        stdout_bytes: plan.limits.stdout_bytes,
        stderr_bytes: plan.limits.stderr_bytes,
        report_bytes: plan.report_bytes,
    };
    let (argv, env, stdin) = (plan.argv, plan.env, plan.stdin.is_some());
    let collect = plan.collect;
    let plan = WasiPlan {
        id,
        module,
        argv,
        env,
        files,
        collect,
        stdin,
        channel,
        limits,
    };
    Ok((WorkerRequest::Run(Box::new(plan)), fds))
}

pub(super) fn outcome(
    report: WasiReport,
    wanted: &[String],
    enforced: &Arc<[String]>,
) -> Result<Outcome, Fault> {
    let starved = report.memory_denied;
    let end = match report.end {
        WasiEnd::Exited(0) => End::Exited(0),
        // It was refused memory and then failed: the limit is the cause.
        WasiEnd::Exited(_) | WasiEnd::Trapped(_) if starved => End::Limit(Limit::Memory),
        WasiEnd::Exited(status) => End::Exited(status),
        WasiEnd::Trapped(name) => End::Trapped(name),
        WasiEnd::CpuLimit => End::Limit(Limit::Cpu),
        WasiEnd::WallLimit => End::Limit(Limit::Wall),
        WasiEnd::OutputLimit => End::Limit(Limit::Output),
        WasiEnd::Cancelled => return Err(Fault::ShuttingDown),
        WasiEnd::Fault(reason) => return Err(Fault::NotStarted(reason)),
    };
    let mut violations = Vec::new();
    if starved {
        let name = "memory.grow".to_owned();
        violations.push(Violation {
            kind: "memory",
            name,
            count: 1,
        });
    }
    let stream = |c: Captured| Stream {
        data: c.data,
        total: c.total,
    };
    Ok(Outcome {
        end,
        stdout: stream(report.stdout),
        stderr: stream(report.stderr),
        report: stream(report.report),
        files: wanted
            .iter()
            .cloned()
            .zip(report.collected)
            .collect::<BTreeMap<_, _>>(),
        usage: Usage {
            cpu: Duration::from_nanos(report.cpu_ns),
            wall: Duration::from_nanos(report.wall_ns),
            memory_peak: report.memory_peak_bytes,
            processes_peak: Some(1),
            instructions: report.fuel,
        },
        backend: Backend::Wasi,
        enforced: Arc::clone(enforced),
        missing: Arc::default(),
        violations,
        attempts: 1,
    })
}
