"""Checks of any network file before it is read: its size, and what it would take in memory."""

from __future__ import annotations

from pathlib import Path

from mattingjax.errors import ArtefactError
from mattingjax.inference.screening.protobuf import DataPath, check_structure

_MAX_FILE = 2**29  # bytes; MODNet has 26 MB
_MAX_NODES = 2**14  # the original MMNet's frozen graph has 1,580


def read_structured(path: Path, data: DataPath, reader: str) -> bytes:
    """The content of a protocol buffer that is known not to unfold into a large memory.

    Args:
      path: The file.
      data: The fields that hold its weights, as for `protobuf.check_structure`.
      reader: The library whose format it is, for messages.

    Raises:
      ArtefactError: The file is damaged, would unfold into a large memory, or is too large to be a
        matting network.
    """
    check_file_size(path)
    content = path.read_bytes()
    try:
        check_structure(content, data)
    except (ValueError, IndexError) as error:
        raise ArtefactError(f'{path}: {reader} cannot read it ({error})') from error
    return content


def check_node_count(path: Path, nodes: int) -> None:
    """Raises ArtefactError for so many nodes that looking at each would take minutes."""
    if nodes > _MAX_NODES:
        raise ArtefactError(f'{path}: expected at most {_MAX_NODES} nodes, found {nodes}')


def check_file_size(path: Path) -> None:
    """Raises ArtefactError for a file that is too large to be a matting network."""
    if (size := path.stat().st_size) > _MAX_FILE:
        raise ArtefactError(
            f'{path}: expected at most {_MAX_FILE // 2**20} MB, found {size // 2**20} MB'
        )
