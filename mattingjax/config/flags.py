"""Flags made from the fields of a schema, so that a setting has one name, default and help text."""

from __future__ import annotations

import dataclasses
import typing
from typing import Any

from absl import flags

from mattingjax.config.schema import Schema

# The --help of the script that calls `define_flags` lists these flags, not this module's.
flags.disclaim_key_flags()


def define_flags(schema: type[Schema]) -> None:
    """Defines a flag for each field, with the field's name; a flag that is not given is None.

    Args:
      schema: A class whose fields are made by `schema.setting`.
    """
    hints = typing.get_type_hints(schema)
    for field in dataclasses.fields(schema):
        default = field.default
        text = field.metadata['help']
        if not any(default is nothing for nothing in (None, False, dataclasses.MISSING, ())):
            text += f' Default: {default}.'
        _define(field.name, hints[field.name], field.metadata['choices'], text)


def _define(name: str, kind: Any, choices: tuple[str, ...], text: str) -> None:
    kinds = [option for option in typing.get_args(kind) if option is not type(None)]
    kind = kinds[0] if len(kinds) < len(typing.get_args(kind)) else kind
    if choices:
        flags.DEFINE_enum(name, None, choices, text)
    elif kind is bool:
        flags.DEFINE_bool(name, None, text)
    elif kind is int:
        flags.DEFINE_integer(name, None, text)
    elif kind is float:
        flags.DEFINE_float(name, None, text)
    elif kind is str:
        flags.DEFINE_string(name, None, text)
    else:  # a tuple of strings, or 'NAME=VALUE' strings for a dictionary
        flags.DEFINE_list(name, None, text)


def given_flags(schema: type[Schema]) -> dict[str, Any]:
    """Returns the values of those of the schema's flags that were given, by name."""
    values = {field.name: flags.FLAGS[field.name].value for field in dataclasses.fields(schema)}
    return {name: value for name, value in values.items() if value is not None}
