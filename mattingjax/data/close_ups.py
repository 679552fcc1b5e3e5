"""Close-ups: the heads of people who are seen whole, as portraits show them."""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

import numpy as np

from mattingjax.data.geometry import select
from mattingjax.data.records import Record
from mattingjax.errors import MattingError

# Shares of a close-up that lie above the crown at most, and that its middle is beside the head's.
ABOVE, BESIDE = 0.35, 0.2
LEAST = 16  # rows and columns of a close-up, at least
# A person is cut off by the lower border if their width there is at least this share of their
# largest width; shoes that touch the border are narrower.
_CUT = 0.3


class Person(NamedTuple):
    """Where a person is in a picture, in pixels.

    Attributes:
      crown: The row where the person begins.
      length: The number of rows from there to where the person ends.
      head: The column of the middle of the uppermost eighth.
    """

    crown: float
    length: float
    head: float


def find_person(alpha: np.ndarray) -> Person | None:
    """Finds the person of an alpha, float32 [H, W]; None if it is empty or cut off below."""
    widths = (alpha > 0.5).sum(1)
    if widths[-1] >= max(1, _CUT * widths.max()) or not widths.any():
        return None
    rows = np.flatnonzero(widths)
    crown, length = int(rows[0]), int(rows[-1] + 1 - rows[0])
    head = np.flatnonzero((alpha[crown : crown + max(1, length // 8)] > 0.5).any(0))
    return Person(crown, length, float(head.mean()))


@dataclasses.dataclass(frozen=True)
class CloseUp:
    """Cuts out the head and some of what is below it, as a portrait shows it.

    The top of the head is where the alpha begins. A record without an alpha, or with an empty one,
    stays as it is. So does one whose person the lower border cuts off: their full height is not
    known, and a portrait would be cut down to the forehead.

    Attributes:
      scale: Range of the close-up's height, as a share of the person's; its logarithm is drawn
        uniformly.
      aspect: Range of the close-up's width over its height; its logarithm is drawn uniformly.
    """

    scale: tuple[float, float] = (0.2, 0.7)
    aspect: tuple[float, float] = (0.65, 1.6)

    def __post_init__(self) -> None:
        numbers = [value for value in self.scale if isinstance(value, int | float)]
        if len(self.scale) != 2 or len(numbers) != 2 or not 0 < numbers[0] <= numbers[1] < math.inf:
            raise MattingError(
                f'close_up_scale: expected two numbers over 0, the lower first, got {self.scale}'
            )

    def __call__(self, record: Record, rng: np.random.Generator) -> Record:
        person = find_person(record['alpha']) if 'alpha' in record else None
        if person is None:
            return record
        height, width = record['alpha'].shape
        tall = math.exp(rng.uniform(*np.log(self.scale))) * person.length
        wide = tall * math.exp(rng.uniform(*np.log(self.aspect)))
        top = person.crown - rng.uniform(0, ABOVE) * tall
        left = person.head + rng.uniform(-BESIDE, BESIDE) * wide - wide / 2
        rows = slice(*_clip(top, tall, height))
        columns = slice(*_clip(left, wide, width))
        return select(record, lambda picture: picture[rows, columns])


def _clip(start: float, length: float, end: int) -> tuple[int, int]:
    """The bounds of a range within [0, end], widened to at least `LEAST` where that fits."""
    first = min(max(0, round(start)), max(0, end - LEAST))
    return first, min(end, max(round(start + length), first + LEAST))
