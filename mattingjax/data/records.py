"""Records, which every dataset yields, and the files that a record is read from."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mattingjax.errors import MattingError

# A photo as it lies on disk: its `name`, and what is known of `image` and `foreground` (the
# person's true colours), uint8 [H, W, 3] RGB, and `alpha`, float32 [H, W] in [0, 1].
Record = dict[str, Any]


class RecordError(MattingError):
    """A record that cannot be read; the message names its file."""


@dataclasses.dataclass(frozen=True)
class PhotoFiles:
    """The files of one record.

    Attributes:
      name: The record's name.
      files: Paths by content, the photo's first: an 'image' and perhaps its 'alpha'; or a
        'foreground', which is a cut-out, and perhaps a 'background' for it; or an 'alpha' alone.
        There may also be a 'pred_alpha' to compare with the alpha, and a 'trimap'.
    """

    name: str
    files: dict[str, Path] = dataclasses.field(hash=False)

    @property
    def photo(self) -> Path:
        """The first file, whose size all others have: the photo, the cut-out, or the alpha."""
        return next(iter(self.files.values()))


def choose_evenly(total: int, count: int) -> list[int]:
    """Chooses `count` of the numbers 0 to `total` − 1, the first and the last included.

    Args:
      total: How many numbers there are, at least 1.
      count: How many to choose; all are chosen if there are fewer.
    """
    return np.linspace(0, total - 1, min(count, total)).astype(int).tolist()


class Dataset(Protocol):
    """A sequence of records, which Grain calls a random-access data source.

    A dataset can be pickled, and opens files only when their record is asked for. Its `repr` is
    short and differs between datasets: Grain compares it when a training resumes.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Record: ...
