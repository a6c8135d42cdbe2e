"""Runs once inside the interpreter, before it is frozen.

Every module imported here costs a run nothing: it is part of the frozen
memory. What is not imported here is in that memory too, as byte code
(packed.py), and becomes a module when a program asks for it.
"""

import sys

BUILD = "/build"


def library():
    """From here on modules come out of the packed library."""
    module = type(sys)("_assize_packed")
    path = f"{BUILD}/packed.py"
    with open(path, encoding="utf-8") as file:
        exec(compile(file.read(), path, "exec"), module.__dict__)
    sys.modules["_assize_packed"] = module
    module.install()
    return module


packed = library()

import importlib
import importlib.util
import os

COMMON = """
abc argparse array ast asyncio atexit base64 bisect calendar cmath collections
collections.abc contextlib copy csv dataclasses datetime decimal difflib enum
fractions functools glob hashlib heapq hmac html inspect io itertools json
linecache locale logging math numbers operator pathlib pickle platform pprint
queue random re reprlib secrets shlex shutil statistics string struct
tempfile textwrap threading time timeit tokenize traceback types typing
unittest unittest.mock urllib.parse uuid warnings weakref zoneinfo
""".split()

HARNESS = f"{BUILD}/harness"


def common():
    """Imports what there is; this build of CPython lacks a few modules."""
    missing = []
    for name in COMMON:
        try:
            importlib.import_module(name)
        except ImportError as error:
            missing.append(f"{name} ({error})")
    if missing:
        print("prelude: not frozen in:", ", ".join(missing))


def event_loop():
    """Gives `asyncio` one that works here (loop.py)."""
    path = f"{BUILD}/loop.py"
    module = type(sys)("_assize_loop")
    sys.modules["_assize_loop"] = module
    with open(path, encoding="utf-8") as file:
        exec(compile(file.read(), path, "exec"), module.__dict__)


def harness():
    """`assize_NAME` from each NAME.py, and `_assize_NAME`, the name under
    which they look for one another; `plain` first, the others import it."""
    names = sorted(file[:-3] for file in os.listdir(HARNESS) if file.endswith(".py"))
    for name in sorted(names, key=lambda name: name != "plain"):
        path = f"{HARNESS}/{name}.py"
        spec = importlib.util.spec_from_file_location(f"assize_{name}", path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[f"assize_{name}"] = sys.modules[f"_assize_{name}"] = module
        spec.loader.exec_module(module)


def warm_up():
    """Goes often enough through what every run goes through: caches are
    filled, and code is specialised now instead of in every copy."""
    source = "x = [i for i in range(3)]\nf'{x}'\nprint(*(), end='')\n"
    for _ in range(32):
        exec(compile(source, "<warm-up>", "exec"), {})
        sys.stdout.flush()
        sys.stderr.flush()
        sys.modules["random"].seed()
    sys.modules["re"].purge()


def forget():
    """What the build leaves behind that a run must not see."""
    packed.forget_frozen()
    sys.path_importer_cache.clear()
    # The library's own entry does not go stale.
    importlib.import_module("pkgutil").get_importer(packed.ROOT)
    # The one exit function is that of `logging`: reactor.c sees to it.
    import atexit

    if atexit._ncallbacks() != 1:
        raise RuntimeError("an exit function that reactor.c does not know")
    atexit._clear()
    sys.argv = [""]
    del sys.modules["__main__"].__dict__["__file__"]


common()
event_loop()
harness()
warm_up()
forget()

import gc

gc.collect()
# Objects made so far are never looked at again: a collection in a run would
# write to (and so copy) every page they are on.
gc.freeze()

for name in [name for name in globals() if not name.startswith("__")]:
    del globals()[name]
del name
