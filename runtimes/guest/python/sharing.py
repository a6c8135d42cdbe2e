"""Whether a test script can only work in the candidate's own interpreter.

Read from the script alone, never from the candidate: a program must not be
able to choose the weaker of two ways to be judged.
"""

# Fixtures and modules that reach into the interpreter of what they test.
FIXTURES = frozenset("monkeypatch mocker capsys capfd capsysbinary capfdbinary caplog recwarn".split())
MODULES = frozenset("unittest.mock mock pytest_mock".split())
_HINTS = ("mock", "monkeypatch", "caps", "capf", "caplog", "recwarn", "class ", "stdin")


def reason(source, names, modules):
    """Why the script needs live objects, or None.

    `names` are the candidate's as far as they are known, `modules` the names
    under which the script may import it.
    """
    hints = [*_HINTS, *(f"from {m} " for m in modules)]
    if not any(h in source for h in hints) and not any(map(_is_class_name, names)):
        return None  # most scripts; parsing costs milliseconds
    import ast

    try:
        tree = ast.parse(source)
    except SyntaxError:
        return None
    theirs = set(names) | imported(tree, modules)
    for node in ast.walk(tree):
        found = globals().get(f"_{type(node).__name__}")
        why = found(node, theirs) if found is not None else None
        if why is not None:
            return why
    return None


def imported(tree, modules):
    """Names that the script imports from the candidate."""
    import ast

    out = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in modules:
            out.update(alias.asname or alias.name for alias in node.names)
    return out


def _Import(node, theirs):
    for alias in node.names:
        if alias.name in MODULES:
            return f"import of {alias.name}"


def _ImportFrom(node, theirs):
    if node.module in MODULES:
        return f"import of {node.module}"
    if node.module == "unittest" and any(a.name == "mock" for a in node.names):
        return "import of unittest.mock"


def _FunctionDef(node, theirs):
    for argument in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]:
        if argument.arg in FIXTURES:
            return f"the fixture {argument.arg}"


def _ClassDef(node, theirs):
    import ast

    for base in node.bases:
        if isinstance(base, ast.Name) and base.id in theirs:
            return f"a subclass of {base.id}"


def _Attribute(node, theirs):
    import ast

    value = node.value
    if isinstance(value, ast.Name) and value.id in theirs and _is_class_name(value.id):
        return f"{value.id}.{node.attr}"
    if _is_class_call(value, theirs):
        return f"an instance of {value.func.id}"


def _Call(node, theirs):
    """Classes as arguments of what asks for a class, and instances as
    arguments of the candidate's own functions."""
    import ast

    function = node.func
    name = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
    if name in ("isinstance", "issubclass", "assertIsInstance", "assertRaises", "assertRaisesRegex", "raises", "suppress"):
        for argument in node.args:
            for part in ast.walk(argument):
                if isinstance(part, ast.Name) and part.id in theirs and _is_class_name(part.id):
                    return f"the class {part.id}"
    if isinstance(function, ast.Name) and function.id in theirs:
        for argument in node.args:
            for part in ast.walk(argument):
                if _is_class_call(part, theirs):
                    return f"an instance of {part.func.id}"


def _Assign(node, theirs):
    import ast

    if node.value is not None and _is_class_call(node.value, theirs):
        return f"an instance of {node.value.func.id}"
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    for target in targets:
        if isinstance(target, ast.Attribute) and target.attr == "stdin":
            return "an input of its own"


def _ExceptHandler(node, theirs):
    import ast

    if node.type is not None:
        for part in ast.walk(node.type):
            if isinstance(part, ast.Name) and part.id in theirs:
                return f"the exception {part.id}"


def _is_class_name(name):
    return name[:1].isupper() and "_" not in name


def _is_class_call(node, theirs):
    import ast

    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in theirs
        and _is_class_name(node.func.id)
    )


_AsyncFunctionDef, _AnnAssign = _FunctionDef, _Assign
