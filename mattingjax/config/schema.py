"""Frozen dataclasses that check their fields, and their JSON form."""

from __future__ import annotations

import dataclasses
import json
import sys
import types
import typing
from pathlib import Path
from typing import Any, Self

from mattingjax.errors import ConfigError
from mattingjax.process.reading import read_file

_MAX_WIDTH = 2**16
_MAX_JSON, _MAX_DEPTH = 2**26, 64  # bytes; lists and objects within each other
_TOO_DEEP = f'expected JSON nested at most {_MAX_DEPTH} deep'


def read_json(path: Path) -> Any:
    """The content of a JSON file; raises ConfigError, without the file's name, if it is none."""
    try:
        if (size := path.stat().st_size) > _MAX_JSON:
            raise ConfigError(
                f'expected a JSON file of at most {_MAX_JSON // 2**20} MB, found {size // 2**20} MB'
            )
        content = read_file(path)
    except OSError as error:
        raise ConfigError(f'cannot be read: {error.strerror or error}') from error
    return parse_json(content)


def parse_json(text: str | bytes) -> Any:
    """The content of a JSON text; raises ConfigError if it is none, or nested too deeply.

    The content can be walked, compared and printed without running out of stack.
    """
    try:
        content = json.loads(text if isinstance(text, str) else text.decode('utf-8-sig'))
    except RecursionError as error:
        raise ConfigError(_TOO_DEEP) from error
    except ValueError as error:
        raise ConfigError(f'not a JSON file ({error})') from error
    level = [content]
    for _ in range(_MAX_DEPTH):
        level = [
            item
            for value in level
            if isinstance(value, dict | list)
            for item in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return content
    raise ConfigError(_TOO_DEEP)


@dataclasses.dataclass(frozen=True)
class Schema:
    """Base of every description: checked when made, hashable, and equal after a JSON round trip."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            _check_type(
                self._where(field.name), getattr(self, field.name), self._hints()[field.name]
            )
        self.validate()

    def validate(self) -> None:
        """Raises ConfigError if a value is impossible; subclasses say which are."""

    def to_dict(self) -> dict[str, Any]:
        """The description as JSON types: dictionaries, lists, numbers, strings."""
        return {
            field.name: _to_json(getattr(self, field.name)) for field in dataclasses.fields(self)
        }

    @classmethod
    def from_dict(cls, content: Any) -> Self:
        """Builds the description from what `to_dict` returned; lists become tuples.

        Raises:
          ConfigError: A field is missing, unknown, of another type or impossible; it is named.
        """
        return from_json(cls.__name__, content, cls)

    def require(self, condition: bool, field: str, expected: str) -> None:
        """Raises ConfigError, with the field's name and value, unless a condition holds.

        Args:
          condition: Whether the value is possible.
          field: Name of the field; a dot leads to a field or an item of its value.
          expected: What is possible, for the message.
        """
        if not condition:
            value: Any = self
            for part in field.split('.'):
                value = value[int(part)] if part.isdigit() else getattr(value, part)
            raise ConfigError(f'{self._where(field)}: expected {expected}, got {value!r}')

    def require_widths(self, minimum: int, *fields: str) -> None:
        """Raises ConfigError unless the widths in all of these fields are at least `minimum`."""
        for field in fields:
            value = getattr(self, field)
            widths = {field: value}
            if isinstance(value, tuple):
                widths = {f'{field}.{i}': width for i, width in enumerate(value)}
            for name, width in widths.items():
                expected = f'a width of {minimum} to {_MAX_WIDTH}'
                self.require(minimum <= width <= _MAX_WIDTH, name, expected)

    @classmethod
    def _where(cls, field: str) -> str:
        return f'{cls.__name__}.{field}'

    @classmethod
    def _hints(cls) -> dict[str, Any]:
        return typing.get_type_hints(cls)


def setting(default: Any, text: str, choices: tuple[str, ...] = ()) -> Any:
    """A field of a schema that is also a setting of config files and a flag.

    Args:
      default: Its value where none is given; `dict` for an empty dictionary.
      text: What it is, for people; the --help of its flag.
      choices: The texts that it may be; empty where it may be others.
    """
    metadata = {'help': text, 'choices': choices}
    if default is dict:
        return dataclasses.field(default_factory=dict, hash=False, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def _to_json(value: Any) -> Any:
    if isinstance(value, Schema):
        return value.to_dict()
    if isinstance(value, tuple):
        return [_to_json(item) for item in value]
    return value


def from_json(where: str, content: Any, expected: Any) -> Any:
    """Rebuilds a value from its JSON form; the dataclasses themselves check the types.

    Args:
      where: What messages call the value.
      content: The JSON form.
      expected: The type to rebuild.

    Raises:
      ConfigError: The content does not describe such a value.
    """
    if isinstance(expected, type) and issubclass(expected, Schema):
        if not isinstance(content, dict):
            raise ConfigError(f'{where}: expected an object, got {content!r:.80}')
        hints = expected._hints()
        if unknown := sorted(set(content) - set(hints)):
            raise ConfigError(f'{where}.{unknown[0]}: unknown field; known: {", ".join(hints)}')
        if missing := sorted(set(hints) - set(content)):
            raise ConfigError(f'{where}.{missing[0]}: missing')
        values = {name: from_json(f'{where}.{name}', content[name], hints[name]) for name in hints}
        try:
            return expected(**values)
        except ConfigError as error:
            # The part does not know its place in the whole.
            raise ConfigError(where + str(error).removeprefix(expected.__name__)) from error
    if typing.get_origin(expected) is tuple and isinstance(content, list | tuple):
        item_types = typing.get_args(expected)
        if item_types[-1] is Ellipsis:
            item_types = item_types[:1] * len(content)
        if len(item_types) != len(content):
            raise ConfigError(f'{where}: expected {len(item_types)} items, got {content!r:.80}')
        return tuple(
            from_json(f'{where}.{i}', item, item_type)
            for i, (item, item_type) in enumerate(zip(content, item_types, strict=True))
        )
    return content


def _check_type(where: str, value: Any, expected: Any) -> None:
    origin, arguments = typing.get_origin(expected), typing.get_args(expected)
    if origin is tuple:
        if isinstance(value, tuple) and arguments[-1] is Ellipsis:
            arguments = arguments[:1] * len(value)
        if not isinstance(value, tuple) or len(value) != len(arguments):
            raise ConfigError(
                f'{where}: expected a tuple of {len(arguments)} items, got {value!r:.80}'
            )
        for i, (item, item_type) in enumerate(zip(value, arguments, strict=True)):
            _check_type(f'{where}.{i}', item, item_type)
    elif origin in (typing.Union, types.UnionType):
        if not any(_matches(value, option) for option in arguments):
            names = ' or '.join(option.__name__ for option in arguments)
            raise ConfigError(f'{where}: expected {names}, got {value!r:.80}')
    elif not _matches(value, expected):
        raise ConfigError(f'{where}: expected {expected.__name__}, got {value!r:.80}')


def _matches(value: Any, expected: Any) -> bool:
    if expected in (int, float) and isinstance(value, bool):
        return False
    if expected is float:
        return isinstance(value, int | float) and abs(value) <= sys.float_info.max
    return isinstance(value, typing.get_origin(expected) or expected)
