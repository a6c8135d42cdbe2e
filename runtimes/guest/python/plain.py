"""Plain data on a channel.

Two processes that do not trust each other exchange values as tagged JSON in
length-prefixed frames. The point is what a value is *rebuilt* as: always a
genuine built-in, never an object whose behaviour its sender chose. An object
with its own `__eq__` arrives as an `Opaque`, which is equal to nothing; a
subclass of `int` with its own `__eq__` arrives as the plain `int` beneath it.

The judge decodes the same tags in Rust (`judge/src/plain`). They are:

    null true false "text"        themselves
    123                           int, when |n| < 2**53
    {"i": "-0xff"}                any other int; hexadecimal, because decimal
                                  conversion of long ints is limited
    {"f": "0x1.8p+1"}             float.hex(), or nan, inf, -inf
    [..]  {"t": [..]}             list, tuple
    {"d": [[k, v], ..]}           dict, in insertion order
    {"s": [..]}  {"z": [..]}      set, frozenset
    {"b": hex}  {"y": hex}        bytes, bytearray
    {"c": [f, f]}                 complex, two float texts
    {"m": text}                   decimal.Decimal
    {"r": [hex, hex]}             fractions.Fraction
    {"T": [kind, ..]}             datetime, date, time, timedelta
    {"R": [start, stop, step]}    range
    {"q": [..]}                   collections.deque
    {"g": [..]}                   an iterator, drained
    {"o": [type, repr]}           anything else

Deliberately absent: pickling, object identity, and live objects.
"""

import json
import os
import sys

MAX_FRAME = 16 * 1024 * 1024
MAX_DEPTH = 200
MAX_NODES = 2_000_000
MAX_DRAIN = 100_000
MAX_REPR = 200
# How many keys of one dict or set may share a hash. Equal hashes of distinct
# keys are easy to make (ints are taken modulo 2**61-1) and each costs a
# comparison with all earlier ones.
MAX_SAME_HASH = 1000

_SMALL = 1 << 53
_HEX = "0123456789abcdef"


class NotPlain(Exception):
    """A value that has no plain form: too deep, too large, or live."""


class Live(NotPlain):
    """A value that is no data at all: a function, an instance, a subclass."""


class BadData(Exception):
    """A frame that no honest peer sends."""


class Opaque:
    """Stands for an object that stayed in the other process."""

    __slots__ = ("type_name", "text")

    def __init__(self, type_name, text):
        self.type_name = type_name
        self.text = text

    def __eq__(self, other):
        return False

    def __ne__(self, other):
        return True

    __hash__ = object.__hash__

    def __repr__(self):
        return f"<{self.type_name} in the candidate: {self.text}>"


def clip(text, limit):
    """`text` as valid Unicode of at most `limit` characters.

    Lone surrogates are escaped: a JSON reader on the other side may refuse
    them, and a refused report must not be something a candidate can cause.
    """
    text = text if len(text) <= limit else text[: limit - 1] + "…"
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def compile_program(source, path):
    """The code of a program, before anything of it has run.

    On WASI the worker may know it from an earlier run of the same bytes."""
    if "_assize" in sys.builtin_module_names:
        import _assize

        return _assize.compile(source, path)
    # optimize=0: an interpreter started with -O must not drop asserts.
    return compile(source, path, "exec", dont_inherit=True, optimize=0)


# --------------------------------------------------------------- encoding


def encode(value, strict=False):
    """`value` as tagged JSON. Raises NotPlain.

    `strict` refuses what would not arrive as what it is: instances of
    subclasses and objects. The trusted side encodes arguments strictly, the
    candidate's side encodes results leniently.
    """
    try:
        return _Encoder(strict).encode(value, 0)
    except RecursionError:
        raise NotPlain("too deep") from None


class _Encoder:
    def __init__(self, strict):
        self.strict = strict
        self.nodes = 0
        self.size = 0

    def encode(self, x, depth):
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise NotPlain(f"more than {MAX_NODES} values")
        if depth > MAX_DEPTH:  # also where every cycle ends
            raise NotPlain(f"nested more than {MAX_DEPTH} levels, or a cycle")
        if x is None or x is True or x is False:
            return x
        kind = type(x)
        if kind in _ENCODERS:
            return _ENCODERS[kind](self, x, depth + 1)
        name = kind.__name__
        if name in _ITERATORS and kind.__module__ in ("builtins", "itertools"):
            return {"g": self.drain(x, depth + 1)}
        found = _lazy_encoder(kind)
        if found is not None:
            return found(self, x, depth + 1)
        if self.strict:
            # An Opaque came from the other side: not this side's live object.
            refusal = NotPlain if kind is Opaque else Live
            raise refusal(f"a {clip(name, 100)} is not plain data")
        # A subclass: read the built-in value beneath it, through the
        # built-in's own methods, so that overridden ones have no say.
        for base in kind.__mro__[1:]:
            found = _ENCODERS.get(base) or _lazy_encoder(base)
            if found is not None:
                return found(self, x, depth + 1)
        if kind.__module__.partition(".")[0] == "numpy" and hasattr(x, "item") and x.ndim == 0:
            return self.encode(x.item(), depth + 1)
        return {"o": [clip(name, 100), bounded_repr(x)]}

    def items(self, iterator, depth):
        return [self.encode(x, depth) for x in iterator]

    def text(self, length):
        self.size += length
        if self.size > MAX_FRAME:
            raise NotPlain(f"more than {MAX_FRAME} bytes")

    def drain(self, iterator, depth):
        out = []
        for x in iterator:
            if len(out) == MAX_DRAIN:
                raise NotPlain(f"an iterator of more than {MAX_DRAIN} items")
            out.append(self.encode(x, depth))
        return out

    def int(self, x, depth):
        x = int.__index__(x)
        if -_SMALL < x < _SMALL:
            return x
        self.text(x.bit_length() // 4)
        return {"i": hex(x)}

    def str(self, x, depth):
        x = str.__str__(x)
        self.text(len(x))
        return x

    def float(self, x, depth):
        return {"f": float.hex(x)}

    def list(self, x, depth):
        return self.items(list.__iter__(x), depth)

    def tuple(self, x, depth):
        return {"t": self.items(tuple.__iter__(x), depth)}

    def dict(self, x, depth):
        return {"d": [[self.encode(k, depth), self.encode(v, depth)] for k, v in dict.items(x)]}

    def set(self, x, depth):
        return {"s": self.items(set.__iter__(x), depth)}

    def frozenset(self, x, depth):
        return {"z": self.items(frozenset.__iter__(x), depth)}

    def bytes(self, x, depth):
        self.text(2 * bytes.__len__(x))
        return {"b": bytes.hex(x)}

    def bytearray(self, x, depth):
        self.text(2 * bytearray.__len__(x))
        return {"y": bytearray.hex(x)}

    def complex(self, x, depth):
        return {"c": [float.hex(complex.real.__get__(x)), float.hex(complex.imag.__get__(x))]}

    def range(self, x, depth):
        return {"R": [self.int(x.start, depth), self.int(x.stop, depth), self.int(x.step, depth)]}

    def decimal(self, x, depth):
        text = sys.modules["decimal"].Decimal.__str__(x)
        self.text(len(text))
        return {"m": text}

    def fraction(self, x, depth):
        return {"r": [hex(x._numerator), hex(x._denominator)]}

    def deque(self, x, depth):
        return {"q": self.items(sys.modules["collections"].deque.__iter__(x), depth)}

    def datetime(self, x, depth):
        return {"T": ["datetime", sys.modules["datetime"].datetime.isoformat(x)]}

    def date(self, x, depth):
        return {"T": ["date", sys.modules["datetime"].date.isoformat(x)]}

    def time(self, x, depth):
        return {"T": ["time", sys.modules["datetime"].time.isoformat(x)]}

    def timedelta(self, x, depth):
        return {"T": ["timedelta", [x.days, x.seconds, x.microseconds]]}


_ENCODERS = {
    kind: getattr(_Encoder, kind.__name__)
    for kind in (
        int, str, float, list, tuple, dict, set, frozenset, bytes, bytearray, complex, range,
    )
}

# Types of modules that cost start-up time; a value of one exists only when
# its module has been imported.
_LAZY = {
    "Decimal": ("decimal", _Encoder.decimal),
    "Fraction": ("fractions", _Encoder.fraction),
    "deque": ("collections", _Encoder.deque),
    "datetime": ("datetime", _Encoder.datetime),
    "date": ("datetime", _Encoder.date),
    "time": ("datetime", _Encoder.time),
    "timedelta": ("datetime", _Encoder.timedelta),
}

_ITERATORS = frozenset(
    "generator map filter zip enumerate reversed range_iterator longrange_iterator "
    "list_iterator list_reverseiterator tuple_iterator set_iterator str_iterator "
    "str_ascii_iterator bytes_iterator bytearray_iterator callable_iterator iterator "
    "dict_keys dict_values dict_items dict_keyiterator dict_valueiterator dict_itemiterator "
    "dict_reversekeyiterator dict_reversevalueiterator dict_reverseitemiterator "
    "accumulate chain combinations combinations_with_replacement compress count cycle "
    "dropwhile filterfalse groupby islice pairwise permutations product repeat starmap "
    "takewhile zip_longest batched".split()
)


def _lazy_encoder(kind):
    entry = _LAZY.get(kind.__name__)
    if entry is None:
        return None
    module = sys.modules.get(entry[0])
    return entry[1] if module is not None and getattr(module, kind.__name__, None) is kind else None


def bounded_repr(x):
    """A short repr for people; whatever the object does, a text comes back."""
    try:
        return clip(str.__str__(repr(x)), MAX_REPR)
    except Exception:
        return "<no repr>"


# --------------------------------------------------------------- decoding


def decode(tree):
    """Rebuilds a value from parsed tagged JSON. Raises BadData, nothing else."""
    return Decoding().run(tree)


class Decoding:
    """One decoding: its bounds, and how many opaque values it met."""

    def __init__(self):
        self.nodes = 0
        self.opaque = 0

    def run(self, tree):
        try:
            return self.decode(tree, 0)
        except BadData:
            raise
        except Exception as error:
            # An unhashable set member, an overflowing exponent, a month 13 …
            raise BadData(f"{type(error).__name__} while decoding") from None

    def decode(self, tree, depth):
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise BadData("too many values")
        if depth > MAX_DEPTH:
            raise BadData("too deep")
        kind = type(tree)
        if tree is None or kind is bool or kind is str:
            return tree
        if kind is int:
            if -_SMALL < tree < _SMALL:
                return tree
            raise BadData("an int that should be tagged")
        if kind is list:
            return [self.decode(x, depth + 1) for x in tree]
        if kind is not dict or len(tree) != 1:
            raise BadData("not tagged data")
        ((tag, body),) = tree.items()
        found = _DECODERS.get(tag)
        if found is None:
            raise BadData("unknown tag")
        wanted, build = found
        if type(body) is not wanted:
            raise BadData(f"a wrong body for {tag}")
        return build(self, body, depth)

    def items(self, body, depth):
        return [self.decode(x, depth + 1) for x in body]

    def hashed(self, keys):
        """Refuses floods of keys that all land on one hash."""
        if len(keys) > MAX_SAME_HASH:
            seen = {}
            for key in keys:
                h = hash(key)
                seen[h] = count = seen.get(h, 0) + 1
                if count > MAX_SAME_HASH:
                    raise BadData("too many equal hashes")
        return keys

    def int(self, body, depth):
        digits = body[3:] if body.startswith("-0x") else body[2:] if body.startswith("0x") else ""
        # int(…, 16) alone would also take blanks, signs and underscores.
        if not digits or digits.strip(_HEX):
            raise BadData("not a hexadecimal int")
        return int(body, 16)

    def float(self, body, depth):
        return float.fromhex(body)

    def tuple(self, body, depth):
        return tuple(self.items(body, depth))

    def dict(self, body, depth):
        keys, values = [], []
        for pair in body:
            if type(pair) is not list or len(pair) != 2:
                raise BadData("not a key and a value")
            keys.append(self.decode(pair[0], depth + 1))
            values.append(self.decode(pair[1], depth + 1))
        out = dict(zip(self.hashed(keys), values))
        # Equal keys have no honest origin. (A NaN key differs from itself.)
        if len(out) != len(keys):
            raise BadData("a key twice")
        return out

    def set(self, body, depth):
        return set(self.hashed(self.items(body, depth)))

    def frozenset(self, body, depth):
        return frozenset(self.hashed(self.items(body, depth)))

    def bytes(self, body, depth):
        return bytes.fromhex(body)

    def bytearray(self, body, depth):
        return bytearray.fromhex(body)

    def complex(self, body, depth):
        real, imag = body
        return complex(float.fromhex(real), float.fromhex(imag))

    def decimal(self, body, depth):
        from decimal import Decimal

        if len(body) > 100_000:
            raise BadData("a Decimal too long")
        return Decimal(body)

    def fraction(self, body, depth):
        from fractions import Fraction

        numerator, denominator = body
        return Fraction(self.int(numerator, depth), self.int(denominator, depth))

    def moment(self, body, depth):
        import datetime

        kind, value = body
        if kind == "timedelta":
            days, seconds, micros = value
            return datetime.timedelta(days, seconds, micros)
        if kind not in ("datetime", "date", "time"):
            raise BadData("unknown kind of time")
        return getattr(datetime, kind).fromisoformat(value)

    def range(self, body, depth):
        start, stop, step = (self.decode(x, depth + 1) for x in body)
        return range(start, stop, step)

    def deque(self, body, depth):
        from collections import deque

        return deque(self.items(body, depth))

    def iterator(self, body, depth):
        return iter(self.items(body, depth))

    def object(self, body, depth):
        self.opaque += 1
        name, text = body
        if type(name) is not str or type(text) is not str:
            raise BadData("a wrong body for o")
        return Opaque(clip(name, 100), clip(text, MAX_REPR))


_DECODERS = {
    "i": (str, Decoding.int),
    "f": (str, Decoding.float),
    "t": (list, Decoding.tuple),
    "d": (list, Decoding.dict),
    "s": (list, Decoding.set),
    "z": (list, Decoding.frozenset),
    "b": (str, Decoding.bytes),
    "y": (str, Decoding.bytearray),
    "c": (list, Decoding.complex),
    "m": (str, Decoding.decimal),
    "r": (list, Decoding.fraction),
    "T": (list, Decoding.moment),
    "R": (list, Decoding.range),
    "q": (list, Decoding.deque),
    "g": (list, Decoding.iterator),
    "o": (list, Decoding.object),
}


# ----------------------------------------------------------------- frames


def dumps(message):
    """A message as the bytes of one frame. Raises NotPlain when too large."""
    data = json.dumps(message, separators=(",", ":")).encode("ascii")
    if len(data) > MAX_FRAME:
        raise NotPlain(f"more than {MAX_FRAME} bytes")
    return data


def loads(data):
    """Parses one frame into JSON with nothing in it that the tags do not use.
    Raises BadData, nothing else."""
    try:
        _bound(data)
        return json.loads(
            str(data, "utf-8"),
            object_pairs_hook=_pairs,
            parse_int=_small,
            parse_float=_refuse,
            parse_constant=_refuse,
        )
    except BadData:
        raise
    except Exception as error:
        raise BadData(f"{type(error).__name__} while parsing") from None


def _bound(data):
    """Bounds nesting and count before the parser allocates anything: sixteen
    megabytes of `[[],[],…` are hundreds of megabytes of lists."""
    opened = data.count(b"[") + data.count(b"{")
    if opened <= 500 and opened + data.count(b",") <= MAX_NODES:
        return
    import re

    bare = re.sub(rb'"[^"\\]*(?:\\.[^"\\]*)*"', b"", data, flags=re.DOTALL)
    if bare.count(b"[") + bare.count(b"{") + bare.count(b",") > 2 * MAX_NODES:
        raise BadData("too many values")
    depth = 0
    for run in re.finditer(rb"[\[{]+|[\]}]+", bare):
        length = run.end() - run.start()
        depth += length if run.group()[:1] in b"[{" else -length
        if depth > 3 * MAX_DEPTH + 10:  # a dict level is {"d":[[
            raise BadData("too deep")


def _pairs(pairs):
    out = dict(pairs)
    if len(out) != len(pairs):
        raise BadData("a JSON key twice")
    return out


def _small(text):
    if len(text) > 17:
        raise BadData("an int that should be tagged")
    return int(text)


def _refuse(text):
    raise BadData("a bare float")


class Channel:
    """Frames over two pipes, out on descriptor 3 and in on 5: u32 little-endian
    length, then the payload."""

    def __init__(self, says=3, hears=5):
        self.says, self.hears = says, hears
        os.set_inheritable(says, False)
        os.set_inheritable(hears, False)

    def send(self, data):
        view = memoryview(len(data).to_bytes(4, "little") + data)
        while view:
            view = view[os.write(self.says, view) :]

    def recv(self):
        """The next payload; None when the peer is gone, also in mid-frame."""
        head = self._exactly(4)
        if head is None:
            return None
        length = int.from_bytes(head, "little")
        if length > MAX_FRAME:
            raise BadData(f"a frame of {length} bytes")
        return self._exactly(length)

    def _exactly(self, count):
        parts = bytearray()
        while len(parts) < count:
            # Never `count` at once: the length is the peer's claim, and
            # memory is spent only on bytes that have arrived.
            try:
                part = os.read(self.hears, min(count - len(parts), 1 << 20))
            except OSError:
                return None
            if not part:
                return None
            parts += part
        return bytes(parts)


class HostChannel:
    """The same inside a WebAssembly guest, where the host moves whole frames."""

    def __init__(self, host):
        self.send = host.send
        self._recv = host.recv

    def recv(self):
        data = self._recv()
        if data is not None and len(data) > MAX_FRAME:
            raise BadData(f"a frame of {len(data)} bytes")
        return data


def wait_for_work():
    """Up to here a harness is the same for all programs, so an interpreter may
    have been started before there was one: where it first opens something of
    the program's it waits (executor/warm)."""
    if sys.platform != "wasi":
        os.close(os.open("/work/.", os.O_RDONLY))


def open_channel():
    """The channel of this process."""
    try:
        import _assize
    except ImportError:
        return Channel()
    return HostChannel(_assize)
