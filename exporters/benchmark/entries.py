"""What is measured: each artefact, in each runtime that reads it, in each precision."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from exporters.options import PRECISIONS as FILE_PRECISIONS
from mattingjax.config.schema import parse_json
from mattingjax.errors import ArtefactError, MattingError
from mattingjax.inference.sessions import (
    PRECISIONS,
    READERS,
    SESSIONS,
    can_compute,
    check_artefact,
)

_LOG = logging.getLogger(__name__)
FORMS = ('FP32', 'BF16', 'FP16', 'INT8')
# The runtimes that are taken where none is named. TensorFlow is slow, and talks.
DEFAULT_RUNTIMES = tuple(name for name in SESSIONS if name != 'tensorflow')
_CONVERTED = {'.pb': 'onnxruntime'}  # read after a conversion: a file of someone else's


@dataclasses.dataclass(frozen=True)
class Entry:
    """An artefact, and what runs it.

    Attributes:
      path: The artefact.
      name: What tables call it: the end of its path that no other artefact has.
      runtime: One of `mattingjax.inference.sessions.SESSIONS`.
      precision: What it computes in: 'f32', or with OpenVINO 'bf16' or 'f16'.
    """

    path: Path
    name: str
    runtime: str
    precision: str

    def __str__(self) -> str:
        precision = '' if self.precision == 'f32' else f', {self.precision}'
        return f'{self.name}, {self.runtime}{precision}'

    def form(self, metadata: str | None) -> str:
        """One of `FORMS`: what most of it computes in, or else has its weights in.

        Args:
          metadata: The artefact's own metadata, JSON; where it tells no precision, as other
            people's and earlier exports, the file's name does.
        """
        of_file = (_told_precision(metadata) or _named_precision(self.path)).upper()
        if of_file == 'INT8' or self.precision == 'f32':
            return of_file
        return {'bf16': 'BF16', 'f16': 'FP16'}[self.precision]

    @property
    def is_converted(self) -> bool:
        """Whether the runtime does not read the file itself."""
        return self.runtime not in READERS[self.path.suffix]

    @property
    def files(self) -> list[Path]:
        """The artefact and, of an IR, its weights."""
        weights = self.path.with_suffix('.bin')
        return [self.path, *([weights] if self.path.suffix == '.xml' and weights.is_file() else [])]


def _told_precision(metadata: str | None) -> str | None:
    with contextlib.suppress(MattingError):
        content = parse_json(metadata or '')
        if isinstance(content, dict) and content.get('precision') in FILE_PRECISIONS:
            return content['precision']
    return None


def _named_precision(path: Path) -> str:
    found = re.search(r'(?<![a-z])(fp16|int8)(?![a-z0-9])', path.stem.lower())
    return found[1] if found else 'fp32'


def list_entries(
    models: Sequence[str], runtimes: Sequence[str], precisions: Sequence[str]
) -> list[Entry]:
    """Lists what is measured, without opening it.

    Args:
      models: Artefacts, and folders, each of which stands for the artefacts in it.
      runtimes: Names of `mattingjax.inference.sessions.SESSIONS`.
      precisions: What OpenVINO computes in; those that this CPU does not compute in are left out
        with a warning.

    Raises:
      MattingError: A runtime or precision is unknown, or nothing is left to measure.
      ArtefactError: There is no such artefact, or none of the runtimes reads it.
      ImportError: OpenVINO is asked for and not installed.
    """
    _check_words('runtimes', runtimes, SESSIONS)
    _check_words('precisions', precisions, PRECISIONS)
    readers = dict(_list_artefacts(models, runtimes))
    if not readers:
        raise MattingError('models: expected at least one artefact, got none')
    names = dict(zip(readers, _shorten(list(readers)), strict=True))
    computed = _list_precisions(precisions) if _has_openvino(readers.values()) else []
    return [
        Entry(path, names[path], runtime, precision)
        for path, found in readers.items()
        for runtime in found
        for precision in (computed if runtime == 'openvino' else ['f32'])
    ]


def _check_words(name: str, words: Sequence[str], known: Iterable[str]) -> None:
    if not words or set(words) - set(known):
        raise MattingError(
            f'{name}: expected some of {", ".join(known)}, got {", ".join(words) or "none"}'
        )


def _list_artefacts(
    models: Sequence[str], runtimes: Sequence[str]
) -> Iterator[tuple[Path, list[str]]]:
    """Each artefact, and those of the runtimes that read it."""
    for model in models:
        path = Path(model)
        if not os.path.isdir(path):
            check_artefact(path)
            able = [*READERS[path.suffix], *filter(None, [_CONVERTED.get(path.suffix)])]
            if not (found := [runtime for runtime in runtimes if runtime in able]):
                raise ArtefactError(
                    f'{path}: expected the runtime {" or ".join(able)}, got {", ".join(runtimes)}'
                )
            yield path, found
            continue
        files = [file for file in path.iterdir() if file.suffix in READERS and file.is_file()]
        if not files:
            raise ArtefactError(
                f'{path}: expected artefacts ({", ".join(READERS)}) in the folder, found none'
            )
        for file in sorted(files, key=lambda file: (list(READERS).index(file.suffix), file.stem)):
            if found := [runtime for runtime in runtimes if runtime in READERS[file.suffix]]:
                yield file, found


def _has_openvino(found: Iterable[Sequence[str]]) -> bool:
    return any('openvino' in runtimes for runtimes in found)


def _list_precisions(precisions: Sequence[str]) -> list[str]:
    able = [precision for precision in dict.fromkeys(precisions) if can_compute(precision)]
    for precision in precisions:
        if precision not in able:
            _LOG.warning('%s: left out, this CPU does not compute in it', precision)
    if not able:
        raise MattingError(
            f'precisions: expected one that this CPU computes in, got {", ".join(precisions)}'
        )
    return able


def _shorten(paths: Sequence[Path]) -> list[str]:
    """The end of each path that no other path has."""

    def end(path: Path, count: int) -> str:
        return '/'.join(path.parts[-count:])

    names = []
    for path in paths:
        counts = range(1, len(path.parts))
        alone = (n for n in counts if [end(other, n) for other in paths].count(end(path, n)) == 1)
        names.append(end(path, next(alone, len(path.parts))))
    return names
