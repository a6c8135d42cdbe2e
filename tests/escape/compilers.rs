//! Compilers are hostile programs when their input is.

use assize_executor::{End, Limit, Outcome, Plan};
use assize_tests::hostile::{shared, show};
use assize_tests::{limited, out, plan, profile, run, with_files};

fn compile(source: &str) -> Outcome {
    let policy = profile("compile");
    let plan = Plan {
        limits: policy.limits,
        policy,
        ..plan(&["/usr/bin/gcc", "-c", "-o", "main.o", "main.c"])
    };
    let plan = limited(plan, |l| {
        l.cpu_ms = 1500;
        l.wall_ms = 10_000;
        l.memory_bytes = 192 << 20;
    });
    run(shared(), with_files(plan, &[("main.c", source.as_bytes())]))
}

#[test]
fn a_compiler_compiles() {
    let outcome = compile("#include <stdio.h>\nint main(void) { puts(\"x\"); }");
    assert_eq!(outcome.end, End::Exited(0), "{}", show(&outcome));
}

#[test]
fn a_source_cannot_include_the_hosts_secrets() {
    for path in ["/etc/shadow", "/proc/1/environ", "/root/.profile"] {
        let outcome = compile(&format!("#include \"{path}\"\n"));
        assert_eq!(outcome.end, End::Exited(1), "{}", show(&outcome));
        let said = String::from_utf8_lossy(&outcome.stderr.data).into_owned();
        assert!(said.contains("No such file"), "{said}");
    }
}

#[test]
fn a_source_without_end_meets_a_limit() {
    for path in ["/dev/random", "/dev/zero", "/proc/self/fd/0"] {
        let outcome = compile(&format!("#include \"{path}\"\n"));
        let ended = match outcome.end {
            End::Limit(Limit::Cpu | Limit::Memory) | End::Exited(1 | 4) => true,
            _ => path == "/proc/self/fd/0" && outcome.end == End::Exited(0),
        };
        assert!(ended, "{path}: {}", show(&outcome));
        assert!(outcome.usage.cpu.as_secs() < 4, "{}", show(&outcome));
    }
}

#[test]
fn a_macro_bomb_meets_a_limit() {
    let mut source = String::from("#define A0 x x x x x x x x\n");
    for n in 1..12 {
        let p = format!("A{} ", n - 1).repeat(8);
        source.push_str(&format!("#define A{n} {p}\n"));
    }
    source.push_str("A11\n");
    let outcome = compile(&source);
    assert!(
        matches!(outcome.end, End::Limit(Limit::Cpu | Limit::Memory)),
        "{}",
        show(&outcome)
    );
    assert_eq!(out(&outcome), "");
}
