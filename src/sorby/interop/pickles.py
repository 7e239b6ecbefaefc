"""A pickle as what it says, without doing it.

Pickles are programs for a small stack machine, which may call any function by its name. Here the program is followed
and nothing is called: values are built from plain numbers, texts, bytes, lists and dictionaries, a call becomes a
record of what would be called with what, and a name that networks have no need of is refused.
"""

import pickletools
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from mmap import mmap
from typing import Any, BinaryIO, cast

from sorby.errors import WeightsError
from sorby.untrusted import first_words

DICTS = ("collections.OrderedDict", "dnnlib.util.EasyDict", "dnnlib.EasyDict")
SETS = ("builtins.set", "__builtin__.set")
RECORDS = (
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_tensor_v2",
    "torch.storage._load_from_bytes",
    "torch_utils.persistence._reconstruct_persistent_obj",
    "argparse.Namespace",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "numpy.dtype",
    "torch.device",
    "torch.Size",
)
STORAGES = tuple(
    f"torch.{kind}Storage"
    for kind in ("Float", "Half", "BFloat16", "Double", "Byte", "Char", "Short", "Int", "Long", "Bool")
)
NAMES = frozenset((*DICTS, *SETS, *RECORDS, *STORAGES))
"""All that a pickle may name. Nothing of it is ever imported."""
MOST_STEPS = 500_000
"""Steps of a program; those of a network of 1024 px are a tenth of it."""


@dataclass(frozen=True, slots=True, eq=False)
class Name:
    """What would be imported."""

    path: str


@dataclass(slots=True, eq=False)
class Call:
    """What would be called, with what, and the state that its result would get."""

    name: str
    args: tuple[Any, ...] = field(repr=False)
    state: Any = field(default=None, repr=False)


Persistent = Callable[[Any], Any]
"""The value that stands for an identifier of something outside the pickle."""


def _no_persistent(_: Any) -> Any:
    raise ValueError("it refers to something outside the file")


def read_pickle(file: BytesIO | mmap, what: str, *, persistent: Persistent = _no_persistent) -> Any:
    """The value of the pickle that begins where `file` stands; `file` then stands behind it.

    It is in memory, or mapped: no more of it is read than there is, whatever sizes the pickle claims.
    Raises `WeightsError`, naming `what`, where it is damaged or names or does anything that networks do not need.
    """
    machine = _Machine(persistent)
    try:
        for number, (opcode, argument, _) in enumerate(pickletools.genops(cast(BinaryIO, file))):
            if number > MOST_STEPS:
                raise ValueError(f"it has more than {MOST_STEPS} steps")
            machine.do(opcode.name, argument)
        return machine.result()
    except (ValueError, TypeError, LookupError, OverflowError, AttributeError, struct.error) as error:
        # A program that takes more than there is: Python's own words would tell nobody anything.
        reason = "it is damaged, or no pickle" if isinstance(error, LookupError) else first_words(error)[:200]
        raise WeightsError(
            f"{what} cannot be read as a pickle of networks ({reason}): nothing of it was run."
        ) from None


class _Machine:
    """The stack and the memory of a pickle."""

    def __init__(self, persistent: Persistent) -> None:
        self.persistent = persistent
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        """Stacks that marks have laid aside."""
        self.memory: dict[int, Any] = {}

    def result(self) -> Any:
        """What is left when the program has ended."""
        if len(self.stack) != 1 or self.below:
            raise ValueError("it ends in the middle of a value")
        return self.stack[0]

    def do(self, step: str, argument: Any) -> None:
        """One step of the program."""
        if step in _PUSHED:
            self.stack.append(argument)
        elif step in _CONSTANTS:
            self.stack.append(_CONSTANTS[step]())
        elif step in _GETS:
            self.stack.append(self.memory[argument])
        elif step in _PUTS:
            self.memory[argument] = self.stack[-1]
        elif step in _STEPS:
            _STEPS[step](self, argument)
        elif step not in _IGNORED:
            raise ValueError(f"it has a step {step}, which no network needs")

    def memoize(self, _: Any) -> None:
        self.memory[len(self.memory)] = self.stack[-1]

    def mark(self, _: Any) -> None:
        self.below.append(self.stack)
        self.stack = []

    def since_mark(self) -> list[Any]:
        """All above the newest mark, which goes."""
        values, self.stack = self.stack, self.below.pop()
        return values

    def pop(self, _: Any) -> None:
        self.stack.pop()

    def pop_mark(self, _: Any) -> None:
        self.since_mark()

    def tuple_of(self, num: int) -> None:
        values = self.stack[len(self.stack) - num :]
        if len(values) != num:
            raise ValueError("a tuple has too few parts")
        del self.stack[len(self.stack) - num :]
        self.stack.append(tuple(values))

    def tuple_since_mark(self, _: Any) -> None:
        values = tuple(self.since_mark())
        self.stack.append(values)

    def list_since_mark(self, _: Any) -> None:
        values = self.since_mark()
        self.stack.append(values)

    def dict_since_mark(self, _: Any) -> None:
        values = _pairs({}, self.since_mark())
        self.stack.append(values)

    def append(self, _: Any) -> None:
        value = self.stack.pop()
        _list(self.stack[-1]).append(value)

    def extend(self, _: Any) -> None:
        values = self.since_mark()
        _list(self.stack[-1]).extend(values)

    def set_item(self, _: Any) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        _pairs(self.stack[-1], [key, value])

    def set_items(self, _: Any) -> None:
        values = self.since_mark()
        _pairs(self.stack[-1], values)

    def name(self, argument: str) -> None:
        self.stack.append(_allowed(argument.replace(" ", ".", 1)))

    def stack_name(self, _: Any) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise TypeError("a name is no text")
        self.stack.append(_allowed(f"{module}.{name}"))

    def call(self, _: Any) -> None:
        args, called = self.stack.pop(), self.stack.pop()
        if not isinstance(called, Name) or not isinstance(args, tuple):
            raise TypeError("it calls what is no name")
        self.stack.append(_called(called.path, args))

    def build(self, _: Any) -> None:
        state, made = self.stack.pop(), self.stack[-1]
        if isinstance(made, Call):
            made.state = state
        elif not isinstance(made, dict):  # notes of PyTorch beside the items of a dictionary
            raise TypeError("it gives a state to a plain value")

    def outside(self, _: Any) -> None:
        self.stack.append(self.persistent(self.stack.pop()))


def _allowed(path: str) -> Name:
    if path.startswith("dnnlib.tflib."):
        raise ValueError("it is of TensorFlow: make a pickle of PyTorch of it with legacy.py of the official code")
    if path not in NAMES:
        raise ValueError(f"it names {path[:100]!r}, which no network needs")
    return Name(path)


def _called(path: str, args: tuple[Any, ...]) -> Any:
    """The value of a call whose meaning is plain, or its record."""
    if path in DICTS:
        if args:  # to copy what was made before would let a small file take much memory
            raise TypeError("a dictionary is made of another")
        return {}
    if path in SETS:
        return _list(args[0]) if args else []
    if path == "torch._utils._rebuild_parameter":
        return args[0]
    return Call(path, args)


def _pairs(into: Any, parts: list[Any]) -> dict[Any, Any]:
    """Add keys and values, which take turns. Keys are plain: to hash a tuple of tuples may take for ever."""
    items = _dict(into)
    for key, value in zip(parts[::2], parts[1::2], strict=True):
        if not isinstance(key, str | int | float | None):
            raise TypeError("a key is neither a text nor a number")
        if isinstance(key, str) and not key.isprintable():
            raise ValueError("a key is no name")
        items[key] = value
    return items


def _dict(value: Any) -> dict[Any, Any]:
    if not isinstance(value, dict):
        raise TypeError("it adds items to what is no dictionary")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("it appends to what is no list")
    return value


_IGNORED = ("PROTO", "FRAME", "STOP")
_GETS, _PUTS = ("GET", "BINGET", "LONG_BINGET"), ("PUT", "BINPUT", "LONG_BINPUT")
_PUSHED = (
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
)
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_SET": list,
    "EMPTY_DICT": dict,
}
_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    "MEMOIZE": _Machine.memoize,
    "MARK": _Machine.mark,
    "POP": _Machine.pop,
    "POP_MARK": _Machine.pop_mark,
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    "TUPLE": _Machine.tuple_since_mark,
    "LIST": _Machine.list_since_mark,
    "FROZENSET": _Machine.list_since_mark,
    "DICT": _Machine.dict_since_mark,
    "APPEND": _Machine.append,
    "APPENDS": _Machine.extend,
    "ADDITEMS": _Machine.extend,
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items,
    "GLOBAL": _Machine.name,
    "STACK_GLOBAL": _Machine.stack_name,
    "REDUCE": _Machine.call,
    "NEWOBJ": _Machine.call,
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.outside,
}
