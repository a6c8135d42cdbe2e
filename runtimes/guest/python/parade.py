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
import random

DECOYS = 9
_WRAPPER = type(int.__eq__)
_MRO = type.__dict__["__mro__"].__get__
_DICT = type.__dict__["__dict__"].__get__
_NAME = type.__dict__["__name__"].__get__
_ASK = "assize compares 9f1c62a0"  # stands for the function in the rewritten script
_SEE = "assize sees 4b7d0e13"  # stands for the other one, that looks at operands
# What makes `abs(f(x) - 2) <= 1e-9` true without knowing the 2.
_ARITHMETIC = [
    f"__{r}{name}__"
    for name in "add sub mul truediv floordiv mod pow matmul and or xor lshift rshift divmod".split()
    for r in ("", "r")
] + [f"__{name}__" for name in "neg pos abs invert round trunc floor ceil float int index complex".split()]
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

        def ask(op, a, b):
            if op[0] == ")":
                op, a = op[1:], kept.pop()
            if op[-1] != "(":
                return compare(op, a, b)
            found = compare(op[:-1], a, b)
            if found:
                kept.append(b)
            return found

        def walk(code):
            ours = {_ASK: ask, _SEE: self.see}
            swap = lambda c: ours.get(c, c) if type(c) is str else walk(c) if type(c) is type(code) else c
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

    def see(self, x, depth=0):
        """`x`, an operand or an argument of the script's. A class that brings
        arithmetic of its own and that nobody speaks of has no say in it."""
        kind = type(x)
        if kind in (int, str, float, bool, bytes, type(None)):
            return x
        if kind in (list, tuple, set, frozenset, dict):
            if depth < 4:
                for item in x.values() if kind is dict else x:
                    self.see(item, depth + 1)
            return x
        if any(self.brings(kind, m) for m in _ARITHMETIC) and not any(_NAME(k) in self.named for k in _MRO(kind)):
            raise AssertionError(f"arithmetic of {_NAME(kind)}, of which the tests know nothing")
        return x

    def brings(self, kind, method):
        """Whether a program defines a method of the class."""
        found = lookup(kind, method)
        if found is None or type(found) is _WRAPPER:
            return False
        return not (type(found) is type(defines) and self.genuine(found.__code__)) and type(found).__name__ not in (
            "method_descriptor",
            "builtin_function_or_method",
        )

    def known(self, x):
        """`x`; a number or a text of a class that nobody speaks of, as what it
        is without that class."""
        kind = type(x)
        if kind not in _BARE and issubclass(kind, _BARE) and not self.heard(x) and not self.mute(kind):
            return next(bare(x) for base, bare in _PLAIN if base in _MRO(kind))
        return x

    def mute(self, kind):
        """Whether all of a class's methods are the interpreter's own."""
        theirs = [k for k in _MRO(kind) if k.__flags__ & (1 << 9)]
        methods = [m for k in theirs for n, m in _DICT(k).items() if n[:2] == "__" and callable(m)]
        return all(type(m) is not type(defines) or self.genuine(m.__code__) for m in methods)

    def compare(self, op, a, b):
        """One comparison of the script."""
        if op in ("is", "is not"):
            return (a is b) is (op == "is")
        a, b = self.known(self.see(a)), self.known(self.see(b))
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
        if any(defines(x, m) and not self.heard(x) for x in (a, b) for m in _ORDER):
            # Neither answer will do: the script may want it to be false.
            raise AssertionError(f"an order of {_NAME(type(a))} and {_NAME(type(b))}, of which the tests know nothing")
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

    def seen(value):
        if isinstance(value, ast.Constant):
            return value
        call = ast.Call(func=ast.Constant(_SEE), args=[value], keywords=[])
        return ast.copy_location(call, value)

    class Rewriter(ast.NodeTransformer):
        def visit_BinOp(self, node):
            self.generic_visit(node)
            node.left, node.right = seen(node.left), seen(node.right)
            return node

        def visit_UnaryOp(self, node):
            self.generic_visit(node)
            if not isinstance(node.op, ast.Not):
                node.operand = seen(node.operand)
            return node

        def visit_AugAssign(self, node):
            self.generic_visit(node)
            node.value = seen(node.value)
            return node

        def visit_Call(self, node):
            self.generic_visit(node)
            node.args = [a if isinstance(a, ast.Starred) else seen(a) for a in node.args]
            for keyword in node.keywords:
                if keyword.arg is not None:
                    keyword.value = seen(keyword.value)
            return node

        def visit_Compare(self, node):
            last = len(node.ops) - 1
            if last == 0 and type(node.ops[0]) in (ast.Is, ast.IsNot):
                return self.generic_visit(node)
            if last > 0 and any(isinstance(n, waits) for n in ast.walk(node)):
                return self.generic_visit(node)  # another chain could come between
            self.generic_visit(node)
            links, left = [], node.left
            for i, (op, right) in enumerate(zip(node.ops, node.comparators)):
                how = ")" * (i > 0) + names[type(op)] + "(" * (i < last)
                links.append(ast.Call(func=ast.Constant(_ASK), args=[ast.Constant(how), left, right], keywords=[]))
                left = ast.Constant(None)
            whole = links[0] if last == 0 else ast.BoolOp(op=ast.And(), values=links)
            return ast.copy_location(whole, node)

    return ast.fix_missing_locations(Rewriter().visit(tree))
