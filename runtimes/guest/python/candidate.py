"""Runs beside hostile code: loads the candidate's program and serves calls.

Everything here is in the candidate's power, so nothing here decides anything.
What this process says on its channel is an allegation about return values; a
candidate that patches this file's functions can only lie about its own.

    candidate.py ENTRY        (current directory: the program's files)

    <- {"ready": true}  |  {"load": exception}
    -> {"call": {"id", "name", "args": [..], "kwargs": [[k, v], ..]}}
    <- {"id", "value", "same"?: key, "args"?: [[key, value], ..], "out"?: text}
     | {"id", "raised": exception} | {"id", "missing": true}
     | {"id", "not_plain": reason}
    -> {"get": {"id", "name"}}
    <- {"id", "value"} | {"id", "callable": true} | {"id", "missing": true}

`out` is what the call printed, its first 64 KiB: a script may listen to it.
A `key` is a position or a keyword: `args` carries those arguments that the
call changed in place, `same` says which argument the result *is*.
`SystemExit` and `KeyboardInterrupt` are not caught: a program that exits has
exited, and the other side sees that it is gone.
"""

import builtins
import os
import sys

MAX_MESSAGE = 2000


def _plain():
    """The sibling module, under a name that no program's file can shadow."""
    module = sys.modules.get("_assize_plain")
    if module is None:
        sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
        import plain as module

        del sys.path[0], sys.modules["plain"]
        sys.modules["_assize_plain"] = module
    return module


plain = _plain()


def describe(error, path):
    """An exception as data: its name, its built-in ancestors, its text."""
    kinds = type(error).__mro__
    text = ""
    try:
        text = str.__str__(str(error))
    except Exception:
        text = "<no message>"
    out = {
        "type": plain.clip(type(error).__name__, 100),
        "mro": [k.__name__ for k in kinds if getattr(builtins, k.__name__, None) is k],
        "message": plain.clip(text, MAX_MESSAGE),
        "line": _line(error, path),
    }
    try:
        out["args"] = plain.encode(list(error.args))
        if len(plain.dumps(out["args"])) > 4 * MAX_MESSAGE:
            del out["args"]
    except Exception:
        out.pop("args", None)
    return out


def _line(error, path):
    """The innermost line of the candidate's own file."""
    if isinstance(error, SyntaxError) and error.filename == path:
        return error.lineno if type(error.lineno) is int else None
    line, frame = None, error.__traceback__
    while frame is not None:
        if frame.tb_frame.f_code.co_filename == path:
            line = frame.tb_lineno
        frame = frame.tb_next
    return line


def _print_traceback(error, path):
    """What `python3 program.py` would have printed, without our frames."""
    import traceback

    first = error.__traceback__
    ours = _line.__code__.co_filename
    while first is not None and first.tb_frame.f_code.co_filename == ours:
        first = first.tb_next
    traceback.print_exception(type(error), error, first)


def load(path):
    """Executes the program as the module `candidate`."""
    module = type(sys)("candidate")
    module.__file__ = path
    sys.modules["candidate"] = module
    with open(path, "rb") as file:
        source = file.read()
    exec(plain.compile_program(source, path), module.__dict__)
    return module


def _find(module, name):
    """The callable or value of that name; raises LookupError."""
    owner, dot, method = name.partition(".")
    found = vars(module)[owner]
    if not dot:
        return found
    if not isinstance(found, type) or not hasattr(found, method):
        raise LookupError(name)
    # LeetCode's convention: a fresh instance for every call.
    return getattr(found(), method)


MAX_PRINTED = 1 << 16


class Printed:
    """Standard output during a call: written on, and its beginning kept."""

    def __init__(self, stream):
        self.stream, self.parts, self.room = stream, [], MAX_PRINTED

    def write(self, text):
        count = self.stream.write(text)
        if self.room > 0:
            self.parts.append(text[: self.room])
            self.room -= len(text)
        return count

    def writelines(self, lines):
        for line in lines:
            self.write(line)

    def __getattr__(self, name):
        return getattr(self.stream, name)


_MUTABLE = (list, dict, set, bytearray)


def _changed(given, arguments):
    """Those top-level arguments that no longer are what was sent."""
    deque = getattr(sys.modules.get("collections"), "deque", list)
    out = []
    for (key, before), value in zip(given, arguments):
        if isinstance(value, _MUTABLE) or isinstance(value, deque):
            after = plain.encode(value)
            if after != before:
                out.append([key, after])
    return out


def call(module, request, path):
    """Answers one call."""
    args = [plain.decode(x) for x in request["args"]]
    kwargs = {k: plain.decode(v) for k, v in request["kwargs"]}
    given = [*enumerate(request["args"]), *request["kwargs"]]
    live = [*args, *kwargs.values()]
    try:
        function = _find(module, request["name"])
        if not callable(function):
            return {"missing": True}
    except LookupError:
        return {"missing": True}
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:  # a constructor of its own
        return {"raised": describe(error, path)}
    reply = {}
    printed = Printed(sys.stdout)
    sys.stdout = printed
    try:
        result = function(*args, **kwargs)
        if type(result).__name__ == "coroutine":
            import asyncio

            result = asyncio.run(result)
        # Encoding runs the candidate's generators, hence inside the try.
        reply["value"] = plain.encode(result)
        if isinstance(result, _MUTABLE):
            for (key, _), value in zip(given, live):
                if value is result:
                    reply["same"] = key
    except (SystemExit, KeyboardInterrupt):
        raise
    except plain.NotPlain as reason:
        return {"not_plain": str(reason)}
    except BaseException as error:
        reply = {"raised": describe(error, path)}
    finally:
        if sys.stdout is printed:
            sys.stdout = printed.stream
    if printed.parts:
        reply["out"] = plain.clip("".join(printed.parts), MAX_PRINTED)
    try:
        changed = _changed(given, live)
    except plain.NotPlain as reason:
        return {"not_plain": f"an argument after the call: {reason}"}
    if changed:
        reply["args"] = changed
    return reply


def get(module, request, path):
    """Answers what a name is."""
    try:
        value = _find(module, request["name"])
    except LookupError:
        return {"missing": True}
    if callable(value):
        return {"callable": True}
    try:
        return {"value": plain.encode(value)}
    except plain.NotPlain as reason:
        return {"not_plain": str(reason)}


def serve(module, channel, path):
    """Answers requests until the other side hangs up."""
    while True:
        data = channel.recv()
        if data is None:
            return
        ((verb, request),) = plain.loads(data).items()
        answer = {"call": call, "get": get}[verb](module, request, path)
        try:
            data = plain.dumps({"id": request["id"], **answer})
        except plain.NotPlain as reason:
            data = plain.dumps({"id": request["id"], "not_plain": str(reason)})
        channel.send(data)


def main():
    plain.wait_for_work()
    channel = plain.open_channel()
    path = os.path.abspath(sys.argv[1])
    sys.argv = [path]
    sys.path.insert(0, os.getcwd())
    # The frames of this file must not cost the program recursion depth.
    sys.setrecursionlimit(sys.getrecursionlimit() + 20)
    try:
        module = load(path)
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:
        _print_traceback(error, path)
        channel.send(plain.dumps({"load": describe(error, path)}))
        sys.exit(1)
    channel.send(plain.dumps({"ready": True}))
    serve(module, channel, path)
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(0)  # threads the program left behind do not keep it alive


if __name__ == "__main__":
    main()
