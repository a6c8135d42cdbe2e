//! Sources that attack the compiler, or whoever reads what it leaves.

use std::time::Duration;

use assize_executor::{Collect, CollectError, End, Limit, Outcome, Plan};
use assize_tests::hostile::{shared, show};
use assize_tests::{limited, plan, profile, run, with_files};

/// Compiles under the `compile` profile with tighter limits.
fn compile(name: &str, source: &str, flags: &[&str]) -> Outcome {
    let compiler = if name.ends_with(".cpp") {
        "/usr/bin/g++"
    } else {
        "/usr/bin/gcc"
    };
    let mut argv = vec![compiler, "-o", "main", name];
    argv.extend(flags);
    let policy = profile("compile");
    let plan = Plan {
        limits: policy.limits,
        policy,
        collect: vec![Collect {
            path: "main".into(),
            max_bytes: 1 << 20,
        }],
        ..plan(&argv)
    };
    let plan = limited(plan, |l| {
        l.cpu_ms = 1500;
        l.wall_ms = 10_000;
        l.memory_bytes = 192 << 20;
        l.disk_bytes = 64 << 20;
    });
    run(shared(), with_files(plan, &[(name, source.as_bytes())]))
}

fn diagnostics(outcome: &Outcome) -> String {
    String::from_utf8_lossy(&outcome.stderr.data).into_owned()
}

#[track_caller]
fn met_a_limit(outcome: &Outcome) {
    // A compiler driver outlives the part of it that was killed for memory,
    // so the kernel's own record decides, not its exit status.
    assert!(
        matches!(outcome.end, End::Limit(Limit::Cpu | Limit::Memory)),
        "{}",
        show(outcome)
    );
    assert!(
        outcome.usage.cpu < Duration::from_secs(4),
        "{}",
        show(outcome)
    );
}

const MAIN: &str = "int main() { return 0; }\n";

#[test]
fn a_source_can_include_only_the_cells_own_files() {
    // The control of the refusals below: what is there is indeed told.
    let outcome = compile("main.c", "#include \"/etc/passwd\"\n", &[]);
    let said = diagnostics(&outcome);
    assert!(
        said.contains("root:x:0:0:root:/:/usr/sbin/nologin"),
        "{said}"
    );
    let hosts = std::fs::read_to_string("/etc/passwd").expect("the host's own");
    let first = hosts.lines().next().expect("root");
    assert!(!said.contains(first), "the host's: {said}");
}

#[test]
fn assembly_and_embedding_reach_no_further_than_includes() {
    for (name, source) in [
        ("main.c", "asm(\".incbin \\\"/etc/shadow\\\"\");\n"),
        ("main.c", "asm(\".include \\\"/root/.ssh/id_rsa\\\"\");\n"),
        ("main.c", "asm(\".incbin \\\"/proc/1/environ\\\"\");\n"),
        (
            "main.cpp",
            "const char x[] = {\n#embed \"/etc/shadow\"\n};\n",
        ),
        (
            "main.cpp",
            "#if __has_include(\"/etc/shadow\")\n#error it is there\n#else\n#error no such file\n#endif\n",
        ),
    ] {
        let outcome = compile(name, &format!("{source}{MAIN}"), &[]);
        assert_eq!(outcome.end, End::Exited(1), "{source}: {}", show(&outcome));
        assert_eq!(outcome.files["main"], Err(CollectError::Missing));
        assert!(!diagnostics(&outcome).contains("it is there"));
    }
    // The control: a file of the cell is taken in.
    let own = "asm(\".data\\n.incbin \\\"/etc/passwd\\\"\\n.text\");\n";
    let outcome = compile("main.c", &format!("{own}{MAIN}"), &[]);
    assert_eq!(outcome.end, End::Exited(0), "{}", show(&outcome));
    let binary = outcome.files["main"].clone().expect("a binary");
    let found = binary.windows(14).any(|w| w == b"program:x:1000");
    assert!(found, "the cell's own passwd is not in the binary");
}

#[test]
fn a_compilers_environment_is_the_plans() {
    let source = "asm(\".data\\n.incbin \\\"/proc/self/environ\\\"\\n.text\");\n";
    let outcome = compile("main.c", &format!("{source}{MAIN}"), &[]);
    // A file of /proc has no size, so some assemblers take nothing in; what is
    // taken in is the plan's own.
    if let Ok(binary) = &outcome.files["main"] {
        for (name, value) in std::env::vars() {
            let secret = format!("{name}={value}");
            let known = ["PATH=", "HOME=", "PWD=", "LANG=", "LC_", "_=", "SHLVL="];
            if known.iter().any(|k| secret.starts_with(k)) {
                continue;
            }
            let found = binary.windows(secret.len()).any(|w| w == secret.as_bytes());
            assert!(!found, "{name} of the server is in the binary");
        }
    } else {
        assert_eq!(outcome.end, End::Exited(1), "{}", show(&outcome));
    }
}

#[test]
fn a_source_cannot_load_a_plugin() {
    // Options are the manifest's, and no pragma adds one.
    let source = "#pragma GCC plugin \"/work/evil.so\"\n#pragma GCC optimize (\"-fplugin=/work/evil.so\")\n\
                  _Pragma(\"GCC dependency \\\"/etc/shadow\\\"\")\n";
    let outcome = compile("main.c", &format!("{source}{MAIN}"), &[]);
    let said = diagnostics(&outcome);
    assert!(!said.contains("cannot load plugin"), "{said}");
    // The control: as an option it is tried.
    let outcome = compile("main.c", MAIN, &["-fplugin=/work/evil.so"]);
    let said = diagnostics(&outcome);
    assert!(said.contains("cannot load plugin"), "{said}");
}

#[test]
fn a_template_bomb_meets_a_limit() {
    let bomb = "template<int N, int M> struct A { static const long v = A<N - 1, M>::v + A<N - 1, M + (1 << (N % 20))>::v; };\n\
                template<int M> struct A<0, M> { static const long v = M; };\n\
                long x = A<40, 0>::v;\n";
    met_a_limit(&compile(
        "main.cpp",
        &format!("{bomb}{MAIN}"),
        &["-ftemplate-depth=9000"],
    ));
    let tame = bomb.replace("A<40, 0>", "A<4, 0>");
    let outcome = compile("main.cpp", &format!("{tame}{MAIN}"), &[]);
    assert_eq!(outcome.end, End::Exited(0), "{}", show(&outcome));
}

#[test]
fn a_constant_expression_bomb_meets_a_limit() {
    let bomb = "constexpr long f(long n) { long s = 0; for (long i = 0; i < n; i++) for (long j = 0; j < 200000; j++) s += i ^ j; return s; }\n\
                constexpr long x = f(200000);\n";
    let flags = [
        "-std=c++17",
        "-fconstexpr-ops-limit=99999999999",
        "-fconstexpr-loop-limit=2147483647",
    ];
    met_a_limit(&compile("main.cpp", &format!("{bomb}{MAIN}"), &flags));
    let tame = bomb
        .replace("f(200000)", "f(1)")
        .replace("200000; j++", "20; j++");
    let outcome = compile("main.cpp", &format!("{tame}{MAIN}"), &flags);
    assert_eq!(outcome.end, End::Exited(0), "{}", show(&outcome));
}

#[test]
fn a_binary_of_gigabytes_is_not_handed_back() {
    // Four gigabytes of data from one line. The assembler meets the size of
    // the disk or of memory first.
    let outcome = compile("main.c", &format!("int a[1 << 30] = {{1}};\n{MAIN}"), &[]);
    assert_ne!(outcome.end, End::Exited(0), "{}", show(&outcome));
    assert!(outcome.files["main"].is_err(), "{}", show(&outcome));
    // Under the limits of the file itself: two megabytes are one too many.
    let outcome = compile("main.c", &format!("int a[1 << 19] = {{1}};\n{MAIN}"), &[]);
    assert_eq!(outcome.end, End::Exited(0), "{}", show(&outcome));
    assert_eq!(outcome.files["main"], Err(CollectError::TooLarge));
    let outcome = compile("main.c", &format!("int a[1 << 10] = {{1}};\n{MAIN}"), &[]);
    assert!(outcome.files["main"].is_ok(), "{}", show(&outcome));
}

#[test]
fn endless_diagnostics_are_truncated() {
    let noise = "#include __FILE__\n";
    let outcome = compile(
        "main.c",
        &format!("{noise}{noise}{MAIN}"),
        &["-fmax-include-depth=200000"],
    );
    assert_ne!(outcome.end, End::Exited(0), "{}", show(&outcome));
    let limit = usize::try_from(profile("compile").limits.stderr_bytes).expect("fits");
    assert!(outcome.stderr.data.len() <= limit);
}
