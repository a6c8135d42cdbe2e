"""Looks at a prediction about a program, as CRUXEval asks for them.

    predict.py        (standard input: one JSON object; report on descriptor 4)

    {"of": "output", "program", "function", "input", "text"}
    {"of": "input", "program", "function", "output", "text"}

`program`, `input` and `output` are the author's. `text` is the prediction: a
literal, or for an input the literals of a call's arguments. It is parsed and
never executed: a prediction that computes is no prediction.

    <- {"outcome": "passed" | "wrong" | "not_literal" | "broken", "message"}
"""

import ast
import json
import os
import sys

MAX_REPR = 200


def short(value):
    try:
        text = repr(value)
    except Exception:
        text = "<no repr>"
    text = text if len(text) <= MAX_REPR else text[: MAX_REPR - 1] + "…"
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


class NotLiteral(Exception):
    pass


def literal(text):
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise NotLiteral(f"{type(error).__name__}") from None


def arguments(text):
    """The literals of `f(text)`: positional and named."""
    try:
        call = ast.parse(f"f({text.strip()}\n)", mode="eval").body
        if type(call) is not ast.Call or type(call.func) is not ast.Name:
            raise NotLiteral("not the arguments of one call")
        named = {k.arg: ast.literal_eval(k.value) for k in call.keywords}
        if None in named:
            raise NotLiteral("** is no literal")
        return [ast.literal_eval(a) for a in call.args], named
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise NotLiteral(f"{type(error).__name__}") from None


def judge(config):
    scope = {"__name__": "program"}
    try:
        exec(compile(config["program"], "program.py", "exec", dont_inherit=True), scope)
        function = scope[config["function"]]
        if config["of"] == "output":
            want = eval(f"{config['function']}({config['input']}\n)", scope)
        else:
            want = eval(config["output"], scope)
    except Exception as error:
        return "broken", f"{type(error).__name__}: {error}"
    try:
        if config["of"] == "output":
            got = literal(config["text"])
        else:
            positional, named = arguments(config["text"])
            try:
                got = function(*positional, **named)
            except Exception as error:
                return "wrong", f"the program raises {type(error).__name__} on it"
        equal = bool(got == want)
    except NotLiteral as error:
        return "not_literal", str(error)
    except Exception as error:
        return "wrong", type(error).__name__
    return ("passed", "") if equal else ("wrong", f"want {short(want)}, got {short(got)}")


def main():
    os.close(os.open("/work/.", os.O_RDONLY))  # see plain.wait_for_work
    config = json.loads(sys.stdin.buffer.read())
    outcome, message = judge(config)
    report = json.dumps({"outcome": outcome, "message": message[:1000]}).encode("ascii")
    os.write(4, report)
    os._exit(0)


if __name__ == "__main__":
    main()
