"""The pictures that are made of a photo and its matte."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from typing import NamedTuple

import numpy as np

from mattingjax.errors import MattingError
from mattingjax.images import FORMATS, Photo, choose_format, encode_image
from mattingjax.images.colour import usable_profile
from mattingjax.images.compositing import Background, composite, cut_out, to_uint8
from mattingjax.images.foreground import estimate_foreground
from mattingjax.images.sheets import make_panel

OUTPUTS = ('alpha', 'cutout', 'composite', 'panel')
_CHANNELS = {'alpha': 1, 'cutout': 4, 'composite': 3}  # what `format` is chosen by


@dataclasses.dataclass(frozen=True)
class Outputs:
    """Which pictures are made of each photo, and how they are written.

    Attributes:
      kinds: Some of 'alpha' (grey), 'cutout' (RGBA), 'composite' and 'panel' (RGB).
      background: The background of composites; 'composite' needs it.
      foreground: Whether cut-outs and composites get estimated foreground colours instead of the
        photo's own, so that hair carries no old background.
      refine: Whether edges are drawn anew at the photo's own resolution.
      format: Of cut-outs and composites: one of `mattingjax.images.FORMATS`. Alphas, which the
        others would change, and panels are PNG.
    """

    kinds: tuple[str, ...] = ('alpha', 'cutout', 'panel')
    background: Background | None = None
    foreground: bool = True
    refine: bool = False
    format: str = 'png'

    def __post_init__(self) -> None:
        unknown = [kind for kind in self.kinds if kind not in OUTPUTS]
        if unknown or not self.kinds:
            found = ', '.join(self.kinds) or 'none'
            raise MattingError(f'outputs: expected some of {", ".join(OUTPUTS)}, got {found}')
        if len(set(self.kinds)) < len(self.kinds):
            raise MattingError(f'outputs: expected each kind once, got {", ".join(self.kinds)}')
        if 'composite' in self.kinds and self.background is None:
            raise MattingError('outputs: a composite needs a background')
        if self.format not in FORMATS:
            raise MattingError(f'format: expected one of {", ".join(FORMATS)}, got {self.format!r}')
        self.extensions()

    def extensions(self) -> dict[str, str]:
        """Kind of each picture → the extension of its file, without the dot.

        Raises:
          ImageError: The format cannot hold one of the pictures.
        """
        return {
            kind: choose_format(_CHANNELS[kind], self.format) if kind in _CHANNELS else 'png'
            for kind in self.kinds
        }

    def names(self, stem: str) -> list[str]:
        """The names of the files of one photo's pictures, which begin with `stem`."""
        return [f'{stem}_{kind}.{extension}' for kind, extension in self.extensions().items()]


class Picture(NamedTuple):
    """A picture before it is encoded.

    Attributes:
      pixels: uint8 [H, W], [H, W, 3] or [H, W, 4].
      icc_profile: The colour profile of the pixels, or None for sRGB.
    """

    pixels: np.ndarray
    icc_profile: bytes | None


def finish(photo: Photo, alpha: np.ndarray, outputs: Outputs) -> Iterator[tuple[str, Picture]]:
    """Makes the pictures of one photo, one after the other.

    Cut-outs and panels keep the photo's colour profile. Composites are in sRGB, so that the
    background has the colours that were asked for.

    Args:
      photo: The photo, its pixels [H, W, 3].
      alpha: Its alpha, float32 [H, W] in [0, 1].
      outputs: Which pictures to make.

    Yields:
      The kind of each picture, and the picture.
    """
    foreground = photo.pixels
    if outputs.foreground and set(outputs.kinds) != {'alpha'}:
        foreground = estimate_foreground(photo.pixels, alpha)
    profile = usable_profile(photo.icc_profile)
    makers: dict[str, Callable[[], Picture]] = {
        'alpha': lambda: Picture(to_uint8(alpha), None),
        'cutout': lambda: Picture(cut_out(foreground, alpha), profile),
        'composite': lambda: Picture(
            composite(foreground, alpha, outputs.background, profile),  # type: ignore[arg-type]
            None,
        ),
        'panel': lambda: Picture(make_panel(photo.pixels, alpha, foreground), profile),
    }
    for kind in outputs.kinds:
        yield kind, makers[kind]()


def render(photo: Photo, alpha: np.ndarray, outputs: Outputs, pool: Executor) -> dict[str, bytes]:
    """Makes and encodes the pictures of one photo; one is encoded while the next is made.

    Args:
      photo: The photo, its pixels [H, W, 3].
      alpha: Its alpha, float32 [H, W] in [0, 1].
      outputs: Which pictures to make.
      pool: Where pictures are encoded.

    Returns:
      Kind of each picture → the bytes of its file.
    """
    extensions = outputs.extensions()
    encoded = {
        kind: pool.submit(encode_image, picture.pixels, extensions[kind], picture.icc_profile)
        for kind, picture in finish(photo, alpha, outputs)
    }
    return {kind: future.result() for kind, future in encoded.items()}
