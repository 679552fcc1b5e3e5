"""How predicted alphas are compared with true ones: by which metrics, where, and at which size."""

from __future__ import annotations

import dataclasses
import re
from typing import Any, Literal

from mattingjax.errors import MattingError
from mattingjax.evaluation.metrics import METRICS, check_metrics
from mattingjax.evaluation.metrics.soft_band import HIGHEST, LOWEST, RADIUS

REGIONS = ('whole', 'unknown', 'soft')
_MAX_SIDE = 2**14


@dataclasses.dataclass(frozen=True)
class EvaluationOptions:
    """How predicted alphas are compared with true ones.

    The defaults of the trimaps are the middle of the ranges in MODNet's training.

    Attributes:
      metrics: Names from `mattingjax.evaluation.metrics.METRICS`. Photos are ranked by the first.
      regions: Some of 'whole' (every pixel), 'unknown' (where the trimap is 0.5) and 'soft'
        (`metrics.soft_band` of the true alpha). If a record has no trimap,
        `mattingjax.data.trimaps.make_trimap` makes one of its true alpha.
      size: The size that both alphas are resized to: 'photo' is that of the true alpha; 'network'
        is that of the network's input, to which the photo is resized first; or height and width in
        pixels.
      trimap_kernel: Diameter of the elliptic kernel that makes trimaps, in pixels of that size, at
        least 1.
      trimap_iterations: Number of erosions and of dilations that make trimaps, at least 1.
    """

    metrics: tuple[str, ...] = tuple(METRICS)
    regions: tuple[str, ...] = REGIONS
    size: Literal['photo', 'network'] | tuple[int, int] = 'photo'
    trimap_kernel: int = 3
    trimap_iterations: int = 10

    def __post_init__(self) -> None:
        check_metrics(self.metrics)
        if not isinstance(self.regions, tuple | list):
            raise MattingError(
                f'regions: expected some of {", ".join(REGIONS)}, got {self.regions!r}'
            )
        unknown = [region for region in self.regions if region not in REGIONS]
        if unknown or not self.regions:
            found = repr(unknown[0]) if unknown else 'none'
            raise MattingError(f'regions: expected some of {", ".join(REGIONS)}, got {found}')
        sides = self.size if isinstance(self.size, tuple | list) else ()
        if self.size not in ('photo', 'network') and not (
            len(sides) == 2 and all(isinstance(n, int) and 1 <= n <= _MAX_SIDE for n in sides)
        ):
            raise MattingError(
                f"size: expected 'photo', 'network' or two sides of 1 to {_MAX_SIDE} pixels, got "
                f'{self.size!r}'
            )
        for field in ('trimap_kernel', 'trimap_iterations'):
            if getattr(self, field) < 1:
                raise MattingError(f'{field}: expected at least 1, got {getattr(self, field)}')

    @property
    def columns(self) -> dict[str, tuple[str, str]]:
        """Name of each figure in reports, such as 'mad' or 'mad_unknown' → region and metric."""
        return {
            metric if region == 'whole' else f'{metric}_{region}': (region, metric)
            for region in self.regions
            for metric in self.metrics
        }

    def describe_size(self) -> str:
        """Describes the size in words."""
        if self.size == 'photo':
            return "the photo's own size"
        if self.size == 'network':
            return 'the size that the network sees'
        return f'{self.size[0]} by {self.size[1]} pixels (height by width)'

    def describe_region(self, region: str) -> str:
        """Describes one of `regions` in words."""
        if region == 'whole':
            return 'every pixel'
        if region == 'soft':
            return (
                f'where the true alpha lies in [{LOWEST}, {HIGHEST}], and the pixels at most '
                f'{RADIUS} from there (a disc)'
            )
        return (
            'where the trimap is 0.5; unless given, the true alpha eroded (1 where '
            'it is still over 254.5/255) and dilated (0 where it is still under 0.5/255) by an '
            f'ellipse of {self.trimap_kernel} pixels, {self.trimap_iterations} times'
        )

    def to_dict(self) -> dict[str, Any]:
        """The protocol of the evaluation, for others who want to follow it: JSON types."""
        return {
            'metrics': {name: METRICS[name].definition for name in self.metrics},
            'regions': {region: self.describe_region(region) for region in self.regions},
            'size': self.size if isinstance(self.size, str) else list(self.size),
            'compared_at': self.describe_size(),
            'resizing': 'mean over the area to shrink, cubic to enlarge',
            'trimap_kernel': self.trimap_kernel,
            'trimap_iterations': self.trimap_iterations,
            'means': 'over the photos, each with the same weight; those without a pixel in the '
            'region do not count',
        }


def parse_size(text: str, name: str, instead: tuple[str, ...] = ()) -> tuple[int, int]:
    """Reads a size of the form '800x600'.

    Args:
      text: Height and width in pixels.
      name: The name of the caller's argument, for the error message.
      instead: The words that the caller accepts instead, for the error message.

    Returns:
      Height and width in pixels.

    Raises:
      MattingError: The text is no size.
    """
    if not (found := re.fullmatch(r'([1-9]\d{0,4})x([1-9]\d{0,4})', text)):
        words = f'{", ".join(instead)} or ' if instead else ''
        raise MattingError(f'{name}: expected {words}height x width, as 800x600, got {text!r}')
    return int(found[1]), int(found[2])
