"""Runs a trusted test script against a candidate in another process.

    tester.py SCRIPT CONFIG       (CONFIG: {"names": [..] | null, "modules": [..]})

`modules` are the names under which the script may import the candidate. What
the script only defines (unittest classes, pytest files, `test_*` functions) is
run by suites.py, and reported with a status per test.

The script sees ordinary functions; each call travels to the candidate as
plain data and its result comes back rebuilt from genuine built-ins, so
`isinstance`, float tolerances and `try … except ValueError` work as written.

The candidate can send anything. This process must survive it, and must never
report `passed` when a recorded fact says otherwise: the outcome is computed
from the facts first (the candidate is gone, it sent nonsense, a name does not
exist) and only then from how the script ended. A script that swallows every
exception therefore cannot turn a dead candidate into a pass.

One report leaves, as JSON on descriptor 4 (or `_assize.report`):

    outcome   passed | assertion | raised | candidate_raised | candidate_gone
              | load | missing | unsupported | bad_data | broken
    message   bounded, valid Unicode
    type      the exception's class name, or null
    line      in the script, or null
    calls     how many calls were made
    opaque    how many values arrived that were live objects over there
    tests     of a suite: [{name, status, message}]

`broken` is the author's fault: the script failed before the candidate had any
say. `unsupported` is the script's nature: it passes live objects of its own.
Neither can be brought about by a candidate. `calls` 0 with `passed` means that
the script never asked: whether that is a pass is for the reader to decide.
"""

import builtins
import json
import os
import sys

MAX_MESSAGE = 2000
# A script that swallows the end of its candidate in an endless loop is ended.
MAX_SWALLOWED = 1000


def _sibling(name):
    """A module beside this one, under a name that no script can shadow."""
    module = sys.modules.get("_assize_" + name)
    if module is None:
        sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
        module = __import__(name)
        del sys.path[0], sys.modules[name]
        sys.modules["_assize_" + name] = module
    return module


plain = _sibling("plain")


class Stop(BaseException):
    """The trial is over. Not an Exception, so that `except Exception` in a
    script lets it through."""


class CandidateGone(Stop):
    """The candidate's process ended or hung up."""


class CandidateMissing(Stop):
    """The candidate defines no such name."""


class CandidateNonsense(Stop):
    """The candidate sent what no honest peer sends."""


class Unsupported(Stop):
    """The script passes a live object."""


class CandidateError(Exception):
    """The candidate raised what has no built-in class here."""


class NotPlainResult(Exception):
    """The candidate returned what cannot be data: a cycle, an endless iterator."""


class Trial:
    """One candidate, and the facts about it."""

    def __init__(self, channel):
        self.channel = channel
        self.fact = None  # (outcome, message, type): the first one stands
        self.calls = 0
        self.given = 0  # values that reached the script
        self.absent = []  # names the candidate does not define
        self.odd = False  # a name nobody promised to be a function is one
        self.source = ""
        self.names = None  # the candidate's, where the script alone says them
        self.opaque = 0
        self.sent = 0
        self.swallowed = 0
        self.on_endless = None
        self.stdout = None  # what scripts print to, unless they redirect it
        self.results = []
        self.room = 200_000  # for what the results of a suite say, in bytes
        self.first = None  # the first test of a suite that did not pass: its error
        self.ended = False  # by unittest.main()

    def stop(self, outcome, message, error, type_name=None):
        if self.fact is None:
            self.fact = (outcome, message, type_name or error.__name__)
        raise error(message)

    def check(self):
        """Every touch after the end raises again."""
        if self.fact is None:
            return
        self.swallowed += 1
        if self.swallowed > MAX_SWALLOWED:
            self.on_endless()
        kinds = {
            "candidate_gone": CandidateGone,
            "load": CandidateGone,
            "missing": CandidateMissing,
            "unsupported": Unsupported,
        }
        raise kinds.get(self.fact[0], CandidateNonsense)(self.fact[1])

    def receive(self):
        """One message: a dict with text keys."""
        try:
            data = self.channel.recv()
            if data is None:
                self.stop("candidate_gone", "the candidate ended", CandidateGone)
            message = plain.loads(data)
            if type(message) is not dict:
                raise plain.BadData("a message that is no object")
            return message
        except plain.BadData as reason:
            self.nonsense(reason)

    def nonsense(self, reason):
        self.stop("bad_data", f"the candidate sent bad data: {reason}", CandidateNonsense)

    def decode(self, tree):
        try:
            decoder = plain.Decoding()
            value = decoder.run(tree)
        except plain.BadData as reason:
            self.nonsense(reason)
        self.opaque += decoder.opaque
        self.given += 1
        return value

    def wait_ready(self):
        message = self.receive()
        if list(message) == ["load"]:
            try:
                error = self.exception(message["load"])
            except plain.BadData as reason:
                self.nonsense(reason)
            self.stop("load", _text(error), CandidateGone, error.candidate_type)
        if message != {"ready": True}:
            self.nonsense("not ready")

    def ask(self, verb, **request):
        """Sends one request and returns its answer, without the id."""
        self.check()
        self.sent += 1
        try:
            data = plain.dumps({verb: {"id": self.sent, **request}})
        except plain.NotPlain as reason:
            self.refuse(request["name"], reason)
        try:
            self.channel.send(data)
        except OSError:
            self.stop("candidate_gone", "the candidate ended", CandidateGone)
        answer = self.receive()
        # Exactly an int: `True == 1` in Python.
        if type(answer.get("id")) is not int or answer.pop("id") != self.sent:
            self.nonsense("an answer to another question")
        return answer

    def call(self, name, args, kwargs):
        """Calls the candidate's function, as if it stood here."""
        self.check()
        self.calls += 1
        try:
            sent_args = [plain.encode(x, strict=True) for x in args]
            sent_kwargs = [[plain.clip(k, 200), plain.encode(v, strict=True)] for k, v in kwargs.items()]
        except plain.NotPlain as reason:
            for value in [*args, *kwargs.values()]:
                # Not the script's live object: a name of the candidate's that
                # is no plain data, or is not there at all.
                if getattr(value, "stands_for", None) is self:
                    self.stop("missing", f"{value.__name__} is no plain data", CandidateMissing)
            self.refuse(name, reason)
        answer = self.ask("call", name=name, args=sent_args, kwargs=sent_kwargs)
        if answer == {"missing": True}:
            self.missing(name)
        if len(answer) == 1 and type(answer.get("not_plain")) is str:
            self.not_plain(answer["not_plain"])
        live = {**dict(enumerate(args)), **kwargs}
        printed = answer.pop("out", None)
        if type(printed) is str and sys.stdout is not self.stdout:
            # The script listens to what is printed: here, to what was printed there.
            sys.stdout.write(printed)
        try:
            self.apply(live, answer.pop("args", []))
            raised = answer.pop("raised", None)
            if raised is not None:
                if answer:
                    raise plain.BadData("raised and more")
                raise self.exception(raised)
            same = answer.pop("same", None)
            if list(answer) != ["value"]:
                raise plain.BadData("no answer")
            value = self.decode(answer["value"])
            if same is None:
                return value
            if type(same) not in (int, str) or same not in live or type(live[same]) is not type(value):
                raise plain.BadData("not the same")
            return live[same]
        except plain.BadData as reason:
            self.nonsense(reason)

    def refuse(self, name, reason):
        """An argument cannot travel. Whose doing is it?

        Only the script makes live objects: that is `unsupported`. But values
        the candidate returned may be opaque, or so deep or large that a script
        which passes them on exceeds a bound. Called unsupported, that would be
        a way for a candidate to choose how it is judged.
        """
        message = f"an argument of {name}: {reason}"
        if isinstance(reason, plain.Live) or not self.given:
            self.stop("unsupported", message, Unsupported)
        self.not_plain(message)

    def not_plain(self, reason):
        error = NotPlainResult(plain.clip(reason, MAX_MESSAGE))
        error.candidate_type = "NotPlain"
        raise error

    def apply(self, live, changes):
        """Repeats on our arguments what the call did to its copies."""
        if type(changes) is not list or len(changes) > len(live):
            raise plain.BadData("wrong args")
        for change in changes:
            if type(change) is not list or len(change) != 2:
                raise plain.BadData("wrong args")
            key, tree = change
            if type(key) not in (int, str) or key not in live:
                raise plain.BadData("an unknown argument")
            target, value = live[key], self.decode(tree)
            if type(target) is not type(value):
                raise plain.BadData("an argument of another type")
            if type(target) in (list, bytearray):
                target[:] = value
            elif type(target) in (dict, set):
                target.clear()
                target.update(value)
            elif type(target).__name__ == "deque":
                target.clear()
                target.extend(value)
            else:
                raise plain.BadData("an argument that cannot change")

    def exception(self, data):
        """A genuine exception for one that was described.

        Only subclasses of Exception are rebuilt: a claimed `SystemExit` with
        code 0, raised here, would end the script as a success.
        """
        if type(data) is not dict:
            raise plain.BadData("no exception")
        mro, message, name = data.get("mro"), data.get("message"), data.get("type")
        if type(mro) is not list or type(message) is not str or type(name) is not str:
            raise plain.BadData("no exception")
        message, name = plain.clip(message, MAX_MESSAGE), plain.clip(name, 100)
        kind = None
        for ancestor in mro[:100]:
            found = getattr(builtins, ancestor, None) if type(ancestor) is str else None
            if isinstance(found, type) and issubclass(found, BaseException):
                kind = found
                break
        # `all(map(candidate, cases))` takes StopIteration for the end of the
        # cases: genuine here, it would end a loop of the script as a success.
        if kind in (StopIteration, StopAsyncIteration) and kind.__name__ not in self.source:
            kind = CandidateError
        if kind is None or not issubclass(kind, Exception) or (kind is Exception and name != "Exception"):
            kind = CandidateError
        args = (message,)
        if name == kind.__name__ and type(data.get("args")) is list:
            args = tuple(self.decode(data["args"]))
        error = None
        for attempt in (args, (message,)):
            try:
                error = kind(*attempt)
                break
            except Exception:  # UnicodeDecodeError, ExceptionGroup …
                continue
        if error is None:
            error = CandidateError(message)
        error.candidate_type = name
        return error

    def missing(self, name):
        self.stop("missing", f"the candidate defines no {name}", CandidateMissing, "NameError")

    def name(self, name):
        """What the script finds under `name`."""
        answer = self.ask("get", name=name)
        if answer == {"callable": True}:
            return self.proxy(name)
        if answer == {"missing": True}:
            # It may never be used: a fact only when it is, or when the script
            # fails for it.
            self.absent.append(name)
            return self.proxy(name, self.missing)
        if list(answer) == ["value"]:
            return self.decode(answer["value"])
        if len(answer) == 1 and type(answer.get("not_plain")) is str:
            self.opaque += 1
            self.given += 1
            return plain.Opaque("unknown", plain.clip(answer["not_plain"], plain.MAX_REPR))
        self.nonsense("no answer")

    def proxy(self, name, instead=None):
        def function(*args, **kwargs):
            if instead is not None:
                self.check()
                instead(name)
            return self.call(name, args, kwargs)

        function.__name__ = name.rpartition(".")[2]
        function.__qualname__ = name
        function.__module__ = "candidate"
        function.stands_for = self
        return function


def infer_names(source, path):
    """Global names the script reads and nobody but the candidate can bind."""
    # The module `symtable` makes an object of every symbol, which takes longer
    # than all else a script test does.
    import _symtable as st

    globals_ = (st.GLOBAL_IMPLICIT, st.GLOBAL_EXPLICIT)
    read, bound = set(), set()
    top = st.symtable(source, path, "exec")
    tables = [top]
    while tables:
        table = tables.pop()
        tables += table.children
        for name, flags in table.symbols.items():
            scope = (flags >> st.SCOPE_OFF) & st.SCOPE_MASK
            if table is not top and scope not in globals_:
                continue
            if flags & (st.DEF_LOCAL | st.DEF_IMPORT):
                bound.add(name)
            elif flags & st.USE:
                read.add(name)
    return sorted(n for n in read - bound if not hasattr(builtins, n) and not n.startswith("__"))


class Importer:
    """Finds the candidate where the script imports it by a name."""

    def __init__(self, trial, names):
        self.trial, self.names = trial, frozenset(names)

    def find_spec(self, name, path=None, target=None):
        if name not in self.names:
            return None
        from importlib.machinery import ModuleSpec

        return ModuleSpec(name, self)

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        trial = self.trial

        def attribute(name):
            if name == "__all__":
                trial.stop("unsupported", "import * of the candidate", Unsupported)
            if name.startswith("__"):
                raise AttributeError(name)
            value = trial.name(name)
            setattr(module, name, value)
            return value

        module.__getattr__ = attribute


def install(trial, names, scope):
    """Binds every name; `Class.method` becomes a class of static proxies."""
    for name in names:
        owner, dot, method = name.partition(".")
        value = trial.name(name)
        if not dot:
            scope[name] = value
        else:
            holder = scope.get(owner)
            if not isinstance(holder, type):
                holder = scope[owner] = type(owner, (), {})
            setattr(holder, method, staticmethod(value))


def _line(error, path):
    # A SyntaxError of the candidate's carries whatever the candidate likes.
    if isinstance(error, SyntaxError) and not hasattr(error, "candidate_type"):
        return error.lineno if error.filename == path else None
    line, frame = None, error.__traceback__
    while frame is not None:
        if frame.tb_frame.f_code.co_filename == path:
            line = frame.tb_lineno
        frame = frame.tb_next
    return line


def _text(error):
    try:
        return plain.clip(str(error), MAX_MESSAGE)
    except Exception:
        return "<no message>"


def judge(trial, error, path):
    """The report: facts first, then how the script ended (`error` or None)."""
    report = {"outcome": "passed", "message": "", "type": None, "line": None}
    if error is not None:
        report["line"] = _line(error, path)
    if trial.fact is not None:
        report["outcome"], report["message"], report["type"] = trial.fact
    elif error is not None:
        report["message"], report["type"] = _text(error), type(error).__name__
        if isinstance(error, SystemExit):
            ended_well = error.code is None or (isinstance(error.code, int) and error.code == 0)
            report["outcome"] = "passed" if ended_well else "assertion"
        elif hasattr(error, "candidate_type"):
            report["outcome"], report["type"] = "candidate_raised", error.candidate_type
        elif isinstance(error, AssertionError):
            report["outcome"] = "assertion"
        elif trial.absent and not isinstance(error, (SyntaxError, ImportError)):
            # Leaving a name out must not make the script look broken.
            report["outcome"] = "missing"
        elif trial.odd and not isinstance(error, (SyntaxError, ImportError)):
            report["outcome"] = "raised"
        else:
            report["outcome"] = "raised" if trial.calls or trial.given else "broken"
    report["message"] = plain.clip(report["message"], MAX_MESSAGE)
    report["calls"], report["opaque"] = trial.calls, trial.opaque
    report["given"] = trial.given
    report["tests"] = trial.results
    report["names"] = trial.names
    return report


class Bounded:
    """Standard output of the script, cut off where nobody reads on.

    A script that prints results prints what the candidate chose; an output
    limit reached that way would end the tests and look like their fault.
    """

    def __init__(self, stream, room):
        self.stream, self.room = stream, room

    def write(self, text):
        if self.room > 0:
            self.stream.write(text[: self.room])
            self.room -= len(text)
        return len(text)

    def writelines(self, lines):
        for line in lines:
            self.write(line)

    @property
    def buffer(self):
        return BoundedBytes(self)

    def __getattr__(self, name):
        return getattr(self.stream, name)


class BoundedBytes:
    """The bytes below such a stream, under the same bound."""

    def __init__(self, text):
        self.text = text

    def write(self, data):
        data = bytes(data)
        if self.text.room > 0:
            self.text.stream.buffer.write(data[: self.text.room])
            self.text.room -= len(data)
        return len(data)

    def __getattr__(self, name):
        return getattr(self.text.stream.buffer, name)


def heard():
    """White space before the report: from here on a breakdown of this process
    is the candidate's doing. On WASI it is no process, and ends by itself."""
    if "_assize" not in sys.builtin_module_names:
        os.write(4, b" ")


def send_report(report):
    data = json.dumps(report).encode("ascii")
    try:
        import _assize
    except ImportError:
        view = memoryview(data)
        while view:
            view = view[os.write(4, view) :]
        os.close(4)
    else:
        _assize.report(data)


MAX_TESTS = 1000


def run_suite(trial, module):
    """Runs what the script only defined; returns the first failure, or None.

    A script that has already asked the candidate something was no suite.
    """
    if trial.calls and not trial.ended:
        return None
    suites = _sibling("suites")

    def record(name, status, error):
        message = "" if error is None else f"{type(error).__name__}: {_text(error)}"
        if len(trial.results) < MAX_TESTS:
            # A report of a bounded size, whatever the candidate raises.
            message = plain.clip(message, 300) if trial.room > 0 else ""
            trial.room -= len(json.dumps(message))
            trial.results.append({"name": plain.clip(name, 200), "status": status, "message": message})
        if status not in ("passed", "skipped") and trial.first is None:
            trial.first = error if error is not None else AssertionError(name)

    try:
        suites.run(module, trial.source, record)
    except BaseException as error:
        return error
    return trial.first


def run(trial, path, names, modules, known=None):
    """Executes the script; returns what ended it, or None. `known` are the
    names that an earlier run of this very script found."""
    # A module of its own, so that unittest.main() finds the script's classes.
    module = type(sys)("__main__")
    module.__file__ = path
    sys.modules["__main__"] = module
    sys.argv = [path]
    try:
        with open(path, "rb") as file:
            source = file.read()
        code = plain.compile_program(source, path)
        trial.source = source.decode("utf-8", "replace")
        inferred = names is None
        if inferred:
            names = known if known is not None else infer_names(trial.source, path)
            trial.names = names
        sharing = _sibling("sharing").reason(trial.source, names, modules)
    except BaseException as error:
        return error
    try:
        if sharing is not None:
            trial.stop("unsupported", sharing, Unsupported)
        trial.wait_ready()
        heard()
        sys.meta_path.append(Importer(trial, modules))
        install(trial, names, module.__dict__)
        # Who found the names out by himself cannot know which are functions:
        # a candidate may have made one of a constant.
        trial.odd = inferred and bool(names)
    except BaseException as error:
        # Whatever goes wrong here came over the channel.
        if trial.fact is None:
            trial.fact = ("bad_data", _text(error), type(error).__name__)
        return error
    if "unittest" in trial.source:
        import unittest

        def main_program(*args, **kwargs):
            trial.ended = True

        unittest.main = main_program  # run below, with a status per test
    try:
        exec(code, module.__dict__)
    except BaseException as error:
        return error
    return run_suite(trial, module)


def main():
    plain.wait_for_work()
    path = os.path.abspath(sys.argv[1])
    config = json.loads(sys.argv[2] if len(sys.argv) > 2 else sys.stdin.buffer.read())
    trial = Trial(plain.open_channel())
    sys.stdout = trial.stdout = Bounded(sys.stdout, 8192)

    def end(error=None):
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        except Exception:
            pass
        send_report(judge(trial, error, path))
        os._exit(0)

    trial.on_endless = end
    error = run(trial, path, config["names"], config.get("modules", ()), config.get("inferred"))
    end(error)


if __name__ == "__main__":
    main()
