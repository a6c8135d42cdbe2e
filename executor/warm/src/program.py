"""Running a program as `python3 main.py` would, in a fork of an interpreter that
has waited for it, and ending as that would.

CPython's own end takes apart everything that it made at its start. A fork has
that in common with the interpreter that goes on waiting, and taking it apart
means copying it first, page by page: more work than most programs. So what was
there before the program stays, and of what the program made everything happens
that CPython's end lets happen, in its order (Py_FinalizeEx in pylifecycle.c).

A program that left something which this does not see to (threads, functions that
hear of every call, objects in modules that are not its own) is ended by CPython
itself: `is_usual` in executor/sys/src/python/traces.rs.

The functions live in a namespace that no program sees, with built-ins of their
own.
"""

import sys

known = set(sys.modules)

import _frozen_importlib_external as external
import atexit
import gc
import os
from _weakref import ref

# What was loaded on our behalf is not loaded for the program.
for name in set(sys.modules) - known:
    del sys.modules[name]
before = set()


def preload(names):
    """Loads modules for programs that import them."""
    path = sys.path[:]
    # Not the program's, even if there were any.
    sys.path[:] = [p for p in path if p != os.getcwd()]
    # A library that computes with threads would make this process one that
    # cannot be copied.
    alone = ["OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"]
    alone = [name for name in alone if name not in os.environ]
    for name in alone:
        os.environ[name] = "1"
    try:
        for name in names:
            __import__(name)
    finally:
        sys.path[:] = path
        for name in alone:
            del os.environ[name]
    if "numpy" in names:
        os.register_at_fork(after_in_child=reseed)


def reseed(waited=[True]):
    """Once: what the program forks itself shares its state, as ever."""
    if waited:
        waited.clear()
        sys.modules["numpy"].random.seed()


def settle(path):
    """Called last before the wait. `path`: the program's, if it is not a harness
    that reads it."""
    # It says what was in a directory that is not the program's.
    sys.path_importer_cache.pop(os.getcwd(), None)
    # What the collector never looks at is never copied for it either.
    gc.collect()
    gc.freeze()
    if path is not None:
        # As PyRun_SimpleFile makes it; a new one, since what is frozen is not
        # collected either when the program ends.
        main = Module("__main__")
        main.__dict__.update(vars(sys.modules["__main__"]))
        main.__file__ = path
        main.__cached__ = None
        main.__loader__ = external.SourceFileLoader("__main__", path)
        main.__annotations__ = {}
        sys.modules["__main__"] = main
    before.update(sys.modules)


def attempt(function, *arguments):
    """What goes wrong at the end is told and ends nothing."""
    try:
        function(*arguments)
        return True
    except BaseException as error:
        # As PyErr_WriteUnraisable tells it.
        try:
            where = getattr(function, "__self__", function)
            print("Exception ignored in:", repr(where), file=sys.stderr)
            trace = error.__traceback__.tb_next
            sys.__excepthook__(type(error), error.with_traceback(trace), trace)
        except BaseException:
            pass
        return False


def flush():
    """By flush_std_files."""
    done = True
    for name in "stdout", "stderr":
        stream = sys.__dict__.get(name)
        try:
            if stream is None or stream.closed:
                continue
        except Exception:
            pass
        if name == "stdout":
            done = attempt(stream.flush) and done
            continue
        try:
            stream.flush()
        except Exception:
            done = False
    return done


def clear(namespace):
    """By _PyModule_ClearDict: names with one underscore first, then the rest."""
    for private in True, False:
        for name in list(namespace):
            single = name.startswith("_") and not name.startswith("__")
            if namespace[name] is not None and name != "__builtins__" and single is private:
                namespace[name] = None


def take_down():
    """By finalize_modules, for the modules that the program has loaded."""
    for name in GONE:
        if name in sys.__dict__:
            setattr(sys, name, None)
    for name in "stdin", "stdout", "stderr":
        setattr(sys, name, sys.__dict__.get("__" + name + "__"))
    left = []
    for name, module in list(modules.items()):
        if name == "__main__" or name not in before:
            try:
                left.append(ref(module))
            except TypeError:
                pass
            modules[name] = None
            del module
    collect()
    for module in reversed(left):
        module = module()
        if isinstance(module, Module):
            clear(module.__dict__)
        del module


def end_threads():
    threading = modules.get("threading")
    if threading is not None:
        attempt(threading._shutdown)


def end():
    """After what was registered for the end has run. Whether the streams could
    not be written out."""
    failed = not flush()
    if collecting():
        collect()
    take_down()
    # By now it would be gone, and what is lost with it would be lost silently.
    for name in "__stdout__", "__stderr__":
        try:
            sys.__dict__.get(name).flush()
        except BaseException:
            pass
    return int(failed)


GONE = """path argv ps1 ps2 last_type last_value last_traceback path_hooks
path_importer_cache meta_path""".split()
# As they are before any program can change them.
modules = sys.modules
run_at_exit, registered = atexit._run_exitfuncs, atexit._ncallbacks
collecting, collect, callbacks, debugged = gc.isenabled, gc.collect, gc.callbacks, gc.get_debug
traced, profiled = sys.gettrace, sys.getprofile
Module = type(sys)
