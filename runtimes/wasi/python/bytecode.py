"""Compiles the standard library, inside the guest: the byte code of another
CPython would not do. Unchecked: the files never change, so a run need not ask."""

import compileall
import py_compile
import sys

ok = compileall.compile_dir(
    "/usr/local/lib/python3.11",
    quiet=1,
    invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
)
sys.exit(0 if ok else 1)
