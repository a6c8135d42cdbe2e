//! The Python guest, as `runtimes/wasi/build.sh` makes it.
//!
//! `ASSIZE_GUESTS` says where it is. Without it these tests fail: a guest that
//! nobody built is a guest that nobody tested.

#![allow(clippy::unwrap_used, reason = "a failure here fails the test")]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod support;

use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use assize_wire::worker::{WasiEnd, WasiReport};
use support::{Run, Worker};

const SECOND: u64 = 1_000_000_000;

fn worker() -> Worker {
    let guests = std::env::var_os("ASSIZE_GUESTS")
        .expect("ASSIZE_GUESTS must name the directory that runtimes/wasi/build.sh has filled");
    let worker = Worker::start(&PathBuf::from(guests));
    assert!(
        worker.guests.iter().any(|guest| guest == "python"),
        "no python in there"
    );
    worker
}

fn code(source: &str) -> Run {
    Run::guest("python", &["python3", "-c", source])
}

fn script(source: &str) -> Run {
    Run::guest("python", &["python3", "/work/main.py", "one", "two"])
        .file("main.py", source.as_bytes())
}

fn python(run: Run) -> WasiReport {
    worker().run(run)
}

#[track_caller]
fn prints(run: Run, expected: &str) {
    let report = python(run);
    let stderr = String::from_utf8_lossy(&report.stderr.data);
    assert_eq!(report.end, WasiEnd::Exited(0), "{stderr}");
    assert_eq!(
        String::from_utf8_lossy(&report.stdout.data),
        expected,
        "{stderr}"
    );
}

#[test]
fn a_program_prints() {
    prints(code("print(1)"), "1\n");
}

#[test]
fn a_file_runs_as_main_with_its_arguments() {
    prints(
        script("import sys; print(__name__, __file__, sys.argv, sys.path[0])"),
        "__main__ /work/main.py ['/work/main.py', 'one', 'two'] /work\n",
    );
}

#[test]
fn a_file_imports_its_neighbour() {
    prints(
        script("import helper; print(helper.x)").file("helper.py", b"x = 5"),
        "5\n",
    );
}

#[test]
fn the_current_directory_is_work() {
    prints(
        script("import os; print(os.getcwd(), os.listdir())"),
        "/work ['main.py']\n",
    );
}

#[test]
fn frozen_modules_import() {
    prints(
        code("import json, asyncio, unittest, decimal; print(json.dumps([1]))"),
        "[1]\n",
    );
}

#[test]
fn the_rest_of_the_library_imports() {
    prints(
        code("import colorsys; print(colorsys.rgb_to_hsv(1, 0, 0))"),
        "(0.0, 1.0, 1)\n",
    );
}

#[test]
fn modules_in_c_are_there() {
    prints(
        code(
            "import bz2, decimal, hashlib, lzma, sqlite3, zlib, unicodedata\n\
             import xml.etree.ElementTree as tree\n\
             data = b'assize' * 1000\n\
             for m in bz2, lzma, zlib: print(m.decompress(m.compress(data)) == data)\n\
             db = sqlite3.connect(':memory:')\n\
             db.execute('create table t(x)')\n\
             db.executemany('insert into t values (?)', [(i,) for i in range(1000)])\n\
             print(db.execute('select sum(x), sqrt(16) from t').fetchone())\n\
             print(hashlib.sha256(b'').hexdigest()[:8], hashlib.blake2b(b'').hexdigest()[:8])\n\
             print(decimal.Decimal(1) / 7, tree.fromstring('<a>b</a>').text)",
        ),
        "True\nTrue\nTrue\n(499500, 4.0)\ne3b0c442 786a02f7\n\
         0.1428571428571428571428571429 b\n",
    );
}

#[test]
fn a_traceback_shows_lines_of_the_library() {
    for source in [
        "import json; json.loads('{')",
        "import colorsys; colorsys.hls_to_rgb(1, 2, '')",
    ] {
        let report = python(code(source));
        let stderr = String::from_utf8_lossy(&report.stderr.data);
        let lines: Vec<&str> = stderr.lines().collect();
        let inside = lines
            .iter()
            .position(|line| line.contains("/usr/local/lib/python3"))
            .expect("a frame of the library");
        // The line itself, not the next frame.
        assert!(lines[inside + 1].starts_with("    "), "{stderr}");
    }
}

#[test]
fn a_program_s_own_module_comes_before_one_of_the_library() {
    prints(
        script("import colorsys; print(colorsys.x)").file("colorsys.py", b"x = 'mine'"),
        "mine\n",
    );
}

#[test]
fn the_library_is_introspectable_without_files() {
    prints(
        code(
            "import colorsys, email, inspect, json, os, pkgutil, importlib, sys\n\
             print(inspect.getsource(colorsys.rgb_to_yiq).split('(')[0])\n\
             print('def dumps(' in inspect.getsource(json))\n\
             print(email.__file__, 'message' in [m.name for m in pkgutil.iter_modules(email.__path__)])\n\
             del sys.modules['json']\n\
             print(importlib.import_module('json').loads('[1]'), importlib.reload(colorsys).__name__)\n\
             print(importlib.util.find_spec('nothing'), os.path.exists(email.__file__))",
        ),
        "def rgb_to_yiq\nTrue\n/usr/local/lib/python3.13/email/__init__.py True\n[1] colorsys\n\
         None False\n",
    );
}

#[test]
fn a_program_that_comes_again_does_the_same() {
    // Compiled, compiled and kept, not compiled; a warning is never lost.
    let programs = [
        "import helper\ndef f(x: int = 3) -> 'text':\n    'doc'\n    return [i for i in range(x)]\n\
         print(f(), f.__doc__, f.__annotations__, __name__, __file__, helper.x)\nf('a')\n",
        "print('\\d')\nassert False, (1,)\n",
        "def",
        "# -*- coding: latin-1 -*-\nprint(ascii('\u{e9}'))\n",
        "print(1)\0",
    ];
    let worker = worker();
    for program in programs {
        let run = || {
            let files = script(program).file("helper.py", b"x = 5");
            let report = worker.run(files);
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            (
                report.end,
                text(&report.stdout.data),
                text(&report.stderr.data),
            )
        };
        let first = run();
        for _ in 0..4 {
            assert_eq!(run(), first, "{program}");
        }
    }
    let warned = worker
        .run(script("print('\\d')\nassert False, (1,)\n"))
        .stderr;
    assert!(String::from_utf8_lossy(&warned.data).contains("SyntaxWarning"));
}

#[test]
fn a_program_cannot_change_what_another_is_compiled_to() {
    let worker = worker();
    let victim = "print('victim')";
    let attack = "import _assize\n\
                  for text in b\"print('victim')\", b\"print('evil')\":\n    \
                      for _ in range(4): code = _assize.compile(text, '<string>')\n\
                  exec(code)";
    for _ in 0..4 {
        assert_eq!(worker.run(code(attack)).stdout.data, b"evil\n");
        assert_eq!(worker.run(code(victim)).stdout.data, b"victim\n");
    }
}

#[test]
fn two_runs_draw_different_random_numbers() {
    let worker = worker();
    let draw = || {
        let run = code("import random, uuid; print(random.random(), uuid.uuid4())");
        worker.run(run).stdout.data
    };
    let (first, second) = (draw(), draw());
    assert!(!first.is_empty() && first != second);
}

#[test]
fn what_one_run_changes_the_next_does_not_see() {
    let worker = worker();
    for _ in 0..20 {
        let run = code(
            "import json, builtins\nprint(hasattr(json, 'x'), hasattr(builtins, 'x'))\n\
             json.x = builtins.x = 1\njson.loads = None",
        );
        assert_eq!(worker.run(run).stdout.data, b"False False\n");
    }
}

#[test]
fn exit_statuses_are_those_of_cpython() {
    let cases = [
        ("import sys; sys.exit(3)", 3),
        ("import sys; sys.exit()", 0),
        ("import sys; sys.exit(-1)", 255),
        ("import sys; sys.exit('why')", 1),
        ("raise SystemExit(True)", 1),
        ("1/0", 1),
        ("def", 1),
        ("import os; os._exit(9)", 9),
    ];
    let worker = worker();
    for (source, status) in cases {
        assert_eq!(
            worker.run(code(source)).end,
            WasiEnd::Exited(status),
            "{source}"
        );
    }
}

#[test]
fn a_message_given_to_exit_is_on_stderr() {
    assert_eq!(
        python(code("import sys; sys.exit('why')")).stderr.data,
        b"why\n"
    );
}

#[test]
fn an_uncaught_exception_leaves_a_traceback() {
    let report = python(script("def f():\n    return {}['k']\nf()\n"));
    let expected = "Traceback (most recent call last):\n  \
                    File \"/work/main.py\", line 3, in <module>\n    f()\n    ~^^\n  \
                    File \"/work/main.py\", line 2, in f\n    return {}['k']\n           \
                    ~~^^^^^\nKeyError: 'k'\n";
    assert_eq!(String::from_utf8_lossy(&report.stderr.data), expected);
    assert_eq!(report.end, WasiEnd::Exited(1));
}

#[test]
fn exit_functions_run_and_their_output_is_flushed() {
    prints(
        code("import atexit; atexit.register(print, 'bye'); print('hi', end=' ')"),
        "hi bye\n",
    );
}

#[test]
fn a_missing_file_is_status_two() {
    let report = python(Run::guest("python", &["python3", "/work/none.py"]).file("a", b""));
    assert_eq!(report.end, WasiEnd::Exited(2));
    assert!(String::from_utf8_lossy(&report.stderr.data).contains("can't open file"));
}

#[test]
fn a_file_with_a_coding_cookie_is_decoded() {
    let source = b"# -*- coding: latin-1 -*-\nprint(ascii('\xe9'))\n";
    let run = Run::guest("python", &["python3", "/work/main.py"]).file("main.py", source);
    prints(run, "'\\xe9'\n");
}

#[test]
fn the_environment_is_that_of_the_run() {
    let run = code("import os; print(dict(os.environ), os.getenv('COLOUR'))").env("COLOUR", "blüe");
    prints(run, "{'COLOUR': 'blüe'} blüe\n");
}

#[test]
fn stdin_reads_to_its_end() {
    let run = code("import sys; print(input() + '|' + sys.stdin.read())").stdin(b"a\nb\nc");
    prints(run, "a|b\nc\n");
}

#[test]
fn without_stdin_there_is_end_of_file() {
    prints(code("import sys; print(repr(sys.stdin.read()))"), "''\n");
}

#[test]
fn an_endless_loop_is_stopped_by_the_cpu_limit() {
    let run = code("while True: pass").limits(|limits| limits.cpu_ns = SECOND / 5);
    assert_eq!(python(run).end, WasiEnd::CpuLimit);
}

#[test]
fn sleeping_is_stopped_by_the_wall_limit() {
    let run = code("import time; time.sleep(60)").limits(|limits| limits.wall_ns = SECOND / 5);
    assert_eq!(python(run).end, WasiEnd::WallLimit);
}

#[test]
fn memory_over_the_limit_is_a_memory_error() {
    let run = code("try: bytearray(512 << 20)\nexcept MemoryError: print('denied')")
        .limits(|limits| limits.memory_bytes = 64 << 20);
    let report = python(run);
    assert_eq!(
        (report.end, report.stdout.data),
        (WasiEnd::Exited(0), b"denied\n".to_vec())
    );
    assert!(report.memory_denied && report.memory_peak_bytes <= 64 << 20);
}

#[test]
fn deep_recursion_is_a_recursion_error() {
    prints(
        code("def f(): f()\ntry: f()\nexcept RecursionError: print('deep')"),
        "deep\n",
    );
}

#[test]
fn output_over_the_limit_ends_the_run() {
    let run = code("while True: print('x' * 1000)").limits(|limits| limits.stdout_bytes = 4096);
    let report = python(run);
    assert_eq!(
        (report.end, report.stdout.data.len()),
        (WasiEnd::OutputLimit, 4096)
    );
}

#[test]
fn the_host_is_not_there() {
    let source = "import os\n\
        for path in '/etc/passwd', '/proc/self/status', '/work/../../etc/passwd', '/usr/bin':\n    \
            try: open(path); print('opened', path)\n    \
            except OSError: pass\n\
        for path in '/usr/local/lib/x', '/usr/local/lib/python3.11/os.py', '/x', '/dev/x':\n    \
            try: open(path, 'w'); print('wrote', path)\n    \
            except OSError: pass\n\
        try: import socket; socket.create_connection(('127.0.0.1', 80)); print('connected')\n\
        except (OSError, ImportError, AttributeError): pass\n\
        print(hasattr(os, 'fork'), hasattr(os, 'system'))";
    prints(script(source), "False False\n");
}

#[test]
fn two_programs_talk_through_the_host_module() {
    let worker = worker();
    let (left, right) = UnixStream::pair().unwrap();
    let ask = "import _assize\n_assize.send(b'6 7')\n_assize.report(_assize.recv())\n\
               print(_assize.recv())";
    let answer = "import _assize\na, b = map(int, _assize.recv().split())\n\
                  _assize.send(str(a * b).encode())";
    code(ask)
        .id(1)
        .channel(left)
        .limits(|limits| limits.report_bytes = 10)
        .start(&worker);
    code(answer).id(2).channel(right).start(&worker);
    let reports = [worker.receive(), worker.receive()];
    let asked = reports.iter().find(|report| report.id == 1).unwrap();
    assert_eq!(
        asked.end,
        WasiEnd::Exited(0),
        "{}",
        String::from_utf8_lossy(&asked.stderr.data)
    );
    assert_eq!(
        (asked.report.data.as_slice(), asked.stdout.data.as_slice()),
        (b"42".as_slice(), b"None\n".as_slice())
    );
}

#[test]
fn sending_without_a_channel_is_an_os_error() {
    prints(
        code("import _assize\ntry: _assize.send(b'x')\nexcept OSError as e: print(e.errno)"),
        "64\n",
    );
}

#[test]
fn the_harness_modules_are_frozen_in() {
    prints(
        code(
            "import sys\nprint([n for n in ('candidate', 'plain', 'tester') \
             if not hasattr(sys.modules.get('assize_' + n), '__file__')])",
        ),
        "[]\n",
    );
}

#[test]
fn a_candidate_answers_a_call_over_its_channel() {
    use std::io::{Read as _, Write as _};
    let worker = worker();
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    Run::guest(
        "python",
        &["python3", "-m", "assize_candidate", "/work/main.py"],
    )
    .file("main.py", b"def double(x):\n    return 2 * x\n")
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

#[test]
fn one_guest_cannot_take_the_descriptors_of_the_others() {
    let hoard =
        "import os\nheld = []\nwhile len(held) < 5000: held.append(open('/work/main.py'))\n";
    let report = python(script(hoard));
    assert_eq!(report.end, WasiEnd::Exited(1));
    let said = String::from_utf8_lossy(&report.stderr.data).into_owned();
    assert!(said.contains("No file descriptors available"), "{said}");
    // Those that are given back do not count.
    let frugal = "for _ in range(5000): open('/work/main.py').close()\nprint(1)\n";
    prints(script(frugal), "1\n");
    // As many as an honest program holds at once.
    let several = "held = [open('/work/main.py') for _ in range(40)]\nprint(len(held))\n";
    prints(script(several), "40\n");
}

#[test]
fn work_is_the_runs_own_to_change_and_gone_with_it() {
    let worker = worker();
    let source = r#"
import os, shutil, tempfile
open('a.txt', 'w').write('one')
open('a.txt', 'a').write('two')
os.rename('a.txt', 'b.txt')
os.makedirs('x/y')
shutil.copy('b.txt', 'x/y/c.txt')
with open('x/y/c.txt', 'r+b') as f:
    f.seek(1); f.write(b'N'); f.truncate(4)
with tempfile.TemporaryFile() as t:
    t.write(b'temporary'); t.seek(0); assert t.read() == b'temporary'
print(sorted(os.listdir('.')), open('x/y/c.txt').read(), os.stat('b.txt').st_size)
os.link('b.txt', 'hard'); os.unlink('b.txt')
print(open('hard').read(), os.stat('hard').st_nlink)
for name, call in [('symlink', lambda: os.symlink('hard', 's')), ('rmdir', lambda: os.rmdir('x')),
                   ('isdir', lambda: open('x', 'w')), ('up', lambda: open('../../../etc/passwd'))]:
    try: call(); print(name, 'worked')
    except OSError: pass
shutil.rmtree('x'); os.unlink('hard'); print(os.listdir('.'))
"#;
    let expected = "['b.txt', 'main.py', 'x'] oNet 6\nonetwo 1\n['main.py']\n";
    for _ in 0..2 {
        let report = worker.run(script(source));
        let said = String::from_utf8_lossy(&report.stderr.data).into_owned();
        assert_eq!(
            String::from_utf8_lossy(&report.stdout.data),
            expected,
            "{said}"
        );
    }
}

#[test]
fn a_run_has_exactly_its_own_budget_of_bytes_and_files() {
    let source = r#"
import errno, os
f = open('big', 'wb', buffering=0)
wrote = 0
try:
    while True: wrote += f.write(bytes(1000))
except OSError as e: print(wrote, e.errno == errno.ENOSPC)
f.close(); os.unlink('big')
open('again', 'wb').write(bytes(90_000)); os.unlink('again')
made = 0
try:
    while True: open(f'f{made}', 'w').close(); made += 1
except OSError as e: print(made, e.errno == errno.ENOSPC)
try: open('sparse', 'wb').truncate(1 << 50)
except OSError: print('no sparse file either')
"#;
    let len = source.len() as u64;
    let limited = script(source).limits(|limits| {
        limits.disk_bytes = 100_000 + len;
        limits.files = 10;
    });
    prints(limited, "100000 True\n9 True\nno sparse file either\n");
}

#[test]
fn devices_are_where_programs_look_for_them() {
    let source = "import os\nprint(open('/dev/stdin').read(), len(open('/dev/urandom', 'rb', buffering=0).read(8)))\n\
                  open('/dev/null', 'w').write('x'); open('/dev/stdout', 'w').write('out\\n')\n\
                  print(sorted(os.listdir('/')), os.path.exists('/dev/null'))\n";
    let run = script(source).stdin(b"in");
    prints(run, "out\nin 8\n['dev', 'tmp', 'work'] True\n");
}

#[test]
fn coroutines_run_on_a_loop_that_knows_time() {
    let source = r#"
import asyncio
async def one(n):
    await asyncio.sleep(n / 1000)
    return n
async def main():
    queue = asyncio.Queue()
    async def put():
        for i in range(3): await queue.put(i)
    task = asyncio.create_task(put())
    got = [await queue.get() for _ in range(3)]
    await task
    try: await asyncio.wait_for(asyncio.sleep(10), 0.01)
    except TimeoutError: print('late')
    print(got, await asyncio.gather(one(3), one(1), one(2)))
asyncio.run(main())
loop = asyncio.new_event_loop(); print(loop.run_until_complete(one(1)))
async def stuck(): await asyncio.get_running_loop().create_future()
try: asyncio.run(stuck())
except RuntimeError as e: print(e)
"#;
    prints(
        script(source),
        "late\n[0, 1, 2] [3, 1, 2]\n1\nevery task waits for another: nothing can ever happen\n",
    );
}

#[test]
fn names_are_paid_for_and_what_is_cut_off_is_given_back() {
    let source = r#"
import errno, os
made = 0
try:
    while made < 5000: os.link('main.py', f'n{made}'); made += 1
except OSError as e: print(made, e.errno == errno.ENOSPC)
for name in os.listdir('.'):
    if name != 'main.py': os.unlink(name)
again = 0
try:
    while again < 5000: os.link('main.py', f'n{again}'); again += 1
except OSError: print(again == made)
"#;
    prints(
        script(source).limits(|limits| limits.files = 100),
        "99 True\nTrue\n",
    );
}

#[test]
fn listings_held_open_are_bounded() {
    let source = r#"
import os
for i in range(3000): open(f'{i:0240}', 'w').close()
held = []
try:
    for _ in range(1000):
        it = os.scandir('.'); next(it); held.append(it)
except OSError: print(len(held) < 30)
for it in held: it.close()
print(len(os.listdir('.')))
"#;
    prints(script(source), "True\n3001\n");
}

#[test]
fn one_call_never_reads_for_long() {
    let source = "import os\nfd = os.open('/dev/zero', os.O_RDONLY)\n\
                  print(len(os.read(fd, 50 << 20)) <= 1 << 20)\n\
                  open('big', 'wb').write(bytes(5 << 20)); fd = os.open('big', os.O_RDONLY)\n\
                  print(len(os.read(fd, 5 << 20)), len(open('big', 'rb').read()))\n";
    prints(script(source), "True\n1048576 5242880\n");
}

#[test]
fn a_program_that_decodes_itself_is_never_kept() {
    // A codec in Python imports what lies beside the program: code of the
    // program's own, before the worker is told what its source compiles to.
    let poison = br#"
import codecs
real = codecs.CodecInfo
class Fake(real):
    def __new__(cls, encode, decode, *rest, name=None, **more):
        poison = lambda data, errors='strict': ("print('POISONED')\n", len(data))
        return real(encode, poison, name=name)
codecs.CodecInfo = Fake
"#;
    for main in [
        &b"# -*- coding: idna -*-\nprint('victim')\n"[..],
        b"#!/usr/bin/python3\r\n# coding=idna\r\nprint('victim')\r\n",
    ] {
        let worker = worker();
        let run = |poisoned: bool| {
            let run = Run::guest("python", &["python3", "/work/main.py"]).file("main.py", main);
            let run = if poisoned {
                run.file("stringprep.py", poison)
            } else {
                run
            };
            worker.run(run).stdout.data
        };
        let honest = run(false);
        for _ in 0..6 {
            assert_eq!(
                run(true),
                b"POISONED\n",
                "the attack is none: it decodes nothing"
            );
        }
        assert_eq!(run(false), honest);
        assert_ne!(honest, b"POISONED\n");
    }
}
