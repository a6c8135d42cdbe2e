"""Who may say what in an interpreter that a candidate shares (see shared.py):
what was there before it, whose code is whose, which looks are refused, and who
takes the results.
"""

import io
import json
import marshal
import os
import sys
import threading
import types

GUEST = os.path.dirname(os.path.abspath(__file__)) + "/"
MAX_TESTS = 1000
MAX_TEXTS = 200_000


class Refused(RuntimeError):
    """What tests in a shared interpreter cannot allow."""


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
        now = (owner if type(owner) is dict else vars(owner)).get(name)
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


def whose(trusted):
    """A function that tells whether code is the interpreter's own. A file name
    is what whoever compiles says it is, so the file is asked."""
    known = {}
    read, load, make, kind = io.open, marshal.loads, compile, types.CodeType
    frozen, tag = __import__("_imp").get_frozen_object, sys.implementation.cache_tag

    def codes(name):
        if name.startswith("<frozen "):
            top = frozen(name[8:-1])
        else:
            folder, _, file = name.rpartition("/")
            try:
                with read(f"{folder}/__pycache__/{file[:-3]}.{tag}.pyc", "rb") as cached:
                    top = load(cached.read()[16:])
            except OSError:
                with read(name, "rb") as source:
                    top = make(source.read(), name, "exec", dont_inherit=True)
        found, todo = set(), [top]
        while todo:
            code = todo.pop()
            found.add(code)
            todo.extend(c for c in code.co_consts if type(c) is kind)
        return found

    def genuine(code):
        name = code.co_filename
        if type(name) is not str or not name.startswith(trusted):
            return False
        if name not in known:
            try:
                known[name] = codes(name)
            except Exception:
                known[name] = ()
        return code in known[name]

    return genuine


# --------------------------------------------------------------------- hooks


def guard(genuine, path):
    """Refuses looking into neighbours. Raises, so it must know no secret: its
    frame is in the traceback. `path` is the script's."""
    never = frozenset(
        "gc.get_objects gc.get_referrers gc.get_referents sys._current_frames "
        "sys._current_exceptions sys.settrace sys.setprofile sys.addaudithook "
        "ctypes.string_at ctypes.wstring_at ctypes.cdata ctypes.cdata/buffer "
        "ctypes.call_function ctypes.dlsym ctypes.addressof".split()
    )
    frames = frozenset("tb_frame gi_frame cr_frame ag_frame".split())
    getframe, code_type, function = sys._getframe, types.CodeType, types.FunctionType
    busy, ident = set(), threading.get_ident  # by thread: none looks while another is asked

    def asks_for_ours(owner):
        """Whether the program is on its way to the code of the tests."""
        code = owner.__code__ if type(owner) is function else None
        if type(code) is not code_type or (code.co_filename != path and not genuine(code)):
            return False
        if code.co_filename != path and not code.co_filename.startswith(GUEST):
            return False
        frame = getframe(2)
        while frame is not None:
            if frame.f_code.co_filename != path and not genuine(frame.f_code):
                return True
            frame = frame.f_back
        return False

    def hook(event, args):
        if event in never:
            raise Refused(f"{event} is refused beside tests")
        if event != "sys._getframe" and event != "object.__getattr__":
            return
        me = ident()
        if me in busy:
            return
        busy.add(me)
        try:
            if event == "sys._getframe":
                asking = getframe(1).f_code
                bad = asking.co_filename.endswith("/inspect.py") or not genuine(asking)
            elif len(args) != 2:
                bad = False
            elif args[1] in frames:
                bad = not genuine(getframe(1).f_code)
            else:
                bad = args[1] == "__code__" and asks_for_ours(args[0])
        finally:
            busy.discard(me)
        if bad:
            raise Refused("frames are refused beside tests")

    return hook


def notary(nonce, descriptor, kept, pristine, codes, main_code):
    """Takes results and writes the report. Never raises and calls nobody's
    code: its frames are never seen.

    `codes` are those of the worker's functions: its first (`work`), the one
    that begins and ends (`work_through`) and the one that records (`record`).
    A call of `sys.audit` that has no frame of its own, a destructor's say, comes
    from none of these; and who knows the seal of the beginning is at the end.
    """
    results = []
    facts = {"tampered": None, "seal": None, "done": False, "finished": False, "failed": False}
    count = [0, MAX_TEXTS]
    main, worker = threading.get_ident(), []
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
        return last is not None and last.f_code is base

    def fault(what):
        facts["tampered"] = facts["tampered"] or what

    def record(name, status, message):
        if type(name) is not str or type(status) is not str or type(message) is not str:
            return fault("a test's result")
        # `broken` is said before the candidate has a say, or never.
        if (status == "broken") is not (facts["seal"] is None):
            return fault("a test's result")
        count[0] += 1
        if status not in ("passed", "skipped"):
            if not facts["failed"]:
                facts["failed"] = True
                del results[MAX_TESTS - 1 :]  # the first failure is always told
        if len(results) < MAX_TESTS:
            count[1] -= len(dumps(message))
            results.append({"name": name, "status": status, "message": message if count[1] > 0 else ""})
        fault(look(kept))

    def finish():
        facts["finished"] = True
        fault(look(kept))
        if not facts["done"] and facts["seal"] is not None:
            fault("how its tests end")
        data = dumps({"nonce": nonce, "tampered": facts["tampered"], "tests": results})
        view = memoryview(data.encode("ascii"))
        while view:
            view = view[write(descriptor, view) :]

    def hook(event, args):
        if event[:7] != "assize.":
            return
        try:
            if facts["finished"]:
                return
            asking = getframe(1).f_code
            if event == "assize.finish":
                if ident() == main and asking in pristine and stack_is_ours(main_code):
                    finish()
                return
            if not worker:
                worker.append(ident())  # prepared before the candidate is loaded
            ours = ident() == worker[0] and stack_is_ours(codes["work"])
            if event == "assize.record":
                if ours and asking is codes["record"] and len(args) == 3:
                    record(*args)
                else:
                    fault("a test's result")
            elif event == "assize.begin":
                if ours and asking is codes["work_through"] and facts["seal"] is None:
                    (facts["seal"],) = args
                else:
                    fault("how its tests begin")
            elif event == "assize.end":
                seal, ran = args
                if ours and asking is codes["work_through"] and seal is facts["seal"]:
                    # Who fails may stop early; who passes has run them all.
                    facts["done"] = facts["failed"] or count[0] >= ran
                else:
                    fault("how its tests end")
        except BaseException:
            # A recursion limit of the program's, say: what was told is lost.
            facts["tampered"] = facts["tampered"] or "a test's result"

    return hook
