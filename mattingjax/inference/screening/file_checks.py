"""What is looked at in any network file before it is read: its size, and how it would unfold."""

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
      data: Where its weights are, see `protobuf.check_structure`.
      reader: Whose kind of file it is, for messages.

    Raises:
      ArtefactError: It is damaged, or would; or it is too large to be a matting network.
    """
    check_file_size(path)
    content = path.read_bytes()
    try:
        check_structure(content, data)
    except (ValueError, IndexError) as error:
        raise ArtefactError(f'{path}: {reader} cannot read it ({error})') from error
    return content


def check_count(path: Path, nodes: int) -> None:
    """Raises ArtefactError where nodes are so many that looking at each takes minutes."""
    if nodes > _MAX_NODES:
        raise ArtefactError(f'{path}: expected at most {_MAX_NODES} nodes, found {nodes}')


def check_file_size(path: Path) -> None:
    """Raises ArtefactError where a file is too large to be a matting network."""
    if (size := path.stat().st_size) > _MAX_FILE:
        raise ArtefactError(
            f'{path}: expected at most {_MAX_FILE // 2**20} MB, found {size // 2**20} MB'
        )
