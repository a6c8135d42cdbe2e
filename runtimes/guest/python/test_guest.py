"""Candidate and tester as real processes, joined as the engine joins them.

    python3 -I runtimes/guest/python/test_guest.py
"""

import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import plain  # noqa: E402

# Spawned children speak on 3, report on 4 and hear on 5, so this process keeps
# those numbers occupied.
_RESERVED = [os.open(os.devnull, os.O_RDONLY) for _ in range(6)]


def spawn(argv, cwd, fds):
    """Starts a process with `fds` at the numbers that are their keys."""

    def place():
        for target, fd in fds.items():
            os.dup2(fd, target)

    keep = tuple({*fds, *fds.values()})
    return subprocess.Popen(
        [sys.executable, "-I", *argv], cwd=cwd, preexec_fn=place, pass_fds=keep,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )


class Result:
    """What one trial came to."""

    def __init__(self, report, tester, candidate):
        self.report, self.tester, self.candidate = report, tester, candidate
        self.outcome = report["outcome"]


def trial(program, script, names=None, files=None):
    with tempfile.TemporaryDirectory() as folder:
        work = os.path.join(folder, "work")
        os.mkdir(work)
        for name, text in {"main.py": program, **(files or {})}.items():
            with open(os.path.join(work, name), "w", encoding="utf-8") as file:
                file.write(text)
        test = os.path.join(folder, "test.py")
        with open(test, "w", encoding="utf-8") as file:
            file.write(script)
        (asked, ask), (heard, answer) = os.pipe(), os.pipe()
        read, write = os.pipe()
        candidate = spawn([os.path.join(HERE, "candidate.py"), "main.py"], work, {3: answer, 5: asked})
        config = json.dumps({"names": names})
        tester = spawn([os.path.join(HERE, "tester.py"), test, config], folder, {3: ask, 4: write, 5: heard})
        for fd in (asked, ask, heard, answer, write):
            os.close(fd)
        try:
            said_there = tester.communicate(timeout=60)
            with open(read, "rb") as pipe:
                data = pipe.read()
            said = candidate.communicate(timeout=60)
        finally:
            for process in (tester, candidate):
                process.kill()
                process.wait()
        assert data, f"no report: {said_there[1].decode()}"
        return Result(json.loads(data), said_there, (candidate.returncode, *said))


# A program that speaks the protocol itself: `say(obj)` and `raw(bytes)`.
FORGER = """
import os, json, struct
def raw(data): os.write(3, data)
def say(obj):
    data = json.dumps(obj).encode(); raw(struct.pack("<I", len(data)) + data)
def hear():
    n = struct.unpack("<I", os.read(5, 4))[0]
    data = b""
    while len(data) < n: data += os.read(5, n - len(data))
    return json.loads(data)
say({"ready": True}); say({"id": hear()["get"]["id"], "callable": True}); asked = hear()["call"]["id"]
"""


def forged(body, script="assert f() == 1"):
    return trial(FORGER + body + "\nimport time; time.sleep(0.2); os._exit(0)", script, ["f"])


def through(value):
    return plain.decode(plain.loads(plain.dumps(plain.encode(value))))


class PlainData(unittest.TestCase):
    def same(self, value):
        back = through(value)
        self.assertIs(type(back), type(value))
        self.assertEqual(back, value)

    def test_every_builtin_comes_back_as_itself(self):
        for value in (
            None, True, False, 0, -7, 2**53 - 1, 2**53, -(2**64), 10**6000, 1.5, -0.1, 1e308, 5e-324,
            float("inf"), "", "naïve \ud800 \x00 😀", [], [1, [2]], (), (1, (2,)), {}, {1: "a", "b": [2]},
            set(), {1, (2, 3)}, frozenset({4}), b"\x00\xff", bytearray(b"ab"), 1 + 2j, range(1, 9, 2),
            range(2**70),
        ):
            with self.subTest(repr=plain.bounded_repr(value)):
                self.same(value)

    def test_library_values_come_back_as_themselves(self):
        from collections import deque
        from datetime import date, datetime, time, timedelta, timezone
        from decimal import Decimal
        from fractions import Fraction

        for value in (
            Decimal("1.10"), Fraction(-1, 3), deque([1, 2]), date(2020, 2, 29), time(1, 2, 3),
            datetime(2020, 1, 1, tzinfo=timezone.utc), timedelta(days=-1, microseconds=5),
        ):
            with self.subTest(value=value):
                self.same(value)

    def test_nan_and_negative_zero_survive(self):
        self.assertNotEqual(through(float("nan")), through(float("nan")))
        self.assertEqual(str(through(-0.0)), "-0.0")

    def test_dict_order_and_key_types_survive(self):
        self.assertEqual(list(through({2: 0, "1": 0, (1,): 0}).items()), [(2, 0), ("1", 0), ((1,), 0)])

    def test_iterators_are_drained(self):
        for value in (iter([1, 2]), map(int, "12"), zip([1], [2]), (x for x in [1]), {1: 2}.keys()):
            self.assertEqual(type(through(value)).__name__, "list_iterator")
        self.assertEqual(list(through(x * x for x in range(4))), [0, 1, 4, 9])

    def test_endless_iterators_and_cycles_are_not_plain(self):
        import itertools

        loop = []
        loop.append(loop)
        for value in (itertools.count(), loop):
            with self.assertRaises(plain.NotPlain):
                plain.encode(value)

    def test_exponential_sharing_is_not_plain(self):
        value = []
        for _ in range(60):
            value = [value, value]
        with self.assertRaises(plain.NotPlain):
            plain.encode(value)

    def test_two_hundred_levels_pass_and_more_do_not(self):
        value = 1
        for _ in range(199):
            value = {"k": value}
        self.assertEqual(through(value), value)
        for _ in range(2):
            value = (value,)
        with self.assertRaises(plain.NotPlain):
            plain.encode(value)

    def test_subclasses_are_read_through_their_base(self):
        from collections import Counter, OrderedDict, defaultdict, namedtuple

        class Liar(int):
            def __eq__(self, other): return True
            def __index__(self): return 42
            def __repr__(self): return "42"
            __hash__ = int.__hash__

        class Items(dict):
            def items(self): return [("fake", 1)]

        class Text(str):
            def __str__(self): return "fake"

        class Row(list):
            def __iter__(self): return iter([9])

        for value, want in (
            (Liar(7), 7), (Items(a=1), {"a": 1}), (Text("t"), "t"), (Row([1]), [1]),
            (namedtuple("P", "x y")(1, 2), (1, 2)), (Counter("aa"), {"a": 2}),
            (OrderedDict(a=1), {"a": 1}), (defaultdict(int, {1: 2}), {1: 2}),
        ):
            back = through(value)
            self.assertIs(type(back), type(want))
            self.assertEqual(back, want)

    def test_objects_are_opaque_and_equal_nothing(self):
        import enum

        class Always:
            def __eq__(self, other): return True
            def __repr__(self): raise ValueError

        for value in (Always(), enum.Enum("E", "A").A, print, int, ...):
            back = through(value)
            self.assertIsInstance(back, plain.Opaque)
            self.assertFalse(back == back)
            self.assertTrue(back != 1)

    def test_strict_encoding_refuses_subclasses_and_objects(self):
        from collections import OrderedDict

        for value in (OrderedDict(), [object()], print, plain.Opaque("a", "b")):
            with self.assertRaises(plain.NotPlain):
                plain.encode(value, strict=True)

    def test_bad_trees_are_bad_data(self):
        for tree in (
            {"s": [[1]]}, {"d": [[[1], 2]]}, {"d": [[1]]}, {"d": [[1, 2], [{"f": "0x1p0"}, 3]]}, {"i": "12"},
            {"i": "0x_1"}, {"i": "0x"}, {"f": "x"}, {"f": 1}, {"nope": 1}, {}, {"t": [], "s": []}, {"b": "zz"},
            {"c": ["0x1p0"]}, {"r": ["0x1", "0x0"]}, {"R": [1, 2, 0]}, {"T": ["date", "2020-13-01"]},
            {"T": ["timedelta", [10**10, 0, 0]]}, {"T": ["sys", "x"]}, {"m": "1" * 200_000}, {"m": "abc"},
            {"o": [1, 2]}, 2**53, 1.5, {"f": "0x1p99999"},
        ):
            with self.subTest(tree=plain.bounded_repr(tree)), self.assertRaises(plain.BadData):
                plain.decode(tree)

    def test_bad_frames_are_bad_data(self):
        for data in (
            b"", b"{", b"\xff", b"1.5", b"NaN", b"Infinity", b"9" * 5000, b'{"a":1,"a":2}', b"[" * 100_000,
            b"[" * 700 + b"]" * 700, b"[" + b"[]," * 4_100_000 + b"[]]", b'{"a":' * 5000 + b"1" + b"}" * 5000,
        ):
            with self.subTest(data=data[:20]), self.assertRaises(plain.BadData):
                plain.loads(data)

    def test_brackets_inside_text_do_not_count(self):
        text = '[{,"\\' * 1_000_000
        self.assertEqual(through(text), text)

    def test_floods_of_equal_hashes_are_bad_data(self):
        keys = [{"i": hex((2**61 - 1) * i)} for i in range(5, 5000)]
        for tree in ({"s": keys}, {"d": [[k, 1] for k in keys]}):
            with self.assertRaises(plain.BadData):
                plain.decode(tree)


class Honest(unittest.TestCase):
    def passes(self, program, script, names=None, **more):
        result = trial(program, script, names, **more)
        self.assertEqual(result.outcome, "passed", result.report)
        return result

    def test_a_right_program_passes_and_a_wrong_one_fails(self):
        self.assertEqual(self.passes("def f(x): return x+1", "assert f(1) == 2").report["calls"], 1)
        result = trial("def f(x): return x", "x = 1\nassert f(x) == 2, 'off'")
        self.assertEqual((result.outcome, result.report["line"], result.report["message"]), ("assertion", 2, "off"))

    def test_type_checks_tolerances_and_keywords_work(self):
        self.passes(
            "def f(a, b=2, *c, d=0): return [a, b, c, d]\ndef g(): return 0.1 + 0.2",
            "assert f(1, d={'x': (1,)}) == [1, 2, (), {'x': (1,)}]\nassert isinstance(f(1), list)\n"
            "assert abs(g() - 0.3) < 1e-9 and type(g()) is float and g() != 0.3",
        )

    def test_expected_exceptions_work(self):
        self.passes(
            "class Mine(ValueError): pass\ndef f(): raise Mine('no')\ndef g(): return {}['k']",
            "try: f()\nexcept ValueError as e: assert str(e) == 'no'\nelse: assert 0\n"
            "try: g()\nexcept KeyError as e: assert e.args == ('k',)\nelse: assert 0",
        )

    def test_mutation_in_place_arrives(self):
        self.passes(
            "def f(l, d, s=None):\n l.sort(); d['n'] = 1; s.add(3)",
            "l, d, s = [2, 1], {}, {1}\nassert f(l, d, s=s) is None\nassert (l, d, s) == ([1, 2], {'n': 1}, {1, 3})",
        )

    def test_identity_with_an_argument_is_kept(self):
        self.passes("def f(l): l.append(1); return l\ndef g(l): return l[:]", "l = []\nassert f(l) is l == [1]\nassert g(l) is not l")

    def test_generators_async_constants_and_methods_work(self):
        self.passes(
            "K = 5\ndef g(n): yield from range(n)\nasync def a(): return 7\n"
            "class Solution:\n def twice(self, x): return 2 * x",
            "assert list(g(3)) == [0, 1, 2] and next(g(1)) == 0\nassert a() == 7 and K == 5\n"
            "assert Solution.twice(4) == 8", ["g", "a", "K", "Solution.twice"],
        )

    def test_unittest_scripts_work(self):
        script = "import unittest\nclass T(unittest.TestCase):\n def test(self): self.assertEqual(f(1), 2)\nunittest.main()"
        self.passes("def f(x): return x + 1", script)
        self.assertEqual(trial("def f(x): return x", script).outcome, "assertion")

    def test_programs_of_many_files_and_shadowing_names_load(self):
        self.passes("import plain, tester\ndef f(): return plain.X + tester.Y", "assert f() == 3",
                    files={"plain.py": "X = 1", "tester.py": "Y = 2"})

    def test_deep_recursion_of_the_program_still_fits(self):
        self.passes("def f(n): return 0 if n == 0 else 1 + f(n - 1)", "assert f(990) == 990")

    def test_big_ints_travel(self):
        self.passes("def f(n): return n * n", "n = 10 ** 5000 + 1\nassert f(n) == n * n")

    def test_prints_stay_on_stdout(self):
        result = self.passes("def f(): print('hello'); return 1", "assert f() == 1")
        self.assertEqual(result.candidate[:2], (0, b"hello\n"))

    def test_system_exit_of_the_script_counts(self):
        for code, want in (("0", "passed"), ("", "passed"), ("1", "assertion"), ("'no'", "assertion")):
            self.assertEqual(trial("def f(): return 1", f"import sys\nf()\nsys.exit({code})").outcome, want)


class Faults(unittest.TestCase):
    def test_a_broken_script_is_the_authors_fault(self):
        for script in ("assert (", "import nope_nope\nf()", "{}['k']"):
            self.assertEqual(trial("def f(): return 1", script).outcome, "broken")

    def test_after_a_call_the_failure_is_the_candidates(self):
        self.assertEqual(trial("def f(): return None", "f()[0]").outcome, "raised")
        self.assertEqual(trial("f = 5", "f(1)").outcome, "raised")

    def test_missing_names_are_missing_even_when_swallowed(self):
        self.assertEqual(trial("", "assert f() == 1").outcome, "missing")
        self.assertEqual(trial("", "try: f()\nexcept: pass").outcome, "missing")

    def test_live_arguments_are_unsupported(self):
        for script in ("f(lambda: 1)", "f(object())", "try: f(print)\nexcept: pass"):
            self.assertEqual(trial("def f(x): return 1", script).outcome, "unsupported")

    def test_load_errors_carry_type_line_and_traceback(self):
        result = trial("x = 1\n\nraise KeyError('k')", "f()", ["f"])
        self.assertEqual((result.outcome, result.report["type"]), ("load", "KeyError"))
        self.assertEqual(result.candidate[0], 1)
        self.assertIn(b"line 3", result.candidate[2])
        self.assertNotIn(b"candidate.py", result.candidate[2])
        result = trial("def f(:", "f()", ["f"])
        self.assertEqual((result.outcome, result.report["type"]), ("load", "SyntaxError"))

    def test_raised_in_a_call_is_the_candidates(self):
        result = trial("def f(): raise IndexError('i')", "f()")
        self.assertEqual((result.outcome, result.report["type"], result.report["line"]), ("candidate_raised", "IndexError", 1))


class Hostile(unittest.TestCase):
    def test_exits_are_never_a_pass(self):
        for end in ("import sys; sys.exit(0)", "import os; os._exit(0)", "raise SystemExit", "raise KeyboardInterrupt",
                    "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"):
            for program in (end, f"def f():\n {end}"):
                with self.subTest(program=program):
                    self.assertEqual(trial(program, "f()", ["f"]).outcome, "candidate_gone")

    def test_swallowing_a_dead_candidate_does_not_pass(self):
        program = "import os\ndef f(): os._exit(0)"
        for script in ("try: f()\nexcept: pass", "import sys\ntry: f()\nfinally: sys.exit(0)",
                       "while True:\n try: f()\n except: pass",
                       "import unittest\nclass T(unittest.TestCase):\n def test(self):\n  try: f()\n  except: pass\nunittest.main()"):
            with self.subTest(script=script):
                self.assertEqual(trial(program, script, ["f"]).outcome, "candidate_gone")

    def test_objects_equal_to_everything_fail(self):
        always = "class A{}:\n def __eq__(s, o): return True\n def __ne__(s, o): return False\n __hash__ = None\ndef f(): return {}"
        for base, value in (("", "A()"), ("(int)", "A(7)"), ("(str)", "A('x')"), ("(list)", "A()"), ("(float)", "A(0)")):
            with self.subTest(base=base):
                self.assertEqual(trial(always.format(base, value), "assert f() == 5").outcome, "assertion")
                self.assertEqual(trial(always.format(base, f"[{value}]"), "assert f() == [5]").outcome, "assertion")

    def test_a_raised_assertion_error_is_the_candidates_own(self):
        self.assertEqual(trial("def f(): raise AssertionError('x')", "f()").outcome, "candidate_raised")

    def test_a_claimed_system_exit_does_not_end_the_script(self):
        lie = 'say({"id": asked, "raised": {"type": "SystemExit", "mro": ["SystemExit", "BaseException"], "message": "0", "args": [0]}})'
        self.assertEqual(forged(lie, "f()").outcome, "candidate_raised")
        self.assertEqual(forged(lie.replace("SystemExit", "CandidateGone"), "f()").outcome, "candidate_raised")

    def test_forged_frames_are_bad_data(self):
        for body in (
            'say({"id": asked + 1, "value": 1})', 'say({"id": True, "value": 1})', 'say({"id": asked})',
            'say([1])', 'say({"id": asked, "value": 1, "extra": 1})', 'say({"id": asked, "value": {"zz": 1}})',
            'say({"id": asked, "value": {"s": [[]]}})', 'say({"id": asked, "value": 1, "args": [[0, [1]]]})',
            'say({"id": asked, "value": [], "same": 0})', 'say({"id": asked, "raised": 1})',
            'say({"id": asked, "raised": {"type": 1, "mro": [], "message": ""}})', 'say({"ready": True})',
            'raw(struct.pack("<I", 2**32 - 1))', 'raw(struct.pack("<I", 3) + b"\\xff{}")', 'say({"outcome": "passed"})',
            'n = 10**6; raw(struct.pack("<I", n) + b"[" * n)',
        ):
            with self.subTest(body=body):
                self.assertEqual(forged(body).outcome, "bad_data")

    def test_a_frame_cut_short_is_a_gone_candidate(self):
        self.assertEqual(forged('raw(struct.pack("<I", 100) + b"{")').outcome, "candidate_gone")

    def test_hostile_reports_of_load_errors_stay_well_formed(self):
        for load in ('{"type": "SyntaxError", "mro": ["SyntaxError"], "message": "\\ud800", "args": ["m", {"t": ["p", [], 1, "x"]}]}',
                     '{"type": "ValueError", "mro": ["ValueError"], "message": "", "args": [{"i": "0x1" + "0" * 9000}]}',
                     '{}', '1', 'null'):
            program = FORGER.split("say({")[0] + f"\nsay({{'load': {load}}})\nos._exit(0)".replace("null", "None")
            with self.subTest(load=load[:30]):
                result = trial(program, "f()", ["f"])
                self.assertIn(result.outcome, ("load", "bad_data"))
                json.dumps(result.report).encode("utf-8")

    def test_a_second_ready_does_not_shift_the_answers(self):
        program = FORGER.split("say({")[0] + "say({'ready': True})\ndef f(): return 1"
        self.assertEqual(trial(program, "assert f() == 1").outcome, "bad_data")

    def test_endless_results_are_the_candidates_failure(self):
        result = trial("import itertools\ndef f(): return itertools.count()", "f()")
        self.assertEqual((result.outcome, result.report["type"]), ("candidate_raised", "NotPlain"))

    def test_a_candidate_cannot_make_a_script_unsupported(self):
        deep = "def f(x):\n r = 1\n for _ in range(199): r = [r]\n return r"
        for program, script in (("def f(x): return object()", "f(f(1))"), (deep, "f([[f(1)]])"),
                                ("def f(x): return 'x' * 15_000_000", "f(f(1) * 2)")):
            with self.subTest(program=program):
                self.assertEqual(trial(program, script).outcome, "candidate_raised")

    def test_results_with_objects_are_counted(self):
        result = trial("class S: pass\ndef f(): return S()", "f().push(1)")
        self.assertEqual((result.outcome, result.report["opaque"]), ("raised", 1))

    def test_frames_are_length_and_payload(self):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            theirs.sendall(struct.pack("<I", 2) + b"{}")
            self.assertEqual(plain.Channel(ours.fileno(), ours.fileno()).recv(), b"{}")


if __name__ == "__main__":
    unittest.main()
