//! Shared by all test binaries: an executor over freshly built binaries, and
//! short ways to say "run this and show me".

pub mod attack;

pub mod attacks;

pub mod hostile;

pub mod process;

pub mod server;

use std::path::PathBuf;
use std::sync::Arc;

use assize_executor::{
    Config, Executor, FileSource, Layer, Outcome, Pack, Plan, Target, Warm, Warmth,
};
use assize_policies::{Limits, Profile};

/// The directory with the workspace's built binaries, next to which every
/// test binary lies.
///
/// # Panics
/// When they have not been built: a test that cannot test must say so.
#[must_use]
pub fn binaries() -> PathBuf {
    let test = std::env::current_exe().expect("a running test has a path");
    let dir = test
        .parent()
        .and_then(|p| p.parent())
        .expect("…/<profile>/deps/<test>");
    assert!(
        dir.join("assize-jail").exists(),
        "{} has no assize-jail: build the workspace first (make build, or cargo build --workspace)",
        dir.display()
    );
    dir.to_owned()
}

/// A shipped profile.
///
/// # Panics
/// When there is none of that name.
#[must_use]
pub fn profile(name: &str) -> Arc<Profile> {
    let all = Profile::shipped().expect("shipped profiles are sound");
    Arc::new(
        all.into_iter()
            .find(|p| p.name == name)
            .expect("a shipped profile"),
    )
}

/// An executor with native slots only and the given layers off.
///
/// # Panics
/// When this host cannot run cells: then nothing here can be tested.
#[must_use]
pub fn executor(slots: u32, without: &[Layer]) -> Executor {
    Executor::start(&Config {
        bin: binaries(),
        wasm: None,
        slots,
        workers: 0,
        worker_runs: assize_executor::WORKER_RUNS,
        binds: Vec::new(),
        guest_files: Vec::new(),
        // Attacks in Python are made from forks of a warm interpreter.
        warmth: Warmth::AtOnce,
        without: without.to_vec(),
        best_effort: false,
    })
    .unwrap_or_else(|fault| panic!("no cell can be built on this host: {fault}"))
}

/// A plan that runs `argv` under the default profile.
#[must_use]
pub fn plan(argv: &[&str]) -> Plan {
    let policy = profile("default");
    Plan {
        argv: argv.iter().map(|a| (*a).to_owned()).collect(),
        env: vec![
            ("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into()),
            ("HOME".into(), "/work".into()),
        ],
        files: None,
        stdin: None,
        channel: None,
        report_bytes: 0,
        collect: Vec::new(),
        limits: policy.limits,
        policy,
        target: Target::Native,
        warm: None,
    }
}

/// A plan for a shell script.
#[must_use]
pub fn shell(script: &str) -> Plan {
    plan(&["/bin/sh", "-c", script])
}

/// A plan for a Python program.
#[must_use]
pub fn python(source: &str) -> Plan {
    let mut plan = with_files(
        plan(&["/usr/bin/python3", "main.py"]),
        &[("main.py", source.as_bytes())],
    );
    plan.warm = Some(Warm {
        before: "".into(),
        program: Some("main.py".to_owned()),
    });
    plan
}

/// The same plan with files.
///
/// # Panics
/// When a name is not acceptable.
#[must_use]
pub fn with_files(mut plan: Plan, files: &[(&str, &[u8])]) -> Plan {
    let files: Vec<FileSource> = files
        .iter()
        .map(|(path, data)| FileSource {
            path: (*path).to_owned(),
            data: data.to_vec(),
            executable: false,
        })
        .collect();
    plan.files = Some(Pack::new(&files).expect("plain names"));
    plan
}

/// The same plan with other limits.
#[must_use]
pub fn limited(mut plan: Plan, change: impl FnOnce(&mut Limits)) -> Plan {
    change(&mut plan.limits);
    plan
}

/// Runs a plan to its outcome.
///
/// # Panics
/// On a fault.
#[must_use]
pub fn run(executor: &Executor, plan: Plan) -> Outcome {
    block_on(executor.run(plan)).unwrap_or_else(|fault| panic!("fault: {fault}"))
}

/// Runs a future on a small runtime.
///
/// # Panics
/// When the runtime cannot be made.
pub fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(future)
}

/// Standard output as text.
#[must_use]
pub fn out(outcome: &Outcome) -> String {
    String::from_utf8_lossy(&outcome.stdout.data).into_owned()
}
