"""Finds the outputs of msame, or of our `run`, and reads them as alphas without guessing."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from exporters.bins.index import Index
from mattingjax.errors import MattingError, OutputError, list_some
from mattingjax.images import name_key
from mattingjax.inference.signature import TOLERANCE
from mattingjax.process.files import LONGEST_NAME
from mattingjax.process.reading import explain_absence, read_file

DTYPES = ('float16', 'float32')
_MAX_DIGITS = 32  # bytes of a value in a .txt, with the blank after it; 9 suffice msame, 18 NumPy
OUTPUT_SUFFIX = '_output_0'
_TIMESTAMP = re.compile(r'(\d{8}_\d{6})(?:_(\d+))?')


class Encoding(NamedTuple):
    """How an output is stored.

    Attributes:
      channels: 1, or 2 as MMNet's softmax has, whose last is the alpha.
      dtype: 'float16', 'float32' or 'text'.
    """

    channels: int
    dtype: str

    def __str__(self) -> str:
        return f'{self.dtype} of {self.channels} channel{"s" if self.channels > 1 else ""}'


def check_name(stem: str) -> None:
    """Raises OutputError if a photo's name is too long for the longer name of its output."""
    longest = LONGEST_NAME - len(f'{OUTPUT_SUFFIX}.bin')
    if (length := len(os.fsencode(stem))) > longest:
        raise OutputError(
            f'{stem}: expected a name of at most {longest} bytes, as that of its output is longer, '
            f'found {length}'
        )


def find_outputs(output: Path, timestamp: str | None = None) -> Path:
    """Finds the folder of a run's results.

    Args:
      output: The run's output folder.
      timestamp: Name of the folder of results in it; if None, the newest by its name.

    Raises:
      MattingError: There is none.
    """
    folder = output if timestamp is None else output / timestamp
    if not os.path.isdir(folder):  # pathlib's own raises where it may not be searched
        raise MattingError(f'{folder}: {explain_absence(folder, "folder")}')
    if timestamp is not None:
        return folder
    runs = {}
    for path in output.iterdir():
        if path.is_dir() and (found := _TIMESTAMP.fullmatch(path.name)):
            runs[found[1], int(found[2] or 0)] = path
    if not runs:
        raise MattingError(
            f'{output}: holds no folder named by a time (YYYYMMDD_HHMMSS), as a run makes it; '
            'timestamp=NAME takes another'
        )
    return runs[max(runs)]


def match_outputs(folder: Path, index: Index) -> dict[str, Path]:
    """Finds the output of each photo.

    Args:
      folder: The folder of a run's results.
      index: The index of the inputs.

    Returns:
      Name of each photo → the file of its output.

    Raises:
      MattingError: An output is missing, unknown or there twice.
    """
    files = sorted([*folder.glob('[!.]*.bin'), *folder.glob('[!.]*.txt')])
    found: dict[str, Path] = {}
    for path in files:
        name = name_key(path.stem.removesuffix(OUTPUT_SUFFIX))
        if name in found:
            raise MattingError(f'{path}: expected it or {found[name].name}, found both')
        found[name] = path
    names = {item.name: name_key(item.name) for item in index.items}
    missing = [name for name, key in names.items() if key not in found]
    unknown = [found[key].name for key in sorted(set(found) - set(names.values()))]
    unnamed = [path.name for path in files if not path.stem.endswith(OUTPUT_SUFFIX)]
    count = f'expected {len(names)} outputs, NAME{OUTPUT_SUFFIX}.bin or .txt, found {len(files)}'
    if problem := unknown or unnamed:
        raise MattingError(f'{folder}: {count}; the index knows nothing of {list_some(problem)}')
    if missing:
        raise MattingError(f'{folder}: {count}; there is none for {list_some(missing)}')
    return {name: found[key] for name, key in names.items()}


def load_output(
    path: Path, size: tuple[int, int], channels: int | None = None, dtype: str | None = None
) -> tuple[np.ndarray, Encoding]:
    """Reads an output.

    Args:
      path: The .bin file, or a .txt file of values in reading order.
      size: Height and width of the alpha in pixels.
      channels: Channels of the output, 1 or 2; if None, what the number of values or bytes tells.
      dtype: Type of a .bin file, 'float16' or 'float32'; if None, what its number of bytes tells.

    Returns:
      The alpha, float32 [H, W] in [0, 1], and how it was stored.

    Raises:
      MattingError: The file is damaged or of another size, its values are no alphas, or its size
        does not tell how to read it, so that `channels` or `dtype` must.
    """
    content = _read(path, (channels or 2) * size[0] * size[1] * _MAX_DIGITS)
    if path.suffix == '.txt':
        possible = {Encoding(n, 'text'): n * size[0] * size[1] for n in (1, 2)}
        count = _count_words(path, content)
        encoding = _choose(path, count, 'values', possible, channels, None)
        values = _parse(path, content, count)
    else:
        possible = {
            Encoding(n, name): n * size[0] * size[1] * np.dtype(name).itemsize
            for n in (1, 2)
            for name in DTYPES
        }
        encoding = _choose(path, len(content), 'bytes', possible, channels, dtype)
        values = np.frombuffer(content, encoding.dtype).astype(np.float32)
    values = values.reshape(*size, encoding.channels)
    _check_values(path, values, encoding)
    return np.clip(values[..., -1], 0, 1), encoding


def _read(path: Path, limit: int) -> bytes:
    try:
        if (size := path.stat().st_size) > limit:
            raise MattingError(f'{path}: expected at most {limit} bytes, found {size}')
        return read_file(path)
    except OSError as error:
        raise MattingError(f'{path}: cannot be read ({error.strerror})') from error


def _count_words(path: Path, content: bytes) -> int:
    # A blank follows each value; without it, the last value has lost its end.
    if content[-1:].strip():
        raise MattingError(f'{path}: ends within a value: cut off')
    blank = np.frombuffer(content, np.uint8) <= ord(' ')
    return int(np.count_nonzero(blank[1:] > blank[:-1]))


def _parse(path: Path, content: bytes, count: int) -> np.ndarray:
    # NumPy makes no list of words, which would take ten times the memory of the file.
    try:
        values = np.fromstring(content, np.float32, sep=' ')
    except ValueError as error:
        raise MattingError(f'{path}: expected numbers, found {_find_word(content)!r}') from error
    if values.size != count:
        raise MattingError(f'{path}: expected {count} numbers, found {values.size}')
    return values


def _find_word(content: bytes) -> str:
    """The first word that is no number."""
    for found in re.finditer(rb'\S+', content):
        try:
            float(found[0])
        except ValueError:
            return found[0].decode(errors='replace')
    return ''


def _choose(
    path: Path,
    size: int,
    unit: str,
    possible: dict[Encoding, int],
    channels: int | None,
    dtype: str | None,
) -> Encoding:
    """The one encoding that fits a size."""
    allowed = {
        encoding: expected
        for encoding, expected in possible.items()
        if channels in (None, encoding.channels) and dtype in (None, encoding.dtype)
    }
    fitting = [encoding for encoding, expected in allowed.items() if expected == size]
    if not fitting:
        expected = ' or '.join(f'{count} {unit} ({how})' for how, count in allowed.items())
        raise MattingError(f'{path}: expected {expected}, found {size}')
    if len(fitting) > 1:
        raise MattingError(
            f'{path}: {size} {unit} may be {" or ".join(map(str, fitting))}; expected dtype '
            'or channels to say which'
        )
    return fitting[0]


def _check_values(path: Path, values: np.ndarray, encoding: Encoding) -> None:
    low, high = float(values.min()), float(values.max())
    # Written so that NaN fails too.
    if not (low >= -TOLERANCE and high <= 1 + TOLERANCE):
        raise MattingError(
            f'{path}: expected values in [0, 1], found {low:g} to {high:g}: damaged, or not '
            f'{encoding}'
        )
    if encoding.channels == 2 and not np.allclose(values.sum(axis=-1), 1, atol=2 * TOLERANCE):
        raise MattingError(
            f'{path}: expected two channels whose sum is 1, as a softmax gives them: damaged, or '
            f'not {encoding}'
        )
