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
- Test results are told to the hook one by one. It takes them only from a
  stack that consists of our code, unittest's and pytest's as they were before
  the candidate was loaded, and never forgets one.
- unittest, pytest, builtins and the modules that the script imports are
  compared with what they were before the candidate was loaded, at every
  result. A candidate that changed one has failed.
- What the script compares with a value of the candidate's own class goes
  through a line-up (parade.py): an object that equals everything equals nothing.
- The script sees its own copy of the builtins, and is never a file the
  candidate could edit. No conftest.py, sitecustomize.py or plugin is read, the
  program's directory comes last on the path, and nothing runs at exit.

Frames, the garbage collector's lists, tracing, ctypes and further audit hooks
are refused: they are how one looks into a neighbour's closure.
"""

import builtins
import json
import os
import sys
import threading
import types

GUEST = os.path.dirname(os.path.abspath(__file__))
MAX_MESSAGE = 300
MAX_TESTS = 1000


class Refused(RuntimeError):
    """What tests in a shared interpreter cannot allow."""


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


# ------------------------------------------------------------- what was there

# Replaced by honest programs, for themselves.
FREE = frozenset("excepthook displayhook unraisablehook stdin stdout stderr breakpointhook".split())


def snapshot(modules):
    """The callables of modules and of their classes, as they are now."""
    kept = []
    plain = (types.FunctionType, types.BuiltinFunctionType, type)
    for module in modules:
        for name, value in list(vars(module).items()):
            if not isinstance(value, plain) or name in FREE:
                continue
            kept.append((module, name, value, getattr(value, "__code__", None)))
            if isinstance(value, type) and value.__flags__ & (1 << 9):  # a heap type
                for member, inner in list(vars(value).items()):
                    if callable(inner) or isinstance(inner, (property, classmethod, staticmethod)):
                        kept.append((value, member, inner, getattr(inner, "__code__", None)))
    return kept


def changed(kept):
    """The first callable that is no longer what it was, by name."""
    for owner, name, value, code in kept:
        now = vars(owner).get(name)
        if now is not value or (code is not None and now.__code__ is not code):
            return f"{getattr(owner, '__name__', owner)}.{name}"
    return None


def code_of(modules):
    """Every code object of these modules, nested ones included. By value: an
    equal one does the same."""
    found, todo = set(), []
    for module in modules:
        spec = getattr(module, "__spec__", None)
        try:
            todo.append(spec.loader.get_code(spec.name))
        except (AttributeError, ImportError):
            path = getattr(module, "__file__", None)
            if path is not None and path.endswith(".py"):
                with open(path, "rb") as file:
                    todo.append(compile(file.read(), path, "exec"))
    while todo:
        code = todo.pop()
        if code is None or code in found:
            continue
        found.add(code)
        todo.extend(c for c in code.co_consts if isinstance(c, types.CodeType))
    return found


# --------------------------------------------------------------------- hooks


def guard(trusted):
    """Refuses looking into neighbours. Raises, so it must know no secret: its
    frame is in the traceback."""
    never = frozenset(
        "gc.get_objects gc.get_referrers gc.get_referents sys._current_frames "
        "sys._current_exceptions sys.settrace sys.setprofile sys.addaudithook "
        "ctypes.string_at ctypes.wstring_at ctypes.cdata ctypes.cdata/buffer "
        "ctypes.call_function ctypes.dlsym ctypes.addressof".split()
    )
    frames = frozenset("tb_frame gi_frame cr_frame ag_frame".split())
    getframe = sys._getframe
    busy = []

    def hook(event, args):
        if event in never:
            raise Refused(f"{event} is refused beside tests")
        if event == "sys._getframe" and not busy:
            busy.append(None)
            try:
                asking = getframe(1).f_code.co_filename
            finally:
                busy.clear()
            if not asking.startswith(trusted) or asking.endswith("/inspect.py"):
                raise Refused("frames are refused beside tests")
        elif event == "object.__getattr__" and len(args) == 2 and args[1] in frames and not busy:
            busy.append(None)
            try:
                asking = getframe(1).f_code.co_filename
            finally:
                busy.clear()
            if not asking.startswith(trusted):
                raise Refused("frames are refused beside tests")

    return hook


def notary(nonce, descriptor, kept, pristine, thread_of, main_code, bottom):
    """Takes results and writes the report. Never raises and calls nobody's
    code: its frames are never seen."""
    results = []
    facts = {"tampered": None, "odd": None, "finished": False}
    getframe, write, ident = sys._getframe, os.write, threading.get_ident
    dumps = json.dumps
    look = changed

    def stack_is_ours(base):
        frame = getframe(2)
        last = None
        while frame is not None:
            if frame.f_code not in pristine:
                return False
            last = frame
            frame = frame.f_back
        return last is not None and last.f_code in base

    def hook(event, args):
        if event[:7] != "assize.":
            return
        try:
            if facts["finished"]:
                return
            if event == "assize.record":
                name, status, message = args
                if status == "passed" and not (ident() == thread_of[0] and stack_is_ours(bottom)):
                    facts["odd"] = facts["odd"] or str(name)
                elif len(results) < MAX_TESTS:
                    results.append({"name": str(name), "status": str(status), "message": str(message)})
                facts["tampered"] = facts["tampered"] or look(kept)
            elif event == "assize.finish":
                if ident() == thread_of[1] and stack_is_ours((main_code,)):
                    facts["finished"] = True
                    facts["tampered"] = facts["tampered"] or look(kept)
                    tampered = facts["tampered"] or (facts["odd"] and "a test's result")
                    data = dumps({"nonce": nonce, "tampered": tampered, "tests": results})
                    view = memoryview(data.encode("ascii"))
                    while view:
                        view = view[write(descriptor, view) :]
        except BaseException:
            return

    return hook


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
    code = compile(tree, path, "exec", dont_inherit=True, optimize=0)
    return code, config["names"] if config["names"] is not None else infer(script, path)


def work_through(config, suites, parade, infer, plain_builtins, audit):
    """What the worker thread does: load, execute, run. Every outcome is told."""
    skips = any(word in config["script"].lower() for word in ("skip", "xfail"))

    def record(name, status, error):
        if status == "skipped" and not skips:
            # The script skips nothing: the candidate raised SkipTest.
            status, error = "error", error or Refused("a test was skipped")
        message = ""
        if error is not None:
            try:
                message = f"{type(error).__name__}: {error}"
            except BaseException:
                message = type(error).__name__
        clip = lambda text, limit: str(text)[:limit].encode("utf-8", "backslashreplace").decode()
        audit("assize.record", clip(name, 200), status, clip(message, MAX_MESSAGE))

    try:
        code, names = prepare(config, parade, infer)
    except BaseException as error:
        record("script", "broken", error)
        return
    try:
        program = load_program(config["entry"], ("solution", "candidate"))
    except BaseException as error:
        record("load", "load", error)
        return
    script = config["script"]
    module = types.ModuleType("__main__")
    module.__file__ = config["path"]
    module.__builtins__ = plain_builtins
    # Tests that patch `__main__.name` mean the program's global; and the
    # script's own globals are not for the program to find.
    sys.modules["__main__"] = program
    compare = parade.compare
    plain_builtins["_assize_compare"] = lambda op, a, b: compare(op, a, b)
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
        return
    try:
        ran = suites.run(module, script, record)
    except BaseException as error:
        record("suite", "error", error)
        return
    if ran == 0:
        record("script", "passed", None)


def not_dumpable():
    """No other process of this user may read our memory or descriptors."""
    import ctypes

    PR_SET_DUMPABLE = 4
    if ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise OSError("prctl")


def main():
    with open(0, "rb") as stdin:
        config = json.loads(stdin.read())
    null = os.open(os.devnull, os.O_RDONLY)  # becomes descriptor 0
    if null != 0:
        os.dup2(null, 0)
    sys.stdin = open(0, closefd=False)
    not_dumpable()
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
    roots = {"unittest", "_pytest", "pytest", "pluggy"} | imports_of(config["script"])
    watched = [
        m for n, m in sorted(sys.modules.items())
        if n in roots or n.partition(".")[0] in {"unittest", "_pytest", "pytest", "pluggy"}
    ]
    watched += [builtins, json, suites]
    kept = snapshot(m for m in watched if isinstance(m, types.ModuleType))
    # The one thing there that we replace ourselves, see work_through.
    kept = [k for k in kept if k[:2] != (sys.modules.get("unittest"), "main")]
    import contextlib

    here = sys.modules["__main__"]
    pristine = code_of([*watched, threading, contextlib, here])
    plain_builtins = dict(vars(builtins))
    bottom = [threading.Thread._bootstrap.__code__]
    thread_of = [None, threading.get_ident()]

    leave = os._exit
    nonce = config.pop("nonce")
    sys.addaudithook(notary(nonce, config.pop("report"), kept, pristine, thread_of, sys._getframe(1).f_code, bottom))
    del nonce
    audit = sys.audit
    parade.trusted = trusted = (*(p + "/" for p in sys.path), GUEST + "/", "<frozen ")  # -I: no path of the program's

    def work():
        thread_of[0] = threading.get_ident()
        work_through(config, suites, parade, infer, plain_builtins, audit)

    # A deep stack, as the main thread would have.
    threading.stack_size(64 << 20)
    thread = threading.Thread(target=work, name="tests")
    sys.addaudithook(guard(trusted))
    thread.start()
    thread.join()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BaseException:
            pass
    audit("assize.finish")
    leave(0)


if __name__ == "__main__":
    main()
