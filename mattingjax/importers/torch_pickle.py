"""Reads the pickles that `torch.save` writes into plain descriptions, without running them.

A pickle is a program. Here its instructions are read one by one, and only those that describe
tensors and the dictionaries around them are known; any other instruction is an error that names it.
Nothing that the file names is looked up, called or imported. The result is small: every step counts
against a limit, keys are texts or whole numbers, and numbers have at most 128 bits, so that no
key's hash and no number's text takes long.
"""

from __future__ import annotations

import dataclasses
import io
import pickletools
from collections.abc import Callable
from typing import Any

from mattingjax.errors import WeightsError
from mattingjax.importers.torch_tensors import DTYPES, Storage, Tensor, check_tensor, kind_of

MAX_BYTES = 2**24  # length of a pickle; MODNet's has 130 kB
_MAX_STEPS = 500_000  # instructions and items that they copy; MODNet takes 26,000
_MAX_INTEGER_BYTES = 16

_FUNCTIONS = frozenset({
    'collections.OrderedDict', 'torch.Size', 'torch._utils._rebuild_parameter',
    'torch._utils._rebuild_tensor_v2',
})  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True)
class _Name:
    """A function or class that the pickle names, which is not looked up."""

    name: str


def read_pickle(content: bytes) -> tuple[Any, int]:
    """Reads one pickle.

    Args:
      content: Bytes that begin with the pickle; only the first `MAX_BYTES` are read.

    Returns:
      The content (texts, numbers, lists, tuples, dictionaries, `Storage`s and `Tensor`s), and the
      length of the pickle in bytes.

    Raises:
      WeightsError: The pickle has an instruction that `torch.save` does not write, names something
        that is no tensor, or describes too much. The message does not name the file.
      Exception: The pickle is damaged; the type of the error depends on the damage.
    """
    file = io.BytesIO(content[:MAX_BYTES])
    return _Reader().read(file), file.tell()


class _Reader:
    """Reads one pickle with the stack, the marks and the memo that the language defines."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []  # the items of the stack below each mark
        self._memo: dict[int, Any] = {}
        self._steps_left = _MAX_STEPS

    def read(self, file: io.BytesIO) -> Any:
        for opcode, argument, _ in pickletools.genops(file):
            self._spend(1)
            if opcode.name == 'STOP':
                return self._stack.pop()
            if opcode.name in _LITERALS:
                self._stack.append(_check_literal(argument))
                continue
            step = _STEPS.get(opcode.name)
            if step is None:
                raise WeightsError(
                    f'refused: the pickle holds the instruction {opcode.name}, which torch.save '
                    'does not write for tensors; nothing was executed'
                )
            step(self, argument)
        raise EOFError('the pickle has no end')

    def _spend(self, steps: int) -> None:
        self._steps_left -= steps
        if self._steps_left < 0:
            raise WeightsError(f'refused: its pickle takes over {_MAX_STEPS} steps')

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _mark(self, _: None) -> None:
        self._below.append(self._stack)
        self._stack = []

    def _pop_to_mark(self) -> list[Any]:
        items, self._stack = self._stack, self._below.pop()
        return items

    def _pop(self, count: int) -> list[Any]:
        if len(self._stack) < count:
            raise ValueError('an instruction finds its arguments missing')
        items = self._stack[-count:]
        del self._stack[-count:]
        return items

    def _put(self, index: int) -> None:
        self._memo[index] = self._stack[-1]

    def _get(self, index: int) -> None:
        self._stack.append(self._memo[index])

    def _append(self, items: list[Any]) -> None:
        self._top(list).extend(items)

    def _set_items(self, items: list[Any]) -> None:
        target = self._top(dict)
        if len(items) % 2:
            raise ValueError('a key without a value')
        for key, value in zip(items[::2], items[1::2], strict=True):
            # Larger numbers could be chosen to collide in the dictionary, which would be slow.
            if not (isinstance(key, str) or (isinstance(key, int) and 0 <= key < 2**32)):
                raise WeightsError(
                    f'refused: a key of type {kind_of(key)}; expected a text, or a whole number of '
                    'at most 32 bits'
                )
            target[key] = value

    def _top(self, kind: type) -> Any:
        if not self._stack or not isinstance(self._stack[-1], kind):
            raise ValueError(f'an instruction expects a {kind.__name__}')
        return self._stack[-1]

    def _name(self, module: Any, name: Any) -> None:
        if not (isinstance(module, str) and isinstance(name, str)):
            raise ValueError('a name that is no text')
        full = f'{module}.{name}'
        if full not in _FUNCTIONS and not (module == 'torch' and name in DTYPES):
            raise WeightsError(
                f'refused: the pickle asks for {full:.80}, which is not a tensor; nothing was '
                'executed'
            )
        self._push(_Name(full))

    def _global(self, argument: str) -> None:
        self._name(*argument.split(' ', 1))

    def _call(self, _: None) -> None:
        function, arguments = self._pop(2)
        if not isinstance(function, _Name) or not isinstance(arguments, tuple):
            raise ValueError('a call of something that is no function')
        self._spend(len(arguments))
        match function.name, arguments:
            case 'torch._utils._rebuild_tensor_v2', (storage, offset, size, stride, *_):
                self._push(check_tensor(storage, offset, size, stride))
            case 'torch._utils._rebuild_parameter', (Tensor() as tensor, *_):
                self._push(tensor)
            case 'torch.Size', (tuple() as size,):
                self._push(size)
            case 'collections.OrderedDict', ():
                self._push({})
            case 'collections.OrderedDict', (list() as pairs,):  # as Python 2 wrote it
                self._spend(len(pairs))
                self._push({})
                for pair in pairs:
                    if not isinstance(pair, list | tuple) or len(pair) != 2:
                        raise ValueError('an OrderedDict of something that are no pairs')
                    self._set_items(list(pair))
            case name, _:
                raise ValueError(f'impossible arguments of {name}')

    def _build(self, _: None) -> None:
        # The attributes of an OrderedDict, the versions of PyTorch's modules, are not needed.
        self._pop(1)
        self._top(dict)

    def _persistent(self, _: None) -> None:
        (pid,) = self._pop(1)
        self._spend(len(pid) if isinstance(pid, tuple) else 1)
        match pid:
            case ('storage', _Name(name=kind), str() as key, _, int() as numel, *view):
                if view and view[0] is not None:
                    raise WeightsError('storage views of PyTorch before 0.4 are not read')
                kind = kind.removeprefix('torch.')
                if kind not in DTYPES or not 0 <= numel < 2**63:
                    raise ValueError(f'a storage of {numel} numbers of type {kind}')
                self._push(Storage(kind, key, int(numel)))
            case _:
                kind = pid[0] if isinstance(pid, tuple) and pid else kind_of(pid)
                kind = kind if isinstance(kind, str) else kind_of(kind)
                raise WeightsError(
                    f'refused: unknown persistent object {kind:.80}; expected a storage under a '
                    'key that is a text'
                )


def _check_literal(value: Any) -> Any:
    if isinstance(value, int) and value.bit_length() > 8 * _MAX_INTEGER_BYTES:
        raise WeightsError(
            f'refused: a number of {value.bit_length()} bits; expected at most '
            f'{8 * _MAX_INTEGER_BYTES}'
        )
    return value


_LITERALS = frozenset({
    'BININT', 'BININT1', 'BININT2', 'LONG1', 'LONG4', 'BINFLOAT', 'BINUNICODE', 'SHORT_BINUNICODE',
    'BINUNICODE8',
})  # fmt: skip

_STEPS: dict[str, Callable[[_Reader, Any], None]] = {
    'PROTO': lambda reader, argument: None,
    'FRAME': lambda reader, argument: None,
    'NONE': lambda reader, argument: reader._push(None),
    'NEWTRUE': lambda reader, argument: reader._push(True),
    'NEWFALSE': lambda reader, argument: reader._push(False),
    # Texts of Python 2, which genops decodes as Latin-1.
    'SHORT_BINSTRING': lambda reader, argument: reader._push(
        argument.encode('latin-1').decode('utf-8')
    ),
    'BINSTRING': lambda reader, argument: reader._push(argument.encode('latin-1').decode('utf-8')),
    'MARK': _Reader._mark,
    'EMPTY_TUPLE': lambda reader, argument: reader._push(()),
    'EMPTY_LIST': lambda reader, argument: reader._push([]),
    'EMPTY_DICT': lambda reader, argument: reader._push({}),
    'TUPLE1': lambda reader, argument: reader._push(tuple(reader._pop(1))),
    'TUPLE2': lambda reader, argument: reader._push(tuple(reader._pop(2))),
    'TUPLE3': lambda reader, argument: reader._push(tuple(reader._pop(3))),
    'TUPLE': lambda reader, argument: reader._push(tuple(reader._pop_to_mark())),
    'APPEND': lambda reader, argument: reader._append(reader._pop(1)),
    'APPENDS': lambda reader, argument: reader._append(reader._pop_to_mark()),
    'SETITEM': lambda reader, argument: reader._set_items(reader._pop(2)),
    'SETITEMS': lambda reader, argument: reader._set_items(reader._pop_to_mark()),
    'PUT': _Reader._put,
    'BINPUT': _Reader._put,
    'LONG_BINPUT': _Reader._put,
    'MEMOIZE': lambda reader, argument: reader._put(len(reader._memo)),
    'BINGET': _Reader._get,
    'LONG_BINGET': _Reader._get,
    'GLOBAL': _Reader._global,
    'STACK_GLOBAL': lambda reader, argument: reader._name(*reader._pop(2)),
    'REDUCE': _Reader._call,
    'BUILD': _Reader._build,
    'BINPERSID': _Reader._persistent,
}
