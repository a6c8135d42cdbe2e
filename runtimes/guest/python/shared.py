"""Runs a trusted test script in the candidate's own interpreter.

    shared.py        (standard input: one JSON object)

    {"nonce", "script", "names": [..] | null, "entry", "report": descriptor}

For scripts that need live objects: classes under test, mocks, fixtures. One
interpreter cannot keep a secret from hostile code in it, so this is the weaker
mode and its verdicts say `integrity: "shared"`. What it does hold:

- A process that ends early proves nothing: the report carries a nonce that the
  candidate has no way to ask for. It came over a pipe that is closed by now,
  lives in the closure of an audit hook, and an audit hook is a thing CPython
  neither lists nor removes; the process is not dumpable, so no child of the
  candidate reads its memory.
- Test results are told to the hook (notary.py) one by one. It takes them only
  from a stack that consists of our code, unittest's and pytest's as they were
  before the candidate was loaded, never forgets a failure, and wants to hear
  from the frame that began the tests that they are over.
- unittest, pytest, builtins and the modules that the script imports are
  compared with what they were before the candidate was loaded, at every
  result. A candidate that changed one has failed.
- What the script compares with a value of the candidate's own class goes
  through a line-up (parade.py): an object that equals everything equals nothing.
- A test is skipped by the script, not by an exception that came through the
  program's code; and code is the interpreter's own when its file says so, not
  when it bears that file's name.
- The script sees its own copy of the builtins, and is never a file the
  candidate could edit. No conftest.py, sitecustomize.py or plugin is read, the
  program's directory comes last on the path, and nothing runs at exit.

Frames, the garbage collector's lists, tracing, ctypes and further audit hooks
are refused: they are how one looks into a neighbour's closure.
"""

import _thread
import builtins
import json
import os
import sys
import threading
import types
import warnings

GUEST = os.path.dirname(os.path.abspath(__file__))
MAX_MESSAGE = 300


def load_guest(name):
    """A sibling, under a name that no program's file can shadow."""
    path = os.path.join(GUEST, name + ".py")
    module = types.ModuleType("_assize_" + name)
    module.__file__ = path
    with open(path, "rb") as file:
        exec(compile(file.read(), path, "exec"), module.__dict__)
    return module


def imports_of(source):
    """What the script imports: the candidate's own modules among it, which are
    not found yet."""
    import ast

    found = set()
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return found
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module)
    return found


# ----------------------------------------------------------------------- run


def load_program(entry, names):
    """The program as the module that scripts import: under the name of its
    file, as `solution` and as `candidate`."""
    import importlib.util

    path = os.path.abspath(entry)
    dotted = entry[:-3].replace("/", ".") if entry.endswith(".py") else "candidate"
    sys.path.append(os.getcwd())
    if "." in dotted:
        __import__(dotted.rpartition(".")[0])
    module = sys.modules.get(dotted)
    if module is None or dotted in sys.stdlib_module_names:
        spec = importlib.util.spec_from_file_location(dotted, path)
        module = importlib.util.module_from_spec(spec)
        for name in (dotted, *names):
            sys.modules[name] = module
        spec.loader.exec_module(module)
    for name in (dotted, *names):
        sys.modules[name] = module
    return module


AST = 0x400  # ast.PyCF_ONLY_AST


def line_up_assertions(unittest, parade):
    """unittest's own comparisons go through the line-up too."""

    class TestCase(unittest.TestCase):
        def assertEqual(self, first, second, msg=None):
            if not parade.eq(first, second):
                super().assertEqual(first, second, msg)
                # They call themselves equal; the line-up knows better.
                self.fail(self._formatMessage(msg, "equal to everything"))

        def assertAlmostEqual(self, first, second, *args, **kwargs):
            if parade.foreign(first) != parade.foreign(second):
                self.assertEqual(first, second)
            super().assertAlmostEqual(first, second, *args, **kwargs)

        def assertCountEqual(self, first, second, msg=None):
            first, second = list(first), list(second)
            super().assertCountEqual(first, second, msg)
            if any(map(parade.lies, first)) or any(map(parade.lies, second)):
                self.fail(self._formatMessage(msg, "equal to everything"))

    def asked(name, op):
        ours = getattr(unittest.TestCase, name)

        def method(self, first, second, msg=None):
            ours(self, first, second, msg)
            if not parade.compare(op, first, second):
                self.fail(self._formatMessage(msg, f"not {op} by what it is"))

        return method

    for name, op in (
        ("assertNotEqual", "!="), ("assertIn", "in"), ("assertNotIn", "not in"),
        ("assertLess", "<"), ("assertLessEqual", "<="), ("assertGreater", ">"),
        ("assertGreaterEqual", ">="), ("assertListEqual", "=="), ("assertTupleEqual", "=="),
        ("assertDictEqual", "=="), ("assertSetEqual", "=="),
    ):
        setattr(TestCase, name, asked(name, op))
    TestCase.__module__ = "unittest.case"
    unittest.TestCase = unittest.case.TestCase = TestCase


def prepare(config, parade, infer):
    """The script compiled, and the names it takes: before the candidate has a
    say, so that a script that is broken is nobody else's doing."""
    path, script = config["path"], config["script"]
    tree = parade.rewrite(compile(script, path, "exec", dont_inherit=True, flags=AST))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a call of the text that stands for the line-up
        code = compile(tree, path, "exec", dont_inherit=True, optimize=0)
    return parade.bind(code), config["names"] if config["names"] is not None else infer(script, path)


def work_through(config, suites, parade, infer, plain_builtins, audit):
    """What the worker thread does: load, execute, run. Every outcome is told."""
    skips = any(word in config["script"].lower() for word in ("skip", "xfail"))
    name_of = type.__dict__["__name__"].__get__  # past metaclasses

    def record(name, status, error):
        """Whatever an error's class does when it is shown, this returns."""
        if status == "skipped" and not skips:
            # The script skips nothing: the candidate raised SkipTest.
            status, error = "error", error or RuntimeError("a test was skipped")
        message = ""
        if error is not None:
            message = name_of(type(error))
            try:
                message = f"{message}: {error}"
            except BaseException:
                pass
        clip = lambda text, limit: text[:limit].encode("utf-8", "backslashreplace").decode()
        audit("assize.record", clip(name, 200), status, clip(message, MAX_MESSAGE))

    try:
        code, names = prepare(config, parade, infer)
    except BaseException as error:
        record("script", "broken", error)
        return
    seal = object()  # in this frame alone, and frames are refused
    audit("assize.begin", seal)
    try:
        program = load_program(config["entry"], ("solution", "candidate"))
    except BaseException as error:
        record("load", "load", error)
        audit("assize.end", seal, 0)
        return
    script = config["script"]
    module = types.ModuleType("__main__")
    module.__file__ = config["path"]
    module.__builtins__ = plain_builtins
    # Tests that patch `__main__.name` mean the program's global; and the
    # script's own globals are not for the program to find.
    sys.modules["__main__"] = program
    for name in names:
        if hasattr(program, name):
            setattr(module, name, getattr(program, name))
    unittest = sys.modules.get("unittest")
    if unittest is not None:
        unittest.main = lambda *args, **kwargs: None  # run below, with a status per test
    try:
        exec(code, module.__dict__)
    except BaseException as error:
        record("script", "failed" if isinstance(error, AssertionError) else "error", error)
        audit("assize.end", seal, 0)
        return
    ran = 0
    try:
        ran = suites.run(module, script, record)
    except BaseException as error:
        record("suite", "error", error)
    else:
        if ran == 0:
            record("script", "passed", None)
    audit("assize.end", seal, ran)


def not_dumpable():
    """No other process of this user may read our memory or descriptors."""
    import ctypes

    PR_SET_DUMPABLE = 4
    if ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise OSError("prctl")


def main():
    os.close(os.open("/work/.", os.O_RDONLY))  # see plain.wait_for_work
    with open(0, "rb") as stdin:
        config = json.loads(stdin.read())
    null = os.open(os.devnull, os.O_RDONLY)  # becomes descriptor 0
    if null != 0:
        os.dup2(null, 0)
    sys.stdin = open(0, closefd=False)
    not_dumpable()
    notary = load_guest("notary")
    suites = load_guest("suites")
    parade = load_guest("parade").Parade(config["script"])
    infer = load_guest("tester").infer_names

    for name in sorted(imports_of(config["script"])):
        try:
            __import__(name)
        except ImportError:
            pass
    if "unittest" in sys.modules:
        line_up_assertions(sys.modules["unittest"], parade)
    if suites.needs_pytest(config["script"]):
        import _pytest.config
        import pytest

        for plugin in _pytest.config.default_plugins:
            __import__(f"_pytest.{plugin}")
    trusted = (*(p + "/" for p in sys.path), GUEST + "/", "<frozen ")  # -I: no path of the program's
    parade.genuine = suites.genuine = genuine = notary.whose(trusted)
    roots = {"unittest", "_pytest", "pytest", "pluggy"} | imports_of(config["script"])
    watched = [
        m for n, m in sorted(sys.modules.items())
        if n in roots or n.partition(".")[0] in {"unittest", "_pytest", "pytest", "pluggy"}
    ]
    watched += [builtins, json, suites]
    kept = notary.snapshot(m for m in watched if isinstance(m, types.ModuleType))
    # The one thing there that we replace ourselves, see work_through.
    kept = [k for k in kept if k[:2] != (sys.modules.get("unittest"), "main")]
    # Nor may another module stand in their places, the program in its own apart.
    own = {config["entry"].removesuffix(".py").replace("/", "."), "solution", "candidate", "__main__"}
    kept += [(sys.modules, n, m, None) for n, m in list(sys.modules.items()) if m in watched and n not in own]
    import contextlib

    here = sys.modules["__main__"]
    pristine = notary.code_of([*watched, threading, contextlib, here])
    plain_builtins = dict(vars(builtins))
    kept += [(plain_builtins, name, value, None) for name, value in plain_builtins.items()]

    leave = os._exit
    audit = sys.audit
    over = _thread.allocate_lock()
    over.acquire()

    def work():
        try:
            work_through(config, suites, parade, infer, plain_builtins, audit)
        finally:
            over.release()

    codes = {c.co_name: c for c in work_through.__code__.co_consts if isinstance(c, types.CodeType)}
    codes.update(work=work.__code__, work_through=work_through.__code__)
    nonce = config.pop("nonce")
    hook = notary.notary(nonce, config.pop("report"), kept, pristine, codes, sys._getframe(1).f_code)
    sys.addaudithook(hook)
    del nonce, hook
    sys.addaudithook(notary.guard(genuine, config["path"]))
    # A deep stack, as the main thread would have. No Thread object: the program
    # could reach it, and by it this function and the end of the thread.
    threading.stack_size(64 << 20)
    _thread.start_new_thread(work, ())
    threading.stack_size(0)
    over.acquire()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BaseException:
            pass
    audit("assize.finish")
    leave(0)


if __name__ == "__main__":
    main()
