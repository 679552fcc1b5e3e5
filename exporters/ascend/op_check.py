"""Finds what Ascend's ATC would not take in a frozen TensorFlow graph.

The rules are in `atc_ops.json`, which also says where they come from and what is uncertain.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

_RULES_FILE = Path(__file__).with_name('atc_ops.json')


@functools.cache
def load_supported_ops() -> dict[str, Any]:
    """The content of `atc_ops.json`: operators, refused ones, types, sources."""
    return json.loads(_RULES_FILE.read_text(encoding='utf-8'))


def check_ops(graph_def: Any) -> list[str]:
    """Compares every node and attribute with what ATC takes (TensorFlow 1.15's native operators).

    Args:
      graph_def: A `tf.compat.v1.GraphDef`.

    Returns:
      A line for each problem: the node's name, its op, and for an attribute the value found and
      what was expected.
    """
    rules = load_supported_ops()
    problems = [
        f'{function.signature.name}: a function in the library; a frozen graph has none'
        for function in graph_def.library.function
    ]
    for node in graph_def.node:
        if node.op in rules['refused']:
            problems.append(f'{node.name}: {node.op}: refused: {rules["refused"][node.op]}')
        elif node.op not in rules['operators']:
            problems.append(
                f'{node.name}: {node.op}: not among the TensorFlow 1.15 operators that ATC takes'
            )
        else:
            problems += _check_attributes(node, rules['operators'][node.op], rules['types'])
    return problems


def _check_attributes(node: Any, rule: dict[str, Any], types: dict[str, list[str]]) -> list[str]:
    problems = []
    found = {name: _read(value) for name, value in node.attr.items() if not name.startswith('_')}
    values = {**rule.get('defaults', {}), **found}
    newer = rule.get('newer', {})
    for name in sorted(values):
        value = values[name]
        if name in rule['attributes']:
            expected = _mismatch(value, rule['attributes'][name], types)
        elif name in newer:
            expected = None if value == newer[name] else f'{newer[name]!r}: it is newer than 1.15'
        else:
            expected = 'no such attribute: TensorFlow 1.15 does not know it'
        if expected:
            problems.append(f'{node.name}: {node.op}.{name} is {value!r:.80}, expected {expected}')
    for names in rule.get('not_both', []):
        if all(values.get(name) for name in names):
            problems.append(f'{node.name}: {node.op}: expected not both of {", ".join(names)}')
    return problems


def _mismatch(value: Any, accepted: Any, types: dict[str, list[str]]) -> str | None:
    """What was expected instead, or None if the value is accepted by a rule of `atc_ops.json`."""
    if accepted == 'any':
        return None
    if accepted == 'static':
        static = value is not None and all(size >= 1 for size in value)
        return None if static else 'sizes that are all known and at least 1'
    values = value if isinstance(value, list) else [value]
    if isinstance(accepted, dict):
        lowest, highest = accepted['each']
        inside = all(lowest <= each <= highest for each in values)
        return None if inside else f'values from {lowest} to {highest}'
    allowed = types[accepted] if isinstance(accepted, str) else accepted
    if all(each in allowed for each in values):
        return None
    return ' or '.join(map(str, allowed))


def _read(attribute: Any) -> Any:
    """An AttrValue as Python: types by name, shapes as sizes (-1: unknown; None: even the rank)."""
    kind = attribute.WhichOneof('value')
    type_names = attribute.DESCRIPTOR.fields_by_name['type'].enum_type.values_by_number

    def read(kind: str, value: Any) -> Any:
        if kind == 's':
            return value.decode(errors='replace')
        if kind == 'type':
            return type_names[value].name if value in type_names else f'type {value}'
        if kind == 'shape':
            return None if value.unknown_rank else [dim.size for dim in value.dim]
        return value if kind in ('i', 'f', 'b') else f'a {kind}'

    if kind is None:
        return None
    if kind == 'list':
        return [
            read(field.name, value)
            for field, values in attribute.list.ListFields()
            for value in values
        ]
    return read(kind, getattr(attribute, kind))
