//! Programs are compiled once: for whom, how long, and what is not kept.

use std::sync::Arc;

use assize_executor::{End, Limit};
use assize_judge::case::{Run, RunResult};
use assize_judge::engine::Engine;
use assize_policies::LimitsRequest;
use assize_runtimes::{CacheStats, Compiling};
use assize_tests::server::engine_compiling;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// An engine of one test, which then knows what was compiled.
struct Lab {
    runtime: Runtime,
    engine: Arc<Engine>,
}

impl Lab {
    fn new(cache_bytes: u64, ceiling: &LimitsRequest) -> Self {
        let runtime = Runtime::new().unwrap();
        let how = Compiling {
            cache_bytes,
            ..Compiling::default()
        };
        let engine = runtime.block_on(engine_compiling(&how, ceiling));
        Self { runtime, engine }
    }

    fn usual() -> Self {
        Self::new(16 << 20, &LimitsRequest::default())
    }

    fn admit(&self, request: &Value) -> Run {
        let request = serde_json::from_value(request.clone()).unwrap();
        assize_api::admit_run(&self.engine, &request).unwrap()
    }

    fn run(&self, request: &Value) -> RunResult {
        self.runtime
            .block_on(self.engine.run(&self.admit(request)))
            .unwrap()
    }

    /// Runs a C program; whether it was there already.
    fn c(&self, code: &str) -> bool {
        let result = self.run(&c(code));
        result.compile.unwrap().cached
    }

    fn stats(&self) -> CacheStats {
        self.engine.compiler().cache().unwrap()
    }

    fn compiles(&self) -> (u64, u64) {
        (self.stats().misses, self.stats().hits)
    }
}

fn c(code: &str) -> Value {
    json!({"language": "c", "code": code})
}

fn text(result: &RunResult) -> String {
    let stderr = &result.compile.as_ref().unwrap().outcome.stderr.data;
    String::from_utf8_lossy(stderr).into_owned()
}

/// Takes GCC a second.
const SLOW: &str = "#include <bits/stdc++.h>\nint main() { std::cout << std::regex_replace(std::string(\"a\"), std::regex(\"a\"), \"b\"); }";

#[test]
fn the_same_program_is_compiled_once_and_any_other_anew() {
    let lab = Lab::usual();
    let code = "int main(void) { return 3; }";
    let (first, second) = (lab.run(&c(code)), lab.run(&c(code)));
    assert_eq!(lab.compiles(), (1, 1));
    for result in [&first, &second] {
        assert_eq!(result.outcome.as_ref().unwrap().end, End::Exited(3));
    }
    let (first, second) = (first.compile.unwrap(), second.compile.unwrap());
    assert!(!first.cached && second.cached && second.succeeded);
    assert_eq!(first.outcome.usage, second.outcome.usage);
    let others = [
        c("int main(void) { return 4; }"),
        json!({"language": "cpp", "code": "int main(void) { return 3; }"}),
        json!({"language": "c", "code": code, "entry": "other.c"}),
        json!({"language": "c", "entry": "main.c",
               "files": {"main.c": {"text": code}, "x.h": {"text": ""}}}),
        json!({"language": "c", "entry": "main.c",
               "files": {"main.c": {"text": code}, "x.h": {"text": " "}}}),
    ];
    for other in &others {
        assert!(!lab.run(other).compile.unwrap().cached, "{other}");
    }
    assert_eq!(lab.compiles(), (1 + others.len() as u64, 1));
    // Arguments, input and limits are of the run.
    let run = json!({"language": "c", "code": code, "stdin": "x", "args": ["y"],
                     "env": {"A": "b"}, "limits": {"cpu_ms": 77}, "policy": "strict"});
    assert!(lab.run(&run).compile.unwrap().cached);
}

#[test]
fn errors_of_the_source_are_kept_with_all_that_was_said_of_them() {
    let lab = Lab::usual();
    let wrong = "int main(void) { return oops; }";
    let (first, second) = (lab.run(&c(wrong)), lab.run(&c(wrong)));
    assert_eq!(lab.compiles(), (1, 1));
    assert!(first.outcome.is_none() && second.outcome.is_none());
    assert!(text(&first).contains("oops"), "{}", text(&first));
    assert_eq!(text(&first), text(&second));
    let (first, second) = (first.compile.unwrap(), second.compile.unwrap());
    assert_eq!(first.outcome.end, second.outcome.end);
    assert!(second.cached && !second.succeeded);
}

#[test]
fn what_met_a_limit_is_compiled_again() {
    let ceiling = LimitsRequest {
        cpu_ms: Some(1000),
        wall_ms: Some(10_000),
        memory_bytes: Some(192 << 20),
        ..LimitsRequest::default()
    };
    let lab = Lab::new(16 << 20, &ceiling);
    for round in 1..=2 {
        let result = lab.run(&c("#include \"/dev/zero\"\n"));
        let compile = result.compile.unwrap();
        let end = &compile.outcome.end;
        assert!(
            matches!(end, End::Limit(Limit::Cpu | Limit::Memory)),
            "{end:?}"
        );
        assert!(!compile.cached);
        assert_eq!(lab.compiles(), (round, 0));
    }
    assert_eq!(lab.stats().entries, 0);
}

#[test]
fn a_compiler_that_crashed_or_ran_out_of_disk_is_asked_again() {
    let lab = Lab::usual();
    let crash = "#pragma GCC warning \"collect2: fatal error: ld terminated with signal 9\"\nint main(void) { return oops; }";
    // 320 MB of zeros, with 256 MB of disk.
    let large = "__asm__(\".data; .fill 320000000, 1, 7\"); int main(void) { return 0; }";
    for code in [crash, large] {
        let (first, second) = (lab.run(&c(code)), lab.run(&c(code)));
        let said = text(&first);
        let (first, second) = (first.compile.unwrap(), second.compile.unwrap());
        assert!(!first.succeeded && !second.cached, "{said}");
    }
    assert_eq!((lab.stats().hits, lab.stats().entries), (0, 0));
}

#[test]
fn tenants_neither_share_nor_see_what_the_other_has_compiled() {
    let lab = Lab::usual();
    let of = |tenant: &str| {
        let mut run = lab.admit(&c("int main(void) { return 9; }"));
        run.submission.tenant = tenant.into();
        lab.runtime
            .block_on(lab.engine.run(&run))
            .unwrap()
            .compile
            .unwrap()
            .cached
    };
    assert_eq!(
        ["a", "b", "", "a", "b"].map(of),
        [false, false, false, true, true]
    );
}

#[test]
fn no_tenant_chooses_sources_that_stand_for_anothers() {
    let lab = Lab::usual();
    // Every pair is the same bytes with its boundaries elsewhere: tenant and
    // path, path and contents, one file and the next.
    let program = |tenant: &str, files: &[(&str, &str)]| {
        let files: serde_json::Map<String, Value> = files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), json!({ "text": text })))
            .collect();
        let mut run = lab.admit(&json!({"language": "c", "entry": "main.c", "files": files}));
        run.submission.tenant = tenant.into();
        let result = lab.runtime.block_on(lab.engine.run(&run)).unwrap();
        assert!(!result.compile.unwrap().cached);
        match result.outcome.unwrap().end {
            End::Exited(status) => status,
            end => panic!("{end:?}"),
        }
    };
    let one = "#include \"a.h\"\nint main(void) { return A; }";
    let (three, all) = ("#define A 3\n//", "#define A 3\n//b.h");
    assert_eq!(program("t", &[("main.c", one), ("a.h", "#define A 1")]), 1);
    assert_eq!(program("ta", &[("main.c", one), ("a.h", "#define A 2")]), 2);
    assert_eq!(
        program("t", &[("main.c", one), ("a.h", three), ("b.h", "")]),
        3
    );
    assert_eq!(program("t", &[("main.c", one), ("a.h", all)]), 3);
    assert_eq!(lab.compiles(), (4, 0));
}

#[test]
fn a_tiny_bound_holds_and_none_keeps_nothing() {
    let bound = 64 << 10;
    let lab = Lab::new(bound, &LimitsRequest::default());
    for n in 0..12 {
        assert!(!lab.c(&format!("int main(void) {{ return {n}; }}")));
        assert!(lab.stats().bytes <= bound);
    }
    let stats = lab.stats();
    assert!(stats.evictions >= 6 && stats.entries >= 1, "{stats:?}");
    assert_eq!(stats.entries + stats.evictions, 12);
    // What does not fit at all works all the same.
    let large = "char data[1 << 20] = {1}; int main(void) { return data[0]; }";
    assert!(!lab.c(large) && !lab.c(large));

    let none = Lab::new(0, &LimitsRequest::default());
    assert_eq!(none.engine.compiler().cache(), None);
    assert!(!none.c("int main(void) { return 0; }") && !none.c("int main(void) { return 0; }"));
}

#[test]
fn the_same_program_at_the_same_time_is_compiled_once() {
    let lab = Lab::usual();
    let run = Arc::new(lab.admit(&json!({"language": "cpp", "code": SLOW})));
    lab.runtime.block_on(async {
        let mut all = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let (engine, run) = (Arc::clone(&lab.engine), Arc::clone(&run));
            all.spawn(async move { engine.run(&run).await.unwrap() });
        }
        while let Some(result) = all.join_next().await {
            let outcome = result.unwrap().outcome.unwrap();
            assert_eq!(outcome.stdout.data, b"b");
        }
    });
    assert_eq!(lab.compiles(), (1, 7));
}

#[test]
fn one_who_leaves_while_compiling_takes_nobody_along() {
    let lab = Lab::usual();
    let run = Arc::new(lab.admit(&json!({"language": "cpp", "code": SLOW})));
    lab.runtime.block_on(async {
        let start = || {
            let (engine, run) = (Arc::clone(&lab.engine), Arc::clone(&run));
            tokio::spawn(async move { engine.run(&run).await })
        };
        let leader = start();
        while lab.stats().misses == 0 {
            tokio::task::yield_now().await;
        }
        let followers = [start(), start(), start()];
        tokio::task::yield_now().await;
        leader.abort();
        assert!(leader.await.unwrap_err().is_cancelled());
        for follower in followers {
            let result = follower.await.unwrap().unwrap();
            assert_eq!(result.outcome.unwrap().stdout.data, b"b");
        }
    });
    assert_eq!(lab.compiles(), (2, 2));
}

#[test]
fn a_checker_is_compiled_once_for_all_who_are_judged_by_it() {
    let lab = Lab::usual();
    let request = |answer: &str| {
        json!({
            "language": "python", "code": format!("print({answer})"), "backend": "native",
            "tests": [{"stdin": "", "stdout": "1\n"}],
            "checker": {"kind": "program", "program": {
                "language": "c",
                "code": "#include <stdio.h>\nint main(void) { int a; return scanf(\"%d\", &a) == 1 && a == 1 ? 42 : 43; }",
            }},
        })
    };
    for (answer, verdict) in [("1", "accepted"), ("2", "wrong_answer"), ("1", "accepted")] {
        let request = serde_json::from_value(request(answer)).unwrap();
        let case = assize_api::admit_judgement(&lab.engine, &request).unwrap();
        let judged = lab.runtime.block_on(lab.engine.judge(&case)).unwrap();
        assert_eq!(judged.verdict.name(), verdict);
    }
    assert_eq!(lab.compiles(), (1, 2));
}
