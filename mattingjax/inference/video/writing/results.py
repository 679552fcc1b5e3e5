"""What is written bit by bit and gets its name in the end."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Self


class Result(contextlib.AbstractContextManager):
    """A file or folder under a temporary name; leaving its context without `finish` removes it.

    Args:
      making: `new_file` or `new_folder` of the path.
    """

    def __init__(self, making: contextlib.AbstractContextManager[Path]):
        self._making: contextlib.AbstractContextManager[Path] | None = making
        self._scratch = making.__enter__()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._making is not None:
            making, self._making = self._making, None
            with contextlib.suppress(_Abandoned):
                making.__exit__(_Abandoned, _Abandoned(), None)

    def _give_name(self) -> None:
        """Gives it its name: it is whole."""
        if self._making is not None:
            making, self._making = self._making, None
            making.__exit__(None, None, None)


class _Abandoned(Exception):  # noqa: N818
    """Tells `new_file` and `new_folder` that what they made is not wanted."""
