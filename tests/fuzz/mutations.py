"""What is done to bytes and to JSON; everything is drawn from the generator given."""

import copy
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np

from tests.fuzz import traps

# Numbers that overflow something, names that no file can have, texts of every direction.
NUMBERS = (
    0,
    1,
    -1,
    3,
    255,
    1024,
    2**16,
    2**31 - 1,
    2**31,
    2**32,
    2**63 - 1,
    2**63,
    2**64,
    -(2**63),
)
FLOATS = (float('nan'), float('inf'), -float('inf'), -0.0, 1e-320, 1e308, 0.5, -1.5)
TEXTS = (
    '', ' ', '.', '..', '/', 'x' * 300, 'x' * 100_000, '\0', 'a\nb', '\x1b[31m', '\u202e', '\ud800',
    'é', 'e\u0301', '../../outside', '/outside', '*', '[x]', '{}', '%s', '-1', 'nan', '1e999',
    traps.WAY,
)  # fmt: skip


def mutate_bytes(rng: np.random.Generator, content: bytes, other: bytes = b'') -> bytes:
    """One to four changes: bits, cuts, repetitions, splices, sizes that are far too large."""
    for _ in range(rng.integers(1, 5)):
        if not content:
            return content
        content = _BYTE_CHANGES[rng.integers(len(_BYTE_CHANGES))](rng, content, other)
    return content


def _place(rng: np.random.Generator, content: bytes) -> int:
    """Somewhere; in half of the cases near the start, where headers are."""
    end = len(content) if rng.integers(2) else min(len(content), 256)
    return int(rng.integers(end))


def _truncate(rng: np.random.Generator, content: bytes, _: bytes) -> bytes:
    return content[: _place(rng, content)]


def _flip(rng: np.random.Generator, content: bytes, _: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.integers(1, 9)):
        changed[_place(rng, content)] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _overwrite(rng: np.random.Generator, content: bytes, _: bytes) -> bytes:
    start, length = _place(rng, content), int(rng.integers(1, 64))
    return content[:start] + rng.bytes(length) + content[start + length :]


def _repeat(rng: np.random.Generator, content: bytes, _: bytes) -> bytes:
    start, length = _place(rng, content), int(rng.integers(1, 64))
    chunk = content[start : start + length]
    return content[:start] + chunk * int(rng.choice([2, 10, 1000])) + content[start:]


def _remove(rng: np.random.Generator, content: bytes, _: bytes) -> bytes:
    start, length = _place(rng, content), int(rng.integers(1, 64))
    return content[:start] + content[start + length :]


def _splice(rng: np.random.Generator, content: bytes, other: bytes) -> bytes:
    if not other:
        return content
    return content[: _place(rng, content)] + other[_place(rng, other) :]


def _huge_number(rng: np.random.Generator, content: bytes, _: bytes) -> bytes:
    """A size field, perhaps, that now says gigabytes."""
    code = str(rng.choice(['<I', '>I', '<Q', '>Q', '<H', '>H']))
    largest = 2 ** (8 * struct.calcsize(code)) - 1
    number = int(rng.choice(np.array([largest, largest // 2, largest // 2 + 1, 2**30], object)))
    field = struct.pack(code, min(number, largest))
    start = _place(rng, content)
    return content[:start] + field + content[start + len(field) :]


def _append(rng: np.random.Generator, content: bytes, _: bytes) -> bytes:
    return content + rng.bytes(int(rng.integers(1, 1000)))


_BYTE_CHANGES = (
    _truncate, _flip, _flip, _overwrite, _repeat, _remove, _splice, _huge_number, _append,
)  # fmt: skip


def mutate_json(rng: np.random.Generator, content: Any) -> Any:
    """One to three values anywhere in it become others, go, or get company."""
    holder = [copy.deepcopy(content)]
    for _ in range(rng.integers(1, 4)):
        places = list(_places(holder))
        where, key = places[rng.integers(len(places))]
        action = rng.integers(8)
        if action == 0 and where is not holder:
            del where[key]
        elif action == 1 and isinstance(where, dict):
            where[TEXTS[rng.integers(len(TEXTS))]] = where[key]
        elif action == 2 and isinstance(where, list):
            where.extend([where[key]] * int(rng.choice([1, 1000])))
        elif isinstance(where[key], int | float) and action < 6:
            where[key] = hostile_number(rng)
        else:
            where[key] = hostile_value(rng)
    return holder[0]


def _places(content: Any):
    """Every (container, key) in it."""
    items = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in list(items):
        yield content, key
        if isinstance(value, dict | list):
            yield from _places(value)


def hostile_number(rng: np.random.Generator) -> Any:
    numbers = (*NUMBERS, *FLOATS)
    return numbers[rng.integers(len(numbers))]


def hostile_value(rng: np.random.Generator, depth: int = 0) -> Any:
    """A number, text, list or dictionary that hardly anything expects; hashable one time in two."""
    choice = rng.integers(10 if depth < 3 else 6)
    if choice < 3:
        return hostile_number(rng)
    if choice < 5:
        return TEXTS[rng.integers(len(TEXTS))]
    if choice == 5:
        return (None, True, False)[rng.integers(3)]
    length = int(rng.choice([0, 1, 3]))
    if choice < 8:
        return [hostile_value(rng, depth + 1) for _ in range(length)]
    return {str(rng.choice(TEXTS)): hostile_value(rng, depth + 1) for _ in range(length)}


def nested(rng: np.random.Generator, opening: str, closing: str) -> str:
    """Brackets in brackets, from a few to far more than a reader's stack holds."""
    depth = int(rng.choice([5, 500, 100_000]))
    return opening * depth + closing * depth


def replace_file(rng: np.random.Generator, path: Path) -> None:
    """The file becomes a pipe, a link to itself or a folder, or goes, or is empty."""
    path.unlink()
    choice = rng.integers(5)
    if choice == 0:
        os.mkfifo(path)
    elif choice == 1:
        path.symlink_to(path)
    elif choice == 2:
        path.mkdir()
    elif choice == 3:
        path.touch()
