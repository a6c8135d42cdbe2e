//! Candidates beside their tests that end them early, forge or unmake their
//! records, skip them, or take another's name.

use assize_api::types::{JudgementRequest, TestSpec};
use assize_judge::case::Judgement;
use assize_judge::verdict::Verdict;
use assize_runtimes::BackendChoice;
use serde_json::json;

use crate::judge;

fn shared(code: &str, script: &str) -> Judgement {
    let test = json!({"script": script, "integrity": "shared"});
    judge(&JudgementRequest {
        language: "python".into(),
        code: Some(code.to_owned()),
        backend: BackendChoice::Native,
        tests: vec![serde_json::from_value::<TestSpec>(test).unwrap()],
        ..JudgementRequest::default()
    })
}

const HONEST: &str = "def add(a, b): return a + b";

/// The control (an honest program) is accepted, none of the liars is, and all
/// of them are charged.
fn only_the_honest(liars: &[&str], scripts: &[&str]) {
    let mut wrong = Vec::new();
    for script in scripts {
        let judged = shared(HONEST, script);
        if judged.verdict != Verdict::Accepted {
            wrong.push(format!("honest: {script}: {}", judged.tests[0].detail));
        }
        for liar in liars {
            let test = &shared(liar, script).tests[0];
            let charged = [
                Verdict::WrongAnswer,
                Verdict::RunTimeError,
                Verdict::TimeLimitExceeded,
            ];
            if !charged.contains(&test.verdict) {
                wrong.push(format!(
                    "{liar}\n  {script}\n  {:?} {}",
                    test.verdict, test.detail
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const SCRIPTS: [&str; 4] = [
    "assert add(1, 2) == 3\nassert add(19, 23) == 42",
    "def test_a(): assert add(1, 2) == 3\ndef test_b(): assert add(19, 23) == 42",
    "import unittest\nclass T(unittest.TestCase):\n    def test_a(self): self.assertEqual(add(1, 2), 3)\n    def test_b(self):\n        self.assertEqual(add(19, 23), 42)\n        self.assertEqual(add(2, 2), 4)",
    "import pytest\ndef test_a(): assert add(1, 2) == 3\ndef test_b(): assert add(19, 23) == 42",
];

/// Each gets the first test right, so that there is a pass to end with.
#[test]
fn results_are_neither_forged_nor_lost() {
    let liars = [
        "import sys\nsys.audit('assize.record', 'script', 'broken', 'x')\ndef add(a, b): return 0",
        "import sys\ndef add(a, b):\n    if a == 1: return 3\n    for i in range(1001): sys.audit('assize.record', 's', 'skipped', '')\n    return 0",
        "import sys\nsys.audit('assize.begin', 1)\ndef add(a, b):\n    if a == 1: return 3\n    sys.audit('assize.end', 1, 0)\n    return 0",
        // The thread of the tests, made to look as if it had ended.
        "import threading, time\ndef add(a, b):\n    if a == 1: return 3\n    t = threading.current_thread()\n    lock = getattr(t, '_tstate_lock', None)\n    if lock: lock.release()\n    handle = getattr(t, '_handle', None)\n    if handle: handle._set_done()\n    time.sleep(1)\n    return 0",
        "import threading, re\ndef add(a, b):\n    for cell in getattr(threading.current_thread(), '_target', add).__closure__ or ():\n        v = cell.cell_contents\n        if type(v).__name__ == 'Parade': v.eq = v.compare = lambda *a: True\n        if type(v) is dict and '_assize_compare' in v: v['_assize_compare'] = lambda *a: True\n    return 0",
        // An error that cannot be shown.
        "class M(type):\n    @property\n    def __name__(c): raise E()\nclass E(Exception, metaclass=M):\n    def __str__(s): raise E()\ndef add(a, b):\n    if a == 1: return 3\n    raise E()",
        "import functools, sys\nclass E(Exception):\n    __str__ = functools.partial(sys.audit, 'assize.record', 'test_b', 'passed', '')\ndef add(a, b):\n    if a == 1: return 3\n    raise E()",
        "import functools, sys\nclass D:\n    __del__ = functools.partial(sys.audit, 'assize.finish')\ndef add(a, b):\n    if a == 1: return 3\n    D()\n    return 0",
        "import sys\ndef add(a, b):\n    if a == 1: return 3\n    sys.setrecursionlimit(30)\n    return 0",
        "import _thread, time\ndef add(a, b):\n    if a == 1: return 3\n    _thread.interrupt_main(); time.sleep(1)\n    return 0",
    ];
    only_the_honest(&liars, &SCRIPTS);
}

/// By their classes a program finds the tests' functions, and by these names.
#[test]
fn the_comparisons_have_no_name_that_leads_to_them() {
    let liars = [
        "import unittest\ndef add(a, b):\n    for c in unittest.TestCase.__subclasses__():\n        for d in [c, *c.__subclasses__()]:\n            for k, v in vars(d).items():\n                if k.startswith('test_'): v.__globals__['_assize_compare'] = v.__builtins__['_assize_compare'] = lambda *a: True\n    return 0",
        "import unittest\ndef add(a, b):\n    for c in unittest.TestCase.__subclasses__():\n        for d in [c, *c.__subclasses__()]:\n            for k, v in vars(d).items():\n                if k.startswith('test_'): v.__code__ = (lambda self: None).__code__\n    return 0",
        // What the tests expect stands in their code.
        "import unittest\ndef add(a, b):\n    for c in unittest.TestCase.__subclasses__():\n        for d in [c, *c.__subclasses__()]:\n            for k, v in vars(d).items():\n                if k.startswith('test_'):\n                    n = [x for x in v.__code__.co_consts if type(x) is int]\n                    for i in range(len(n) - 2):\n                        if n[i:i + 2] == [a, b]: return n[i + 2]\n    return 0",
        "import unittest\ndef add(a, b):\n    for c in unittest.TestCase.__subclasses__():\n        for d in [c, *c.__subclasses__()]:\n            for k, v in vars(d).items():\n                if k.startswith('test_'): v.__builtins__['AssertionError'] = unittest.SkipTest\n    return 0",
    ];
    only_the_honest(&liars, &SCRIPTS[2..3]);
}

/// A file name is what whoever compiles says it is.
#[test]
fn code_is_not_trusted_for_its_file_name() {
    let liars = [
        "import json\nsrc = '''\nimport sys\ndef add(a, b):\n    f = sys._getframe(1)\n    while f:\n        n = [x for x in f.f_code.co_consts if type(x) is int]\n        for i in range(len(n) - 2):\n            if n[i:i + 2] == [a, b]: return n[i + 2]\n        f = f.f_back\n    return 0\n'''\nexec(compile(src, json.__file__, 'exec'))",
        "import json\nsrc = '''\ndef add(a, b):\n    try: 1 / 0\n    except ZeroDivisionError as e: f = e.__traceback__.tb_frame.f_back\n    return [f.f_code.co_consts, 3, 42][1 if a == 1 else 2]\n'''\nexec(compile(src, json.__file__, 'exec'))",
    ];
    only_the_honest(
        &liars,
        &[
            "assert add(1, 2) == 3\nassert add(19, 23) == 42",
            "def test(): assert add(19, 23) == 42",
        ],
    );
}

/// Scripts that speak of skipping; the programs' skips are failures.
#[test]
fn only_scripts_skip_tests() {
    let liars = [
        "import unittest\ndef add(a, b):\n    if a == 1: return 3\n    raise unittest.SkipTest('x')",
        "import pytest\ndef add(a, b):\n    if a == 1: return 3\n    pytest.skip('x')",
        "import pytest\ndef add(a, b): pytest.skip('x')",
        "import pytest\ndef add(a, b):\n    if a == 1: return 3\n    pytest.xfail('x')",
        "import pytest\ndef add(a, b):\n    if a == 1: return 3\n    pytest.exit('x', 0)",
    ];
    let scripts = [
        "import unittest\nclass T(unittest.TestCase):\n    def test_a(self): self.assertEqual(add(1, 2), 3)\n    def test_b(self): self.assertEqual(add(19, 23), 42)\n    def test_c(self): self.skipTest('not here')\n    @unittest.skip('nor here')\n    def test_d(self): self.fail()",
        "import pytest\ndef test_a(): assert add(1, 2) == 3\ndef test_b(): assert add(19, 23) == 42\ndef test_c(): pytest.skip('not here')\n@pytest.mark.xfail\ndef test_d(): assert add(1, 1) == 3",
        "import pytest, unittest\nclass T(unittest.TestCase):\n    def test_a(self): self.assertEqual(add(1, 2), 3)\n    def test_b(self): self.assertEqual(add(19, 23), 42)\n    def test_c(self): self.skipTest('not here')",
    ];
    only_the_honest(&liars, &scripts);
}

/// Numbers of a class nobody spoke of are what they are without it.
#[test]
fn chains_and_numbers_go_through_the_line_up() {
    let liars = [
        "class L:\n    __lt__ = __le__ = __gt__ = __ge__ = __eq__ = lambda s, o: True\n    __ne__ = lambda s, o: False\n    __hash__ = lambda s: 3\ndef add(a, b): return L()",
        "class L(int):\n    __lt__ = __le__ = __gt__ = __ge__ = __eq__ = lambda s, o: True\n    __ne__ = lambda s, o: False\n    __hash__ = lambda s: 3\ndef add(a, b): return L(99)",
        "class L(float):\n    __sub__ = __rsub__ = __abs__ = lambda s, *a: 0.0\ndef add(a, b): return L(99)",
        "class L:\n    __sub__ = __rsub__ = __abs__ = __float__ = lambda s, *a: 0.0 if a else 3.0\n    __lt__ = __gt__ = __le__ = __ge__ = lambda s, o: True\ndef add(a, b): return L()",
        "class F(float):\n    def __sub__(s, o): return F(0)\n    __rsub__ = __sub__\n    def __abs__(s): return F(0)\n    __eq__ = __lt__ = __le__ = lambda s, o: True\n    __gt__ = lambda s, o: False\n    __hash__ = float.__hash__\ndef add(a, b): return F(99)",
    ];
    let scripts = [
        "assert 2 < add(1, 2) < 4",
        "assert 3 == add(1, 2) == 3",
        "def test():\n    assert [x for x in [1, 2, 3] if 0 < x <= add(1, 1) != 99] == [1, 2]",
        "assert not 5 < add(1, 2)",
        "assert abs(add(1, 2) - 3) < 1e-9",
        "d = add(19, 23) - 42\nassert abs(d) <= 1e-9",
        "import math\nassert math.isclose(add(1, 2), 3)",
        "import pytest\ndef test(): assert add(1, 2) == pytest.approx(3)",
        "import unittest\nclass T(unittest.TestCase):\n    def test(self): self.assertAlmostEqual(add(1, 2), 3)",
    ];
    only_the_honest(&liars, &scripts);
}

/// A script that imports only when it is run.
#[test]
fn no_module_stands_in_for_one_that_the_script_imports() {
    let liars = [
        "import sys\nclass F:\n    def __getattr__(s, n): return lambda *a, **k: True\nsys.modules['math'] = F()\ndef add(a, b): return 0",
        "import math\nmath.isclose = lambda *a: True\ndef add(a, b): return 0",
    ];
    only_the_honest(
        &liars,
        &["def test():\n    import math\n    assert math.isclose(add(1, 2), 3)"],
    );
}
