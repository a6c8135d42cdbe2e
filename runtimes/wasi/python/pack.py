"""Packs the standard library into one file, which is frozen with the guest.

    pack.py LIBRARY SHOWN OUTPUT

OUTPUT is a marshalled dict: name -> (is a package, code, source). The code is
marshalled, compiled as if LIBRARY were the directory SHOWN; the source is
deflated, and there for tracebacks and `inspect`. Runs in the same version of
CPython as the guest's: another one's byte code would not do.
"""

import marshal
import os
import sys
import zlib

library, shown, output = sys.argv[1:]
modules = {}
for directory, below, files in os.walk(library):
    below.sort()
    for file in sorted(files):
        if not file.endswith(".py"):
            continue
        path = os.path.relpath(os.path.join(directory, file), library)
        name = path[:-3].replace("/", ".")
        package = file == "__init__.py"
        if package:
            name = name.removesuffix(".__init__")
        with open(os.path.join(library, path), "rb") as source:
            text = source.read()
        code = compile(text, f"{shown}/{path}", "exec", dont_inherit=True)
        modules[name] = (package, marshal.dumps(code), zlib.compress(text, 9))
with open(output, "wb") as out:
    marshal.dump(modules, out)
