"""Comparisons of a test script with objects of the candidate's own classes.

Only a class that the script speaks of by name is heard at all: where a test
wants a plain value, a function that returns an object of its own making has not
returned it. And of those that are heard:

Beside the tests a candidate may return an object that calls itself equal to
everything. Such a witness is shown a line-up: the value the test wants and
decoys of the same kind, in random order. Only one that knows the wanted value
by itself picks it and nothing else. Honest classes with an `__eq__` do; values
of built-in types are compared by the interpreter, as ever.
"""

import builtins
import operator
import random

DECOYS = 9
_WRAPPER = type(int.__eq__)
_MRO = type.__dict__["__mro__"].__get__
_DICT = type.__dict__["__dict__"].__get__
_NAME = type.__dict__["__name__"].__get__
_ASK = "assize compares 9f1c62a0"  # stands for the function in the rewritten script
_SUMS = {
    "Add": operator.add, "Sub": operator.sub, "Mult": operator.mul, "Div": operator.truediv,
    "FloorDiv": operator.floordiv, "Mod": operator.mod, "Pow": operator.pow,
}
_ARITHMETIC = tuple(
    f"__{side}{name}__" for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow") for side in ("", "r")
)
# Asked of a number before it is compared, by their names in the script.
_MEASURES = frozenset("abs round float int divmod pow sum isclose approx assertAlmostEqual assertNotAlmostEqual".split())
_NUMBER = ("__abs__", "__round__", "__float__", "__int__", "__index__", "__divmod__", "__radd__", *_ARITHMETIC)
_BARE = (int, float, str, bytes)
_ORDER = ("__lt__", "__le__", "__gt__", "__ge__")
# What objects of built-in classes are by themselves, whatever a subclass says.
_PLAIN = (
    (int, int.__pos__),
    (float, float.__pos__),
    (str, lambda x: str.__add__(x, "")),
    (bytes, lambda x: bytes.__add__(x, b"")),
)


def defines(x, method):
    """Whether the class of `x` brings its own Python code for `method`. Read
    past metaclasses, whose word is as good as the object's."""
    found = lookup(type(x), method)
    return found is not None and type(found) is not _WRAPPER


def lookup(kind, method):
    """What a class or its ancestors define under that name, or None."""
    for ancestor in _MRO(kind):
        found = _DICT(ancestor).get(method)
        if found is not None:
            return found
    return None


class Parade:
    """The comparisons of one script."""

    genuine = staticmethod(lambda code: False)  # whether code is the interpreter's own

    def bind(self, code):
        """The rewritten script, its comparisons bound where no name leads: in
        the constants of its code, which nobody can change."""
        compare, kept = self.compare, []

        def ask(op, a, b=None):
            if op == "known":
                return self.measured(a)
            if op in _SUMS:
                return self.sum(_SUMS[op], a, b)
            if op[0] == ")":  # a chain's
                op, a = op[1:], kept.pop()
            if op[-1] != "(":
                return compare(op, a, b)
            found = compare(op[:-1], a, b)
            if found:
                kept.append(b)
            return found

        def walk(code):
            swap = lambda c: ask if c == _ASK and type(c) is str else walk(c) if type(c) is type(code) else c
            return code.replace(co_consts=tuple(map(swap, code.co_consts)))

        return walk(code)

    @staticmethod
    def rewrite(tree):
        return rewrite(tree)

    def __init__(self, script):
        import re

        self.random = random.SystemRandom()
        self.named = frozenset(re.findall(r"\b[A-Z][A-Za-z0-9]*\b", script)) - frozenset(dir(builtins))

    def foreign(self, x):
        return defines(x, "__eq__")

    def decoys(self, want):
        """Values that differ from `want`, most of them of its kind."""
        n = self.random.randrange(1, 1 << 20)
        kind = type(want)
        if kind is bool or want is None:
            like = [not want, n, str(n)]
        elif isinstance(want, (int, float, complex)):
            like = [want + n, want - n, want + 1, n * 3]
        elif kind is str:
            like = [want + chr(97 + n % 26), want[1:] or "x", str(n), want.swapcase() + "_"]
        elif kind in (bytes, bytearray):
            like = [want + b"x", want[1:] or b"x"]
        elif kind in (list, tuple):
            like = [want + kind([n]), kind([n]), want[1:] if want else kind([n, n])]
        elif kind in (set, frozenset):
            like = [want | {("decoy", n)}, kind([n])]
        elif kind is dict:
            like = [{**want, ("decoy", n): n}, {n: n}]
        else:
            like = [n, float(n), str(n)]
        like = [d for d in like if not (type(d) is kind and d == want)]
        return [like[i % len(like)] for i in range(DECOYS - 2)] + [object(), None if want is not None else object()]

    def heard(self, witness):
        """Whether the script names the class, or it is no class of a program's."""
        kind = type(witness)
        return any(_NAME(k) in self.named for k in _MRO(kind)) or self.installed(kind)

    def installed(self, kind):
        """Whether a module that came with the interpreter defines it."""
        found = lookup(kind, "__eq__")
        return type(found) is type(defines) and self.genuine(found.__code__)

    def line_up(self, witness, want):
        """Whether the witness is equal to `want` and to no decoy."""
        if not self.heard(witness):
            return False
        shown = [(want, True), *((d, False) for d in self.decoys(want))]
        self.random.shuffle(shown)
        return all(bool(witness == value) is right for value, right in shown)

    def lies(self, x):
        """Whether an object calls itself equal to what nobody equals."""
        return self.foreign(x) and bool(x == object())

    def eq(self, a, b, depth=0):
        """`a == b`; a bool unless both are the candidate's, or an array's."""
        if depth > 100:
            return a == b
        kind = type(a)
        if kind is type(b) and kind in (list, tuple):
            return len(a) == len(b) and all(self.eq(x, y, depth + 1) for x, y in zip(a, b))
        if kind is type(b) and kind is dict:
            if any(map(self.foreign, a)) or any(map(self.foreign, b)):
                return a == b and not any(map(self.lies, a)) and not any(map(self.lies, b))
            return len(a) == len(b) and all(k in b and self.eq(v, b[k], depth + 1) for k, v in a.items())
        if kind in (set, frozenset) and type(b) in (set, frozenset):
            # Which members met which is the hash's business.
            return a == b and not any(map(self.lies, a)) and not any(map(self.lies, b))
        strange, other = self.foreign(a), self.foreign(b)
        if strange and other and self.installed(type(a)) != self.installed(type(b)):
            # pytest.approx and the like ask the other side as well.
            return a == b if self.heard(a) and self.heard(b) else False
        if strange == other:
            return a == b
        return self.line_up(*((a, b) if strange else (b, a)))

    def known(self, x):
        """`x`; a number or a text of a class that nobody speaks of, as what it
        is without that class."""
        kind = type(x)
        if kind not in _BARE and issubclass(kind, _BARE) and not self.heard(x) and not self.mute(kind):
            return next(bare(x) for base, bare in _PLAIN if base in _MRO(kind))
        return x

    def stranger(self, x, methods):
        """Whether a class that nobody speaks of reckons by itself."""
        return any(defines(x, m) for m in methods) and not self.heard(x) and not self.mute(type(x))

    def sum(self, op, a, b):
        """Arithmetic of the script, which a tolerance begins with."""
        a, b = self.known(a), self.known(b)
        for x, y in ((a, b), (b, a)):
            if type(x) in (int, float, complex) and type(y) not in _BARE and self.stranger(y, _ARITHMETIC):
                raise AssertionError(f"a {_NAME(type(y))} where the tests reckon with numbers")
        return op(a, b)

    def measured(self, x):
        """An argument of what measures numbers."""
        x = self.known(x)
        if type(x) not in _BARE and self.stranger(x, _NUMBER):
            raise AssertionError(f"a {_NAME(type(x))} where the tests reckon with numbers")
        return [self.known(y) for y in x] if type(x) is list else x

    def mute(self, kind):
        """Whether all of a class's methods are the interpreter's own."""
        theirs = [k for k in _MRO(kind) if k.__flags__ & (1 << 9)]
        methods = [m for k in theirs for n, m in _DICT(k).items() if n[:2] == "__" and callable(m)]
        return all(type(m) is not type(defines) or self.genuine(m.__code__) for m in methods)

    def compare(self, op, a, b):
        """One comparison of the script."""
        if op in ("is", "is not"):
            return (a is b) is (op == "is")
        order = op not in ("==", "!=", "in", "not in")
        if order and any(self.stranger(x, _ORDER) for x in (a, b)):
            # Neither answer will do: the script may want it to be false.
            raise AssertionError(f"an order of {_NAME(type(a))} and {_NAME(type(b))}, of which the tests know nothing")
        a, b = self.known(a), self.known(b)
        if op == "==":
            return self.eq(a, b)
        if op == "!=":
            equal = self.eq(a, b)
            return (not equal) if isinstance(equal, bool) else a != b
        if op in ("in", "not in"):
            if type(b) in (list, tuple, set, frozenset) and (self.foreign(a) or any(map(self.foreign, b))):
                found = any(a is x or self.eq(a, x) is True for x in b)
            else:
                found = a in b
                if found and defines(b, "__contains__") and type(a) is not object:
                    found = object() not in b  # who contains everything contains nothing
            return found is (op == "in")
        less = op in ("<", "<=")
        holds = {"<": lambda: a < b, "<=": lambda: a <= b, ">": lambda: a > b, ">=": lambda: a >= b}[op]()
        for x, y, sign in ((a, b, 1), (b, a, -1)):
            strange = any(defines(x, m) for m in _ORDER)
            if strange and type(y) in (int, float) and holds is True:
                # Less than everything is nobody; not even less than -1e300.
                far = -1e300 if less == (sign == 1) else 1e300
                try:
                    lies = (x < far if less else x > far) if sign == 1 else (far < x if less else far > x)
                except Exception:
                    lies = False
                if lies:
                    return False
        return holds


def rewrite(tree):
    """The script with its comparisons asked of the line-up. Links of a chain
    say so: `(` keeps the right term for the link after it, `)` takes it."""
    import ast

    names = {
        ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
        ast.In: "in", ast.NotIn: "not in", ast.Is: "is", ast.IsNot: "is not",
    }
    waits = (ast.Await, ast.Yield, ast.YieldFrom)

    def ask(*args):
        return ast.Call(func=ast.Constant(_ASK), args=list(args), keywords=[])

    class Rewriter(ast.NodeTransformer):
        checked = 0  # inside an assertion or a comparison

        def within(self, node):
            self.checked += 1
            self.generic_visit(node)
            self.checked -= 1
            return node

        visit_Assert = within

        def visit_BinOp(self, node):
            op = type(node.op).__name__
            calls = any(isinstance(x, ast.Call) for side in (node.left, node.right) for x in ast.walk(side))
            self.generic_visit(node)
            if op not in _SUMS or not (op == "Sub" or calls or self.checked):
                return node  # a script's own loops stay as fast as they were
            return ast.copy_location(ask(ast.Constant(op), node.left, node.right), node)

        def visit_Call(self, node):
            self.generic_visit(node)
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if name in _MEASURES:
                plain = (ast.Constant, ast.Starred)
                node.args = [
                    a if isinstance(a, plain) else ast.copy_location(ask(ast.Constant("known"), a), a) for a in node.args
                ]
            return node

        def visit_Compare(self, node):
            last = len(node.ops) - 1
            if last == 0 and type(node.ops[0]) in (ast.Is, ast.IsNot):
                return self.generic_visit(node)
            if last > 0 and any(isinstance(n, waits) for n in ast.walk(node)):
                return self.generic_visit(node)  # another chain could come between
            self.within(node)
            links, left = [], node.left
            for i, (op, right) in enumerate(zip(node.ops, node.comparators)):
                how = ")" * (i > 0) + names[type(op)] + "(" * (i < last)
                links.append(ask(ast.Constant(how), left, right))
                left = ast.Constant(None)
            whole = links[0] if last == 0 else ast.BoolOp(op=ast.And(), values=links)
            return ast.copy_location(whole, node)

    return ast.fix_missing_locations(Rewriter().visit(tree))
