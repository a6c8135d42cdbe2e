//! The JavaScript guest, as `runtimes/wasi/build.sh` makes it.
//!
//! `ASSIZE_GUESTS` says where it is, and Node must be installed: most of these
//! tests run a program there and here and compare what it prints. Without
//! either they fail, for then nothing has been tested.

#![allow(clippy::unwrap_used, reason = "a failure here fails the test")]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod support;

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use assize_wire::worker::{WasiEnd, WasiReport};
use support::{Run, TempDir, Worker};

const SECOND: u64 = 1_000_000_000;

fn worker() -> Worker {
    let guests = std::env::var_os("ASSIZE_GUESTS")
        .expect("ASSIZE_GUESTS must name the directory that runtimes/wasi/build.sh has filled");
    let worker = Worker::start(&PathBuf::from(guests));
    assert!(
        worker.guests.iter().any(|guest| guest == "javascript"),
        "no javascript in there"
    );
    worker
}

fn code(source: &str) -> Run {
    Run::guest("javascript", &["node", "-e", source])
}

fn script(source: &str) -> Run {
    Run::guest("javascript", &["node", "/work/main.js", "one", "two"])
        .file("main.js", source.as_bytes())
}

#[track_caller]
fn prints(run: Run, expected: &str) {
    let report = worker().run(run);
    let stderr = String::from_utf8_lossy(&report.stderr.data);
    assert_eq!(report.end, WasiEnd::Exited(0), "{stderr}");
    let stdout = String::from_utf8_lossy(&report.stdout.data);
    assert_eq!(stdout, expected, "{stderr}");
}

fn fixture(name: &str) -> Vec<u8> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/javascript");
    std::fs::read(dir.join(name)).unwrap()
}

/// The same program under Node, its directory named `/work` in what it prints.
fn node(files: &[(&str, Vec<u8>)], args: &[&str], stdin: &str) -> Output {
    let dir = TempDir::new();
    for (name, content) in files {
        std::fs::write(dir.path().join(name), content).unwrap();
    }
    let mut child = Command::new("node")
        .arg(dir.path().join(files[0].0))
        .args(args)
        .current_dir(dir.path())
        .env("TZ", "UTC")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("these tests compare with Node: `node` must be installed (deploy/setup.sh)");
    // A program that reads nothing may have ended.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let mut output = child.wait_with_output().unwrap();
    let here = dir.path().to_str().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).replace(here, "/work");
    output.stdout = text.into_bytes();
    output
}

fn guest(files: &[(&str, Vec<u8>)], args: &[&str], stdin: &str) -> WasiReport {
    let main = format!("/work/{}", files[0].0);
    let argv: Vec<&str> = ["node", &main]
        .into_iter()
        .chain(args.iter().copied())
        .collect();
    let mut run = Run::guest("javascript", &argv).stdin(stdin.as_bytes());
    for (name, content) in files {
        run = run.file(name, content);
    }
    worker().run(run)
}

/// Runs a program there and here; the first line that differs is shown.
#[track_caller]
fn same(files: &[(&str, Vec<u8>)], stdin: &str, least_lines: usize) {
    let there = node(files, &[], stdin);
    let errors = String::from_utf8_lossy(&there.stderr);
    assert_eq!(there.status.code(), Some(0), "Node: {errors}");
    let here = guest(files, &[], stdin);
    let errors = String::from_utf8_lossy(&here.stderr.data);
    let (wanted, got) = (
        String::from_utf8_lossy(&there.stdout).into_owned(),
        String::from_utf8_lossy(&here.stdout.data).into_owned(),
    );
    for (i, (wanted, got)) in wanted.lines().zip(got.lines()).enumerate() {
        assert_eq!(got, wanted, "line {}; {errors}", i + 1);
    }
    assert_eq!(here.end, WasiEnd::Exited(0), "{errors}");
    assert_eq!(got, wanted, "one of the two stops early; {errors}");
    assert!(wanted.lines().count() >= least_lines, "{wanted}");
}

#[test]
fn a_program_prints() {
    prints(code("console.log(1)"), "1\n");
}

#[test]
fn a_file_runs_with_its_arguments_and_its_neighbours() {
    let source =
        "console.log(process.argv, __filename, require('./helper').x, require.main === module)";
    prints(
        script(source).file("helper.js", b"exports.x = 5"),
        "[ '/usr/local/bin/node', '/work/main.js', 'one', 'two' ] /work/main.js 5 true\n",
    );
}

#[test]
fn hundreds_of_values_print_as_under_node() {
    same(&[("main.js", fixture("values.js"))], "", 4000);
}

#[test]
fn thousands_of_operations_come_to_what_they_come_to_under_node() {
    same(&[("main.js", fixture("operations.js"))], "", 10_000);
}

#[test]
fn the_library_does_what_nodes_does() {
    same(&[("main.js", fixture("library.js"))], "", 100);
}

#[test]
fn modules_of_both_kinds_and_json_import_one_another() {
    let files = [
        ("main.mjs", fixture("modules/main.mjs")),
        ("second.mjs", fixture("modules/second.mjs")),
        ("third.cjs", fixture("modules/third.cjs")),
        ("data.json", fixture("modules/data.json")),
    ];
    same(&files, "one\ntwo é\n\nlast", 10);
}

#[test]
fn a_file_that_imports_is_a_module_whatever_its_name() {
    let source =
        b"import os from 'os';\nexport const a = 1;\nconsole.log(os.EOL.length, typeof module);";
    same(&[("main.js", source.to_vec())], "", 1);
}

/// Every way in which programs read their input.
#[test]
fn input_is_read_as_under_node() {
    let programs = [
        "let d = ''; process.stdin.setEncoding('utf8'); process.stdin.on('data', c => d += c); process.stdin.on('end', () => console.log(d.split('\\n')));",
        "const l = []; process.stdin.on('data', c => l.push(c)).on('end', () => console.log(Buffer.concat(l).toString().length));",
        "console.log(require('fs').readFileSync(0, 'utf8').trim().split('\\n'));",
        "console.log(require('fs').readFileSync('/dev/stdin').toString().split(/\\s+/)); process.stdout.write('no line break');",
        "const r = require('readline').createInterface({ input: process.stdin }); const l = []; r.on('line', x => l.push(x)); r.on('close', () => console.log(l));",
        "const r = require('readline').createInterface({ input: process.stdin, output: process.stdout }); r.question('name? ', n => { console.log('hi', n); r.on('line', l => console.log('L', l)); r.on('close', () => console.log('closed')) });",
        "(async () => { const r = require('readline').createInterface({ input: process.stdin, crlfDelay: Infinity }); let n = 0; for await (const l of r) console.log(++n, l); console.log('done'); })();",
        "(async () => { const r = require('readline/promises').createInterface({ input: process.stdin }); console.log(await r.question('q1 '), await r.question('q2 ')); r.close(); })();",
        "(async () => { let s = ''; for await (const c of process.stdin) s += c; console.log(s.length, s) })();",
        "process.stdin.on('readable', () => { let c; while ((c = process.stdin.read()) !== null) console.log('chunk', c.toString()) }); process.stdin.on('end', () => console.log('end'));",
        "const { Transform } = require('stream'); process.stdin.pipe(new Transform({ transform(c, e, done) { done(null, String(c).toUpperCase()) } })).pipe(process.stdout);",
        "const fs = require('fs'); const b = Buffer.alloc(5); let n; const l = []; while ((n = fs.readSync(0, b, 0, 5, null)) > 0) l.push(b.toString('latin1', 0, n)); console.log(l);",
        "require('fs').createReadStream('/dev/stdin', { encoding: 'utf8' }).on('data', c => console.log([c])).on('close', () => console.log('closed'));",
        "require('fs').promises.readFile('/dev/stdin', 'utf8').then(console.log);",
        "require('fs').readFile(0, 'utf8', (e, d) => console.log(e, d)); console.log('first');",
    ];
    let stdin = "3 4\ntwo é😀\n\nlast";
    for program in programs {
        let files = [("main.js", program.as_bytes().to_vec())];
        let there = node(&files, &[], stdin);
        let here = guest(&files, &[], stdin);
        assert_eq!(
            String::from_utf8_lossy(&here.stdout.data),
            String::from_utf8_lossy(&there.stdout),
            "{program}\n{}",
            String::from_utf8_lossy(&here.stderr.data)
        );
        assert_eq!(here.end, WasiEnd::Exited(0), "{program}");
    }
}

/// Exit statuses and what handlers of errors print, for each way to end.
#[test]
fn programs_end_as_under_node() {
    let worker = worker();
    let source = fixture("endings.js");
    let ways = "thr str rej rejs exit3 code neg unc unr late exitin asyncthr timer mod2 syn be ref \
                qm tick erro nul sym cause own";
    for way in ways.split_whitespace() {
        let there = node(&[("main.js", source.clone())], &[way], "");
        let run =
            Run::guest("javascript", &["node", "/work/main.js", way]).file("main.js", &source);
        let here = worker.run(run);
        let status = there.status.code().unwrap();
        assert_eq!(here.end, WasiEnd::Exited(status), "{way}");
        assert_eq!(
            String::from_utf8_lossy(&here.stdout.data),
            String::from_utf8_lossy(&there.stdout),
            "{way}"
        );
        assert_eq!(
            here.stderr.data.is_empty(),
            there.stderr.is_empty(),
            "{way}"
        );
    }
}

#[test]
fn an_uncaught_error_is_shown_with_its_place_and_stack() {
    let report = worker().run(script(
        "function f() {\n  throw new TypeError('bad');\n}\nf();\n",
    ));
    let stderr = String::from_utf8_lossy(&report.stderr.data);
    for part in [
        "/work/main.js:2\n  throw new TypeError('bad');\n",
        "\n\nTypeError: bad\n    at f (/work/main.js:2:",
    ] {
        assert!(stderr.contains(part), "{stderr}");
    }
    assert_eq!(report.end, WasiEnd::Exited(1));
}

/// Each is a program that recurses in a way of its own: in scripts, in
/// built-in functions, in the parser, in regular expressions.
#[test]
fn no_recursion_ends_in_a_trap() {
    let worker = worker();
    let source = fixture("recursion.js");
    let text = String::from_utf8(source.clone()).unwrap();
    let shapes: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.split_once("() {"))
        .map(|(name, _)| name)
        .collect();
    assert!(shapes.len() > 90, "{shapes:?}");
    for shape in shapes {
        let run =
            Run::guest("javascript", &["node", "/work/main.js", shape]).file("main.js", &source);
        let report = worker.run(run);
        let stdout = String::from_utf8_lossy(&report.stdout.data);
        assert_eq!(report.end, WasiEnd::Exited(0), "{shape}: {stdout}");
        assert!(stdout.starts_with(shape), "{stdout}");
    }
}

#[test]
fn deep_recursion_is_a_range_error_as_late_as_under_node() {
    let source = "let n = 0; const f = () => { n += 1; f() }; try { f() } \
                  catch (e) { console.log(e instanceof RangeError, e.message, n > 9000) }";
    prints(code(source), "true Maximum call stack size exceeded true\n");
}

#[test]
fn memory_over_the_limit_is_an_error_that_can_be_caught() {
    let source = "try { const all = []; for (;;) all.push(new Array(1e5).fill(1)) } catch (e) { console.log('denied') }";
    let run = code(source).limits(|limits| limits.memory_bytes = 64 << 20);
    let report = worker().run(run);
    assert_eq!(
        (report.end, report.stdout.data),
        (WasiEnd::Exited(0), b"denied\n".to_vec())
    );
    assert!(report.memory_denied && report.memory_peak_bytes <= 64 << 20);
}

#[test]
fn memory_over_the_limit_that_nobody_catches_is_status_one() {
    for source in [
        "const all = []; for (;;) all.push(new Array(1e5).fill(1))",
        "let all = null; for (;;) all = { all }",
        "new Uint8Array(2 ** 29)",
        "let s = 'x'; const all = []; for (;;) all.push(s += s.slice(-1e6) + 'é')",
        "const m = new Map(); for (let i = 0; ; i++) m.set(i, String(i))",
        "Promise.resolve().then(function f() { const a = []; for (;;) a.push({ a: [] }) })",
    ] {
        let run = code(source).limits(|limits| limits.memory_bytes = 48 << 20);
        let report = worker().run(run);
        assert_eq!(report.end, WasiEnd::Exited(1), "{source}");
        assert!(
            report.memory_denied && !report.stderr.data.is_empty(),
            "{source}"
        );
    }
}

#[test]
fn an_endless_loop_is_stopped_by_the_cpu_limit() {
    for source in [
        "for (;;);",
        "/^(a+)+$/.test('a'.repeat(40) + 'b')",
        "(function f() { process.nextTick(f) })()",
    ] {
        let run = code(source).limits(|limits| limits.cpu_ns = SECOND / 5);
        assert_eq!(worker().run(run).end, WasiEnd::CpuLimit, "{source}");
    }
}

#[test]
fn a_timer_that_is_far_away_is_stopped_by_the_wall_limit() {
    let run = code("console.log('soon'); setTimeout(() => {}, 60000)")
        .limits(|limits| limits.wall_ns = SECOND / 5);
    let report = worker().run(run);
    assert_eq!(
        (report.end, report.stdout.data),
        (WasiEnd::WallLimit, b"soon\n".to_vec())
    );
}

#[test]
fn output_over_the_limit_ends_the_run() {
    let run =
        code("for (;;) console.log('x'.repeat(1000))").limits(|limits| limits.stdout_bytes = 4096);
    let report = worker().run(run);
    assert_eq!(
        (report.end, report.stdout.data.len()),
        (WasiEnd::OutputLimit, 4096)
    );
}

#[test]
fn what_is_missing_says_so_and_names_the_backend() {
    for (source, what) in [
        ("require('http')", "module 'http'"),
        ("require('node:worker_threads')", "module 'worker_threads'"),
        ("require('child_process')", "module 'child_process'"),
        ("require('lodash')", "module 'lodash'"),
        ("import('crypto')", "module 'crypto'"),
        ("new Intl.NumberFormat('de')", "global 'Intl'"),
        ("fetch('http://localhost')", "global 'fetch'"),
        ("(1).toLocaleString('de-DE')", "locale 'de-DE'"),
        ("require('vm').createContext({})", "'vm.createContext'"),
    ] {
        let report = worker().run(code(source));
        let stderr = String::from_utf8_lossy(&report.stderr.data);
        assert_eq!(report.end, WasiEnd::Exited(1), "{source}");
        let said = format!("Cannot find {what} on the wasi backend");
        assert!(stderr.contains(&said), "{source}: {stderr}");
    }
}

/// QuickJS's own modules read files and start programs past every rule of the
/// library; and the host's functions are not a program's to call.
#[test]
fn neither_the_engines_modules_nor_the_host_are_in_reach() {
    let source = "(async () => {
        const found = [];
        for (const name of ['std', 'os', 'bjson', 'scriptArgs', 'host', 'print', 'navigator'])
          if (name in globalThis) found.push(name);
        for (const name of ['std', 'qjs:std', 'qjs:os', 'qjs:bjson', 'node:internal/boot', 'internal/main', 'assize:host', '/build/lib/boot.js', './platform.js', '/assize/guest/platform.js'])
          await import(name).then(() => found.push(name), () => {});
        const seen = new Set();
        const look = (x, path) => {
          if ((typeof x !== 'object' && typeof x !== 'function') || x === null || seen.has(x)) return;
          seen.add(x);
          for (const key of Reflect.ownKeys(x)) {
            if (['evaluate', 'onRejection', 'classOf', 'loadFile', 'evalScript'].includes(key)) found.push(path + String(key));
            let value; try { value = x[key] } catch { continue }
            look(value, path + String(key) + '.');
          }
          look(Object.getPrototypeOf(x), path + '__proto__.');
        };
        look(globalThis, ''); look(require, 'require.'); look(module, 'module.');
        for (const name of require('module').builtinModules) look(require(name), name + '.');
        console.log(found);
      })()";
    prints(script(source), "[]\n");
}

#[test]
fn the_host_is_not_there() {
    let source = "const fs = require('fs');
        for (const path of ['/etc/passwd', '/proc/self/status', '/work/../../etc/passwd', '/usr/bin', '/build/lib/boot.js'])
          try { fs.readFileSync(path); console.log('read', path) } catch {}
        for (const path of ['/x', '/etc/x', '/usr/local/lib/x'])
          try { fs.writeFileSync(path, ''); console.log('wrote', path) } catch {}
        console.log(Object.keys(process.env))";
    prints(script(source), "[]\n");
}

#[test]
fn two_runs_draw_different_random_numbers() {
    let worker = worker();
    let draw = || worker.run(code("console.log(Math.random())")).stdout.data;
    let (first, second) = (draw(), draw());
    assert!(!first.is_empty() && first != second);
}

#[test]
fn what_one_run_changes_the_next_does_not_see() {
    let worker = worker();
    for _ in 0..20 {
        let run = code(
            "console.log('x' in globalThis, [].y, JSON.z, process.argv.q); \
             globalThis.x = 1; Array.prototype.y = 1; JSON.z = 1; process.argv.q = 1; \
             require('fs').readFileSync = null; console.warn = null",
        );
        assert_eq!(
            worker.run(run).stdout.data,
            b"false undefined undefined undefined\n"
        );
    }
}

#[test]
fn the_environment_is_that_of_the_run() {
    let run = code("console.log(process.env)").env("COLOUR", "blüe");
    prints(run, "{ COLOUR: 'blüe' }\n");
}

#[test]
fn a_candidate_answers_a_call_over_its_channel() {
    use std::io::Read as _;
    let worker = worker();
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    Run::guest(
        "javascript",
        &["node", "--assize-candidate", "/work/main.js"],
    )
    .file("main.js", b"const double = (x) => 2 * x;")
    .channel(theirs)
    .start(&worker);
    let receive = |ours: &mut UnixStream| {
        let mut length = [0; 4];
        ours.read_exact(&mut length).unwrap();
        let mut body = vec![0; u32::from_le_bytes(length) as usize];
        ours.read_exact(&mut body).unwrap();
        String::from_utf8(body).unwrap()
    };
    assert!(receive(&mut ours).contains("ready"));
    let call = br#"{"call": {"id": 1, "name": "double", "args": [21], "kwargs": []}}"#;
    ours.write_all(&u32::try_from(call.len()).unwrap().to_le_bytes())
        .unwrap();
    ours.write_all(call).unwrap();
    let answer = receive(&mut ours);
    assert!(answer.contains("42"), "{answer}");
    drop(ours);
    assert_eq!(worker.receive().end, WasiEnd::Exited(0));
}
