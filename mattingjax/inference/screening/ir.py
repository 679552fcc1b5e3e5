"""OpenVINO IR: standard operations only, nothing nested, constants that lie in the .bin file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NoReturn
from xml.parsers import expat

from mattingjax.errors import ArtefactError
from mattingjax.inference.screening.file_checks import check_file_size

_OPSET = re.compile(r'opset[0-9]{1,2}')
_VERSIONS = ('10', '11')  # those of OpenVINO 2020 and 2022
# Operations that hold a network of their own, or a state.
_REFUSED = ('If', 'Loop', 'TensorIterator', 'ReadValue', 'Assign')


def check_ir(path: Path) -> None:
    """Raises ArtefactError unless an `.xml` and the `.bin` beside it are a plain network."""
    check_file_size(path)
    weights = path.with_suffix('.bin')
    if weights.is_file():
        check_file_size(weights)
    parser = expat.ParserCreate()
    reader = _Reader(path, weights)
    parser.StartElementHandler = reader.start
    # A document type could declare entities that grow without end, or that are other files.
    parser.StartDoctypeDeclHandler = reader.refuse_doctype
    try:
        parser.Parse(path.read_bytes(), True)
    except expat.ExpatError as error:
        raise ArtefactError(f'{path}: OpenVINO cannot read it (no XML: {error})') from error
    except (ValueError, LookupError) as error:
        if isinstance(error, ArtefactError):
            raise
        raise ArtefactError(f'{path}: OpenVINO cannot read it (no XML: {error})') from error


class _Reader:
    """Looks at the elements of an `.xml` as they come."""

    def __init__(self, path: Path, weights: Path):
        self._path, self._weights = path, weights
        self._size = weights.stat().st_size if weights.is_file() else None
        self._layer = ''
        self._is_first = True

    def refuse_doctype(self, *_: object) -> NoReturn:
        raise ArtefactError(f'{self._path}: expected no document type in an IR, found one')

    def start(self, element: str, attributes: dict[str, str]) -> None:
        if self._is_first:
            self._is_first = False
            version = attributes.get('version', '')
            if element != 'net' or version not in _VERSIONS:
                # OpenVINO would try its readers of other formats on it.
                raise ArtefactError(
                    f'{self._path}: expected an IR, <net version="11">, found <{element}> of '
                    f'version {version!r}'
                )
        where = f'{self._path}: {attributes.get("name", self._layer)}'
        if element == 'layer':
            self._layer = attributes.get('name', '')
            kind, opset = attributes.get('type', ''), attributes.get('version', '')
            if not _OPSET.fullmatch(opset):
                raise ArtefactError(
                    f'{where}: expected an operation of a standard set (opset1, say), found '
                    f'{kind!r} of {opset!r}'
                )
            if kind in _REFUSED:
                raise ArtefactError(f'{where}: {kind}: no operation of a matting network')
        elif element.endswith('body'):
            raise ArtefactError(f'{where}: expected no network inside a layer, found <{element}>')
        elif element == 'data' and 'offset' in attributes:
            self._check_constant(attributes)

    def _check_constant(self, attributes: dict[str, str]) -> None:
        where = f'{self._path}: {self._layer}'
        start, size = (attributes.get(name, '') for name in ('offset', 'size'))
        if not (re.fullmatch('[0-9]{1,18}', start) and re.fullmatch('[0-9]{1,18}', size)):
            raise ArtefactError(
                f'{where}: expected an offset and a size in bytes, found {start!r} and {size!r}'
            )
        if self._size is None:
            raise ArtefactError(f'{self._weights}: no such file; an .xml has its weights beside it')
        if int(start) + int(size) > self._size:
            raise ArtefactError(
                f'{where}: expected {size} bytes at {start} in {self._weights.name}, which has '
                f'{self._size}'
            )
