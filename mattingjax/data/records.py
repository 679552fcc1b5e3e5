"""What every dataset yields, and what it raises where a record cannot be read."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mattingjax.errors import MattingError

# One example as it lies on disk: `name`, and of these what is known: `image` and `foreground` (the
# person's true colours), uint8 [H, W, 3] RGB; `alpha`, float32 [H, W] in [0, 1].
Record = dict[str, Any]


class RecordError(MattingError):
    """One record of a dataset cannot be read; the message names its file."""


@dataclasses.dataclass(frozen=True)
class PhotoFiles:
    """The files of one record.

    Attributes:
      name: What the record is called.
      files: What each file is → its path, the photo first: 'image' and perhaps 'alpha'; or
        'foreground', a cut-out, and perhaps the 'background' that it is put on; or 'alpha' alone.
        Beside them perhaps 'pred_alpha', a matte to compare, and 'trimap'.
    """

    name: str
    files: dict[str, Path] = dataclasses.field(hash=False)

    @property
    def photo(self) -> Path:
        """The file whose size the photo has: itself, its cut-out, or else its alpha."""
        return next(iter(self.files.values()))


def choose_evenly(total: int, count: int) -> list[int]:
    """`count` of the numbers 0 to `total` - 1, first and last too; all if fewer."""
    return np.linspace(0, total - 1, min(count, total)).astype(int).tolist()


class Dataset(Protocol):
    """Records by number; Grain calls this a random-access data source.

    It can be pickled, and opens files only when their record is asked for. Its `repr` is short and
    tells one set of records from another: Grain compares it before it resumes.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Record: ...
