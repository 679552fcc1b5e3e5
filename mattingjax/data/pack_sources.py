"""The data sets that go into a pack, as the flags of scripts/pack.py name them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mattingjax.config.texts import whole_number
from mattingjax.data.datasets import KINDS, open_dataset
from mattingjax.data.folders import FileDataset
from mattingjax.errors import MattingError, list_some
from mattingjax.process.reading import read_file

SOURCE_KINDS = tuple(kind for kind in KINDS if kind not in ('packed', 'synthetic'))
_NAME = re.compile(r'[A-Za-z0-9][\w-]{0,63}', re.ASCII)


@dataclasses.dataclass(frozen=True)
class PackSource:
    """What becomes one part of a pack.

    Attributes:
      name: The name of the part.
      datasets: Its records, in the order of the datasets.
      licence: The licence of its photos, a name or a text; None if it is not known.
    """

    name: str
    datasets: tuple[FileDataset, ...]
    licence: str | None = None


def open_sources(
    dataset: Iterable[str],
    *,
    split: Iterable[str] = (),
    images: Iterable[str] = (),
    alphas: Iterable[str] = (),
    alpha_values: Iterable[str] = (),
    every: Iterable[str] = (),
    licence: Iterable[str] = (),
) -> list[PackSource]:
    """Opens data sets that are named in words; no photo is read yet.

    Args:
      dataset: The data sets, each as NAME=KIND:ROOT with a kind and a root of `open_dataset`.
        Several of one name become one part.
      split: NAME=SPLIT, the sub-folder of kinds that have splits.
      images: NAME=FOLDER, the folder of images of the kind 'folders'.
      alphas: NAME=FOLDER, the folder of alphas of the kind 'folders'.
      alpha_values: NAME=VALUES, what the numbers in alphas mean.
      every: NAME=N, which takes the first of each N records.
      licence: NAME=TEXT, or NAME=@FILE for the text in a file.

    Returns:
      The parts, in the order in which their names appear.

    Raises:
      MattingError: A text has another form, a name is unknown, or a data set cannot be opened.
    """
    roots: dict[str, list[tuple[str, str]]] = {}
    for text in dataset:
        name, where = _split('dataset', text, 'NAME=KIND:ROOT')
        kind, _, root = where.partition(':')
        if not _NAME.fullmatch(name):
            raise MattingError(
                f'dataset: expected a name of at most 64 letters, digits, _ and -, got {name!r}'
            )
        if kind not in SOURCE_KINDS or not root:
            raise MattingError(
                f'dataset: expected NAME=KIND:ROOT, the kind one of {", ".join(SOURCE_KINDS)}, '
                f'got {text!r}'
            )
        roots.setdefault(name, []).append((kind, root))
    options: dict[str, dict[str, Any]] = {name: {} for name in roots}
    given = {'split': split, 'images': images, 'alphas': alphas, 'alpha_values': alpha_values}
    for option, texts in given.items():
        for name, value in _by_name(option, texts, roots).items():
            options[name][option] = value
    steps = {name: _step(value) for name, value in _by_name('every', every, roots).items()}
    licences = {
        name: _read_licence(value) for name, value in _by_name('licence', licence, roots).items()
    }
    sources = []
    for name, places in roots.items():
        opened = []
        for kind, root in places:
            records = open_dataset(kind, root, **options[name])
            assert isinstance(records, FileDataset)
            opened.append(records.select(range(0, len(records), steps.get(name, 1))))
        sources.append(PackSource(name, tuple(opened), licences.get(name)))
    return sources


def _split(option: str, text: str, form: str = 'NAME=VALUE') -> Sequence[str]:
    name, _, value = text.partition('=')
    if not name or not value:
        raise MattingError(f'{option}: expected {form}, got {text!r}')
    return name, value


def _by_name(option: str, texts: Iterable[str], known: Mapping[str, Any]) -> dict[str, str]:
    """The values of an option by the names of the data sets that they are for."""
    values: dict[str, str] = {}
    for text in texts:
        name, value = _split(option, text)
        if name not in known:
            raise MattingError(f'{option}: expected the name of {list_some(known)}, got {name!r}')
        if name in values:
            raise MattingError(f'{option}: expected one value for {name}, got two')
        values[name] = value
    return values


def _step(value: str) -> int:
    step = whole_number(value)
    if not step:
        raise MattingError(f'every: expected a whole number of at least 1, got {value!r}')
    return step


def _read_licence(value: str) -> str:
    if not value.startswith('@'):
        return value
    path = Path(value[1:])
    try:
        return read_file(path).decode('utf-8-sig')
    except OSError as error:
        raise MattingError(f'{path}: cannot be read ({error.strerror})') from error
    except UnicodeDecodeError as error:
        raise MattingError(f'{path}: expected a text in UTF-8 ({error})') from error
