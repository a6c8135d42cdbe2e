//! Test scripts beside the candidate: what they can do, and what liars cannot.

use assize_api::types::{JudgementRequest, TestSpec};
use assize_judge::case::{Integrity, Judgement};
use assize_judge::verdict::Verdict;
use assize_runtimes::BackendChoice;
use serde_json::json;

use crate::judge;

fn request(code: &str, script: &str, integrity: Option<&str>) -> JudgementRequest {
    let test = json!({"script": script, "integrity": integrity});
    JudgementRequest {
        language: "python".into(),
        code: Some(code.to_owned()),
        backend: BackendChoice::Native,
        tests: vec![serde_json::from_value::<TestSpec>(test).unwrap()],
        ..JudgementRequest::default()
    }
}

fn shared(code: &str, script: &str) -> Judgement {
    judge(&request(code, script, Some("shared")))
}

fn subtests(judged: &Judgement) -> Vec<String> {
    let of = |s: &assize_judge::case::Subtest| format!("{} {}", s.name, s.verdict.code());
    judged.tests[0].subtests.iter().map(of).collect()
}

const STACK: &str = "
import collections, functools, logging, enum, dataclasses, typing
class Empty(Exception): pass
class Money:
    def __init__(self, n): self.n = n
    def __eq__(self, o): return self.n == (o.n if isinstance(o, Money) else o)
    def __lt__(self, o): return self.n < (o.n if isinstance(o, Money) else o)
    def __hash__(self): return hash(self.n)
class Stack:
    def __init__(self): self.items = []
    def push(self, x): self.items.append(x)
    def pop(self):
        if not self.items: raise Empty('empty')
        return self.items.pop()
Point = collections.namedtuple('Point', 'x y')
@dataclasses.dataclass
class Pair:
    a: int
    b: int
class Colour(enum.Enum):
    RED = 1
def add(a, b): return a + b
def greet(): print('hi', input())
";

/// The script alone decides: each of these needs live objects and gets them.
#[test]
fn scripts_that_need_live_objects_run_beside_the_candidate_and_say_so() {
    let scripts = [
        "s = Stack(); s.push(3); assert s.pop() == 3\ntry:\n    s.pop()\n    assert False\nexcept Empty: pass",
        "from solution import Stack\nassert Stack().items == []",
        "class Sub(Stack): pass\nassert Sub().items == []",
        "m = Money(5); assert m == 5 and m != 6 and 5 == m and m < 6 and m in [4, 5] and [m] == [5] and Money(5) == Money(5)",
        "p = Pair(1, 2); assert p == Pair(1, 2) and p != Pair(2, 1)",
        "c = Colour(1); assert c is Colour.RED and c == Colour.RED",
        "from unittest.mock import patch\nimport io\nwith patch('builtins.input', return_value='bob'), patch('sys.stdout', new_callable=io.StringIO) as out:\n    greet()\nassert out.getvalue() == 'hi bob\\n'",
        "from unittest.mock import patch\nwith patch('__main__.input', create=True, return_value='x') as asked:\n    greet()\nasked.assert_called_once()",
        "import pytest\ndef test(monkeypatch, capsys):\n    monkeypatch.setattr('builtins.input', lambda: 'x')\n    greet()\n    assert capsys.readouterr().out == 'hi x\\n'",
    ];
    for script in scripts {
        let judged = judge(&request(STACK, script, None));
        let test = &judged.tests[0];
        assert_eq!(test.verdict, Verdict::Accepted, "{script}: {}", test.detail);
        assert_eq!(judged.integrity, Integrity::Shared, "{script}");
        let apart = judge(&JudgementRequest {
            require_integrity: Some("isolated".into()),
            ..request(STACK, script, None)
        });
        assert_eq!(apart.verdict, Verdict::JudgeError, "{script}");
        assert_eq!(apart.reward, None, "{script}");
        assert_eq!(apart.integrity, Integrity::Isolated, "{script}");
    }
}

#[test]
fn what_works_apart_stays_apart() {
    let scripts = [
        "assert add(1, 2) == 3",
        "import unittest\nclass T(unittest.TestCase):\n    def test(self): self.assertEqual(add(1, 2), 3)\nunittest.main()",
        "import pytest\nfrom main import add\n@pytest.mark.parametrize('a, b', [(1, 2), (2, 3)])\ndef test_add(a, b): assert add(a, 1) == b\ndef test_raises():\n    with pytest.raises(TypeError): add(1, 'x')",
        "def test_add():\n    assert add(2, 2) == 4",
        "import io, contextlib\nwith contextlib.redirect_stdout(io.StringIO()) as out: add('a', 'b')\nassert out.getvalue() == ''",
    ];
    for script in scripts {
        let judged = judge(&request(STACK, script, None));
        assert_eq!(
            judged.verdict,
            Verdict::Accepted,
            "{script}: {}",
            judged.tests[0].detail
        );
        assert_eq!(judged.integrity, Integrity::Isolated, "{script}");
    }
}

const SUITE: &str = "
import unittest
class T(unittest.TestCase):
    def test_good(self): self.assertEqual(add(1, 2), 3)
    def test_bad(self): self.assertEqual(add(1, 2), 4)
    def test_error(self): add(1, 'x')
    @unittest.skip('not now')
    def test_skipped(self): pass
    def test_subs(self):
        for x in range(3):
            with self.subTest(x=x): self.assertLess(add(x, 0), 2)
";

#[test]
fn suites_have_a_verdict_per_test_name_in_both_modes() {
    let want = [
        "T.test_bad WA",
        "T.test_error RTE",
        "T.test_good AC",
        "T.test_subs WA",
    ];
    let apart = judge(&request(STACK, SUITE, Some("isolated")));
    assert_eq!(subtests(&apart), want);
    let beside = shared(STACK, SUITE);
    assert_eq!(subtests(&beside), want);
    assert_eq!(
        (apart.verdict, beside.verdict),
        (Verdict::WrongAnswer, Verdict::WrongAnswer)
    );
    let pytest = "import pytest\n@pytest.fixture\ndef two(): return 2\ndef test_good(two): assert add(two, 1) == 3\ndef test_bad(two): assert add(two, 1) == 4\n@pytest.mark.skip\ndef test_not(): assert 0\n@pytest.mark.parametrize('x', [1, 2])\ndef test_each(x): assert add(x, 0) == 1\ndef test_error(absent): pass\n";
    let want = [
        "test_good AC",
        "test_bad WA",
        "test_each[1] AC",
        "test_each[2] WA",
        "test_error RTE",
    ];
    assert_eq!(
        subtests(&judge(&request(STACK, pytest, Some("isolated")))),
        want
    );
    assert_eq!(subtests(&shared(STACK, pytest)), want);
}

/// None of these adds; each tries to look as if it did. The control is an
/// honest program under the same scripts, and each liar is one that a bare
/// `python3` with the script appended would have let pass or fall silent.
#[test]
fn liars_beside_the_tests_are_never_accepted_and_never_our_failure() {
    let liars = [
        "import os; os._exit(0)",
        "import sys; sys.exit(0)",
        "def add(a, b):\n    import os; os._exit(0)",
        "def add(a, b): raise SystemExit(0)",
        "def add(a, b): raise __import__('unittest').SkipTest('x')",
        "import unittest\nunittest.TestCase.assertEqual = lambda *a, **k: None\ndef add(a, b): return 0",
        "import unittest.case\nunittest.case._Outcome.__init__ = lambda s, r=None: None\ndef add(a, b): return 0",
        "import unittest\nunittest.TestCase.run = lambda s, r=None: r.addSuccess(s)\ndef add(a, b): return 0",
        "import builtins\nbuiltins.isinstance = lambda *a: True\nbuiltins.AssertionError = KeyError\ndef add(a, b): return 0",
        "import builtins\nbuiltins.all = lambda x: True\nbuiltins.len = lambda x: 3\ndef add(a, b): return 0",
        "class Yes:\n    __eq__ = lambda s, o: True\n    __ne__ = lambda s, o: False\n    __hash__ = lambda s: 3\n    __lt__ = __gt__ = __le__ = __ge__ = __contains__ = lambda s, o: True\ndef add(a, b): return Yes()",
        "class Yes(int):\n    __eq__ = lambda s, o: True\n    __ne__ = lambda s, o: False\ndef add(a, b): return Yes(0)",
        "class T(int):\n    __eq__ = lambda s, o: True\n    __ne__ = lambda s, o: False\ndef add(a, b): return T(0)",
        "class Meta(type):\n    def __getattribute__(c, n): return type(int.__eq__) if n == '__eq__' else type.__getattribute__(c, n)\nclass T(metaclass=Meta):\n    __eq__ = lambda s, o: True\ndef add(a, b): return T()",
        "from unittest.mock import ANY\ndef add(a, b): return ANY",
        "import gc\ndef add(a, b):\n    for o in gc.get_objects():\n        if isinstance(o, list) and o and isinstance(o[0], dict): o.clear()\n    return 0",
        "import sys\ndef add(a, b):\n    f = sys._getframe()\n    while f.f_back: f = f.f_back\n    return 0",
        "import inspect\ndef add(a, b):\n    [f.frame.f_locals.clear() for f in inspect.stack()]\n    return 0",
        "def add(a, b):\n    try: 1 / 0\n    except ZeroDivisionError as e: f = e.__traceback__.tb_frame\n    return 3",
        "import sys\ndef add(a, b):\n    sys.settrace(lambda *a: None)\n    return 0",
        "import ctypes\ndef add(a, b):\n    ctypes.string_at(id(a), 8)\n    return 0",
        "import sys\nsys.addaudithook(lambda e, a: (_ for _ in ()).throw(SystemExit(0)))\ndef add(a, b): return 0",
        "import sys\ndef add(a, b):\n    sys.audit('assize.record', 'T.test', 'passed', '')\n    sys.audit('assize.finish')\n    __import__('os')._exit(0)",
        "import os\nfor fd in range(3, 30):\n    try: os.write(fd, b'{\"nonce\":\"0\",\"tampered\":null,\"tests\":[{\"name\":\"x\",\"status\":\"passed\"}]}')\n    except OSError: pass\ndef add(a, b): os._exit(0)",
        "import os\nos.closerange(3, 30)\ndef add(a, b): return 0",
        "import atexit, os\natexit.register(lambda: os._exit(0))\ndef add(a, b): return 0",
        "import threading, os\nthreading.Thread(target=lambda: os._exit(0)).start()\ndef add(a, b):\n    import time; time.sleep(1); return 0",
        "import sys\nsys.modules['unittest'] = type(sys)('unittest')\nsys.modules['pytest'] = type(sys)('pytest')\ndef add(a, b): return 0",
        "import json\njson.dumps = lambda *a, **k: '{}'\ndef add(a, b): return 0",
        "import os\nos.write = lambda *a: 0\nos._exit = lambda *a: None\ndef add(a, b): return 0",
        "import os\ndef add(a, b):\n    if os.fork() == 0: os._exit(0)\n    os._exit(0)",
        "import sys\nsys.setrecursionlimit(20)\ndef add(a, b): return 0",
        "raise RuntimeError('load')",
        "def sub(a, b): pass",
        "import sys\nsys.stdout = sys.stderr = None\ndef add(a, b): return 0",
        "import __main__\n__main__.add = lambda a, b: a + b\n__main__.unittest = None\ndef add(a, b): return 0",
    ];
    let scripts = [
        "assert add(1, 2) == 3\nassert add(19, 23) == 42",
        "import unittest\nclass T(unittest.TestCase):\n    def test(self):\n        self.assertEqual(add(1, 2), 3)\n        self.assertEqual(add(19, 23), 42)\n",
        "import pytest\ndef test():\n    assert add(1, 2) == pytest.approx(3)\n    assert add(19, 23) == 42\n",
        "assert [add(1, 2)] == [3] and add(19, 23) in (42,) and {'k': add(1, 2)} == {'k': 3}\nassert 0 <= add(1, 2) < 4 and add(19, 23) > 40",
    ];
    for script in scripts {
        let judged = shared("def add(a, b): return a + b", script);
        assert_eq!(
            judged.verdict,
            Verdict::Accepted,
            "{script}: {}",
            judged.tests[0].detail
        );
    }
    let mut wrong = Vec::new();
    for liar in liars {
        for script in scripts {
            let judged = shared(liar, script);
            let test = &judged.tests[0];
            let honest = [
                Verdict::WrongAnswer,
                Verdict::RunTimeError,
                Verdict::TimeLimitExceeded,
            ];
            if !honest.contains(&test.verdict) {
                wrong.push(format!(
                    "{liar}\n  {script}\n  {:?} {}",
                    test.verdict, test.detail
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is planted in the program's directory is nobody's configuration.
#[test]
fn planted_files_have_no_say() {
    let plants = json!({
        "main.py": {"text": "def add(a, b): return 0\n"},
        "conftest.py": {"text": "import os\nos._exit(0)\n"},
        "pytest.ini": {"text": "[pytest]\naddopts = --collect-only\n"},
        "sitecustomize.py": {"text": "import os\nos._exit(0)\n"},
        "usercustomize.py": {"text": "import os\nos._exit(0)\n"},
        "unittest.py": {"text": "import os\nos._exit(0)\n"},
        "pytest.py": {"text": "import os\nos._exit(0)\n"},
        "json.py": {"text": "import os\nos._exit(0)\n"},
        "assize_test.py": {"text": "def test(): pass\n"},
        "suites.py": {"text": "def run(*a): return 1\n"},
    });
    for script in [
        "import json\nassert json.dumps(add(1, 2)) == '3'",
        "import unittest\nclass T(unittest.TestCase):\n    def test(self): self.assertEqual(add(1, 2), 3)",
        "import pytest\ndef test(): assert add(1, 2) == 3",
    ] {
        let mut request = request("", script, Some("shared"));
        request.code = None;
        request.files = Some(serde_json::from_value(plants.clone()).unwrap());
        request.entry = Some("main.py".into());
        let judged = judge(&request);
        let test = &judged.tests[0];
        assert_eq!(
            test.verdict,
            Verdict::WrongAnswer,
            "{script}: {}",
            test.detail
        );
    }
}

/// A candidate cannot choose to be judged the weaker way.
#[test]
fn no_candidate_brings_about_the_shared_mode() {
    let downgraders = [
        "class add:\n    def __new__(cls, a, b): return a + b",
        "def add(a, b): return object()",
        "add = type('Add', (), {'__call__': lambda s, a, b: a + b})()",
        "def add(a, b): return lambda: 3",
        "Stack = add = 7",
    ];
    for code in downgraders {
        for script in [
            "assert add(1, 2) == 3",
            "x = add(1, 2)\nassert add(x, 0) == 3",
        ] {
            let judged = judge(&request(code, script, None));
            assert_eq!(judged.integrity, Integrity::Isolated, "{code}");
            assert_ne!(
                judged.verdict,
                Verdict::JudgeError,
                "{code}: {}",
                judged.tests[0].detail
            );
        }
    }
}
