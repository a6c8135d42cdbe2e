"""Runs the tests that a script defined: unittest classes, pytest files, plain
`test_*` functions. One record per test: `record(name, status, error)` with
status passed, failed, error or skipped.

Only trusted scripts come here. In `tester.py` the candidate is in another
process; in `shared.py` it is in this one, and who may call `record` is looked
into there.
"""

import os
import sys


def genuine(code):
    """Whether code is the interpreter's own; shared.py knows better."""
    return True


def theirs(error, module):
    """Whether an exception came through code of the program under test, it or
    what was being handled when it was raised. Only a script skips its tests, or
    declares that they fail."""
    of = BaseException.__dict__  # past what a class of the program's says
    for _ in range(100):
        if error is None:
            return False
        trace = of["__traceback__"].__get__(error)
        while trace is not None:
            code = trace.tb_frame.f_code
            if code.co_filename != module.__file__ and not genuine(code):
                return True
            trace = trace.tb_next
        error = of["__context__"].__get__(error)
    return True


def find(module):
    """What there is to run in a module: (unittest classes, test functions)."""
    unittest = sys.modules.get("unittest")
    classes, functions = [], []
    for name, value in list(vars(module).items()):
        if isinstance(value, type):
            if unittest is not None and issubclass(value, unittest.TestCase):
                if value.__module__ == module.__name__:
                    classes.append(value)
        elif name.startswith("test") and type(value) is type(find):
            if value.__module__ == module.__name__:
                functions.append(value)
    return classes, functions


def needs_pytest(source):
    """Whether the script speaks of pytest, whose fixtures only pytest runs."""
    import re

    return re.search(r"^\s*(import|from)\s+_?pytest\b", source, re.MULTILINE) is not None


def run(module, source, record):
    """Runs all of a module's tests; returns how many there were."""
    if needs_pytest(source):
        return run_pytest(module, record)
    classes, functions = find(module)
    return run_unittest(classes, module, record) + run_functions(functions, record)


def run_functions(functions, record):
    """Functions without arguments, called in the order they were defined."""
    ran = 0
    for function in functions:
        if function.__code__.co_argcount - len(function.__defaults__ or ()) > 0:
            continue  # a helper
        ran += 1
        error = attempt(function)
        record(function.__name__, status(error), error)
    return ran


def attempt(function):
    """Calls and returns what was raised, or None."""
    try:
        result = function()
        if type(result).__name__ == "coroutine":
            import asyncio

            asyncio.run(result)
    except BaseException as error:
        return error
    return None


def status(error):
    if error is None:
        return "passed"
    return "failed" if isinstance(error, AssertionError) else "error"


def run_unittest(classes, module, record):
    """unittest's own runner, with a result that records."""
    if not classes:
        return 0
    import unittest

    class Result(unittest.TestResult):
        """Every status once: a test with failing subtests has failed."""

        def startTest(self, test):
            super().startTest(test)
            self.outcome = None

        def addSuccess(self, test):
            self.outcome = self.outcome or ("passed", None)

        def note(self, what, error):
            if self.outcome is None or self.outcome[0] == "passed":
                self.outcome = (what, error)

        def addFailure(self, test, err):
            self.note("failed", err[1])

        def addError(self, test, err):
            if not isinstance(test, unittest.TestCase):
                # setUpClass, setUpModule: no test of theirs ever starts.
                record(name(test), "error", err[1])
                return
            self.note("error", err[1])

        def addSubTest(self, test, subtest, err):
            if err is not None:
                self.note(status(err[1]), err[1])

        def addSkip(self, test, reason):
            raised = sys.exc_info()[1]  # none where a decorator says it
            if raised is not None and theirs(raised, module):
                self.addError(test, (type(raised), raised, None))
            elif isinstance(test, unittest.TestCase):
                self.note("skipped", None)

        def addExpectedFailure(self, test, err):
            self.outcome = self.outcome or ("passed", None)

        def addUnexpectedSuccess(self, test):
            self.note("failed", AssertionError("an unexpected success"))

        def stopTest(self, test):
            super().stopTest(test)
            what, error = self.outcome or ("error", None)
            record(name(test), what, error)

    def name(test):
        parts = test.id().split(".")
        return ".".join(parts[-2:])

    loader = unittest.TestLoader()
    suite = unittest.TestSuite(loader.loadTestsFromTestCase(c) for c in classes)
    count = suite.countTestCases()
    suite.run(Result())
    return count


def run_pytest(module, record):
    """pytest on a module that was executed already: no file of the program's
    directory is read, so no conftest.py and no ini file has a say."""
    import tempfile

    import pytest

    for variable in [v for v in os.environ if v.startswith("PYTEST_")]:
        del os.environ[variable]
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    directory = tempfile.mkdtemp(prefix="assize-")
    path = os.path.join(directory, "assize_test.py")
    with open(path, "x"):
        pass

    class Ready(pytest.Module):
        def _getobj(self):
            return module

    class Plugin:
        seen = 0
        collected = 0
        result = ("error", None)

        @pytest.hookimpl(tryfirst=True)
        def pytest_pycollect_makemodule(self, module_path, parent):
            return Ready.from_parent(parent, path=module_path)

        def pytest_collectreport(self, report):
            if report.failed:
                record("collection", "error", Exception(report.longreprtext[-500:]))

        def pytest_collection_finish(self, session):
            self.collected = len(session.items)

        @pytest.hookimpl(hookwrapper=True)
        def pytest_runtest_makereport(self, item, call):
            # Before and after pytest makes a skip of its own of unittest's.
            before = call.excinfo.value if call.excinfo is not None else None
            outcome = yield
            report = outcome.get_result()
            title = item.nodeid.partition("::")[2].replace("::", ".")
            error = call.excinfo.value if call.excinfo is not None else None
            by_mark = hasattr(report, "wasxfail") and not isinstance(error, pytest.xfail.Exception)
            if report.skipped and not by_mark and (theirs(before, module) or theirs(error, module)):
                self.result = ("error", error)
            elif report.skipped:  # xfail included
                self.result = ("skipped", None)
            elif report.failed and report.when == "call":
                error = error or AssertionError(str(report.longrepr)[:300])
                self.result = (status(error), error)
            elif report.failed:
                self.result = ("error", error)
            elif report.when == "call":
                self.result = ("passed", None)
            if report.when == "teardown":
                # Told at the end, when what the test patched is as it was.
                self.seen += 1
                record(title, *self.result)

    plugin = Plugin()
    arguments = [
        "--noconftest", "--assert=plain", "--capture=no",
        "-c", os.devnull, "--rootdir", directory, "--import-mode=importlib",
        "-p", "no:cacheprovider", "-p", "no:faulthandler", "-p", "no:terminal",
        "-p", "no:legacypath", "-p", "no:threadexception", "-p", "no:unraisableexception", path,
    ]
    code = pytest.main(arguments, plugins=[plugin])
    if code not in (0, 1, 5):  # passed, failed, none collected
        record("pytest", "error", Exception(f"pytest ended with {int(code)}"))
    elif plugin.seen < plugin.collected:
        record("pytest", "error", Exception("pytest ended early"))
    return plugin.collected
