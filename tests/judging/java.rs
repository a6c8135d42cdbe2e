//! Java, where a JDK is installed. setup does not install one, so what cannot
//! be tried here says so aloud.

use assize_executor::{End, Limit};
use assize_judge::case::{Run, RunResult};
use assize_runtimes::BackendChoice;
use serde_json::{Value, json};

use crate::engine;

/// Whether there is Java; without it, that the server says why.
fn installed() -> bool {
    let (_, engine) = engine();
    match engine.registry().select("java", BackendChoice::Native) {
        Ok(_) => true,
        Err(why) => {
            println!("not tried: {why}");
            assert!(why.to_string().contains("java"), "{why}");
            false
        }
    }
}

fn run(request: &Value) -> RunResult {
    let (runtime, engine) = engine();
    let request = serde_json::from_value(request.clone()).unwrap();
    let run: Run = assize_api::admit_run(engine, &request).unwrap();
    runtime.block_on(engine.run(&run)).unwrap()
}

fn java(code: &str, stdin: &str) -> RunResult {
    run(&json!({"language": "java", "code": code, "stdin": stdin}))
}

fn out(result: &RunResult) -> String {
    let compile = &result.compile.as_ref().unwrap().outcome;
    let Some(outcome) = &result.outcome else {
        return String::from_utf8_lossy(&compile.stderr.data).into_owned();
    };
    let streams = [&outcome.stdout.data[..], &outcome.stderr.data[..]].concat();
    String::from_utf8_lossy(&streams).into_owned()
}

#[test]
fn the_class_with_main_is_found_whatever_it_is_called_and_wherever_it_stands() {
    if !installed() {
        return;
    }
    let body = "public static void main(String[] a) { System.out.println(new java.util.Scanner(System.in).nextInt() + 1); }";
    for code in [
        format!("public class Main {{ {body} }}"),
        format!(
            "import java.util.*;\nclass Help {{}}\npublic class Solution {{ static class In {{}} {body} }}"
        ),
        format!("package some.where;\npublic class A {{ public static class B {{ {body} }} }}"),
        format!(
            "class Other {{ public static void main(String[] a) {{}} }}\nclass Main {{ {body} }}"
        ),
        format!("record R(int x) {{ {body} }}"),
    ] {
        assert_eq!(out(&java(&code, "41\n")), "42\n", "{code}");
    }
    let two = json!({
        "language": "java", "entry": "Main.java", "stdin": "41\n", "args": ["x"],
        "files": {
            "Main.java": {"text": "public class Main { public static void main(String[] a) { new lib.Help().help(a); } }"},
            "lib/Help.java": {"text": "package lib; public class Help { public void help(String[] a) { System.out.print(a[0]); } }"},
        },
    });
    assert_eq!(out(&run(&two)), "x");
}

#[test]
fn errors_of_the_source_are_javacs_and_nothing_of_the_source_runs_while_it_compiles() {
    if !installed() {
        return;
    }
    let wrong = java("public class A { int x = y; }", "");
    assert!(
        out(&wrong).contains("Main.java:1: error: cannot find symbol"),
        "{}",
        out(&wrong)
    );
    assert_eq!(wrong.compile.unwrap().outcome.end, End::Exited(1));
    let none = java(
        "public class A { static void main() {} private static void main(String[] a) {} int main; }",
        "",
    );
    if !out(&none).is_empty() {
        assert!(
            out(&none).contains("no class has a main method"),
            "{}",
            out(&none)
        );
    }
    let processor = json!({
        "language": "java", "entry": "Main.java",
        "files": {
            "Main.java": {"text": "public class Main { public static void main(String[] a) {} }"},
            "META-INF/services/javax.annotation.processing.Processor": {"text": "Main"},
        },
    });
    assert!(run(&processor).compile.unwrap().succeeded);
}

#[test]
fn limits_hold_a_jvm_as_they_hold_any_program() {
    if !installed() {
        return;
    }
    let main = |body: &str| {
        format!(
            "import java.util.*; public class Main {{ static int deep(int n) {{ return n == 0 ? 0 : 1 + deep(n - 1); }} public static void main(String[] a) throws Exception {{ {body} }} }}"
        )
    };
    let end = |body: &str| java(&main(body), "").outcome.unwrap().end;
    assert_eq!(
        end("for (long i = 0; ; i++) if (i < 0) return;"),
        End::Limit(Limit::Cpu)
    );
    assert_eq!(
        end("System.exit(deep(200000) == 200000 ? 7 : 8);"),
        End::Exited(7)
    );
    assert_eq!(end("throw new RuntimeException(\"x\");"), End::Exited(1));
    // The heap is what was granted, so the JVM itself says that it is full.
    let full = java(
        &main("List<byte[]> l = new ArrayList<>(); for (;;) l.add(new byte[1 << 20]);"),
        "",
    );
    assert!(out(&full).contains("OutOfMemoryError"), "{}", out(&full));
    assert_eq!(
        end("new java.net.Socket(\"127.0.0.1\", 80);"),
        End::Exited(1)
    );
    let direct = "for (List<Object> l = new ArrayList<>(); ; ) { var b = java.nio.ByteBuffer.allocateDirect(1 << 20); for (int i = 0; i < 1 << 20; i += 4096) b.put(i, (byte) 1); l.add(b); }";
    assert!(matches!(
        end(direct),
        End::Exited(1) | End::Limit(Limit::Memory)
    ));
}

#[test]
fn the_same_classes_are_compiled_once() {
    if !installed() {
        return;
    }
    let code =
        "public class Once { public static void main(String[] a) { System.out.print(\"once\"); } }";
    let cached = [java(code, ""), java(code, "")].map(|r| {
        assert_eq!(out(&r), "once");
        r.compile.unwrap().cached
    });
    assert_eq!(cached, [false, true]);
}
