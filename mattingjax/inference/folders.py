"""Mattes files: one, a folder of them, or one from standard input to standard output."""

from __future__ import annotations

import dataclasses
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mattingjax.errors import ImageError, MattingError, OutputError
from mattingjax.images import (
    Photo,
    describe_others,
    encode_png,
    list_folder,
    load_photo,
    read_size,
)
from mattingjax.images.compositing import (
    Background,
    composite,
    cut_out,
    to_uint8,
)
from mattingjax.images.foreground import estimate_foreground
from mattingjax.images.sheets import make_panel
from mattingjax.inference import Predictor
from mattingjax.process.files import LONGEST_NAME, check_folder, write_file
from mattingjax.process.progress import say, show_progress

OUTPUTS = ('alpha', 'cutout', 'composite', 'panel')

_THREADS = 2  # one decodes or draws a photo while the network has another


@dataclasses.dataclass(frozen=True)
class Outputs:
    """Which pictures are made of each photo.

    Attributes:
      kinds: Some of 'alpha' (grey PNG), 'cutout' (RGBA PNG), 'composite' and 'panel' (RGB PNG).
      background: The background of composites; 'composite' needs it.
      foreground: Whether cut-outs and composites get estimated foreground colours instead of the
        photo's own, so that hair carries no old background.
    """

    kinds: tuple[str, ...] = ('alpha', 'cutout', 'panel')
    background: Background | None = None
    foreground: bool = True

    def __post_init__(self) -> None:
        unknown = [kind for kind in self.kinds if kind not in OUTPUTS]
        if unknown or not self.kinds:
            found = ', '.join(self.kinds) or 'none'
            raise MattingError(f'outputs: expected some of {", ".join(OUTPUTS)}, got {found}')
        if len(set(self.kinds)) < len(self.kinds):
            raise MattingError(f'outputs: expected each kind once, got {", ".join(self.kinds)}')
        if 'composite' in self.kinds and self.background is None:
            raise MattingError('outputs: a composite needs a background')


class Summary(NamedTuple):
    """The outcome of matting a folder.

    Attributes:
      matted: The photos that got a matte.
      skipped: Path of each photo that could not be matted, and the reason.
      others: Files whose extension belongs to no known picture format; they are not opened.
      seconds: Duration of the run in seconds.
    """

    matted: list[Path]
    skipped: list[tuple[Path, str]]
    others: list[Path]
    seconds: float

    def describe(self) -> str:
        """The summary as a part of a line."""
        line = f'{len(self.matted)} matted, {len(self.skipped)} skipped'
        if self.others:
            line += f', {len(self.others)} of no known format ({describe_others(self.others)})'
        return f'{line} in {self.seconds:.1f} s'


def render(photo: Photo, alpha: np.ndarray, outputs: Outputs) -> dict[str, bytes]:
    """Makes the pictures of one photo.

    Args:
      photo: The photo, its pixels [H, W, 3].
      alpha: Its alpha, float32 [H, W] in [0, 1].
      outputs: Which pictures to make.

    Returns:
      Kind of each picture → the bytes of a PNG file.
    """
    foreground = photo.pixels
    if outputs.foreground and set(outputs.kinds) != {'alpha'}:
        foreground = estimate_foreground(photo.pixels, alpha)
    makers: dict[str, Callable[[], np.ndarray]] = {
        'alpha': lambda: to_uint8(alpha),
        'cutout': lambda: cut_out(foreground, alpha),
        'composite': lambda: composite(
            foreground,
            alpha,
            outputs.background.of_size(*alpha.shape),  # type: ignore[union-attr]
        ),
        'panel': lambda: make_panel(photo.pixels, alpha, foreground),
    }
    return {
        kind: encode_png(makers[kind](), None if kind == 'alpha' else photo.icc_profile)
        for kind in outputs.kinds
    }


def matte_bytes(predictor: Predictor, content: bytes, outputs: Outputs) -> dict[str, bytes]:
    """Mattes one picture file that is in memory.

    Args:
      predictor: What computes the alpha.
      content: The bytes of the picture file.
      outputs: Which pictures to make.

    Returns:
      Kind of each picture → the bytes of a PNG file.

    Raises:
      ImageError: The photo cannot be matted.
    """
    photo = load_photo(content, 'standard input')
    try:
        alpha = predictor(photo.pixels)
    except ImageError as error:
        raise ImageError(f'standard input: {error}') from error
    return render(photo, alpha, outputs)


def matte_file(predictor: Predictor, path: Path, target: Path, outputs: Outputs) -> list[Path]:
    """Mattes one photo.

    Args:
      predictor: What computes the alpha.
      path: The photo.
      target: Path of the results without their endings, which are `_alpha.png` and so on.
      outputs: Which pictures to make.

    Returns:
      The files written.

    Raises:
      ImageError: The photo cannot be matted.
      OutputError: The results cannot be written.
    """
    files = [target.with_name(f'{target.name}_{kind}.png') for kind in outputs.kinds]
    for file in files:
        if len(os.fsencode(file.name)) > LONGEST_NAME:
            raise ImageError(f'{path}: the name is too long for that of a result')
    photo = load_photo(path)
    try:
        alpha = predictor(photo.pixels)
    except ImageError as error:
        raise ImageError(f'{path}: {error}') from error
    for file, content in zip(files, render(photo, alpha, outputs).values(), strict=True):
        write_file(file, content)
    return files


def matte_folder(predictor: Predictor, folder: Path, target: Path, outputs: Outputs) -> Summary:
    """Mattes every photo in a folder and below it; a bad one is reported and skipped.

    Each photo gets the alpha that it would get alone. Photos of one network size are done one after
    another, while the next size is compiled. The results lie in the same sub-folders below
    `target`. Progress goes to standard error.

    Args:
      predictor: What computes the alphas.
      folder: The folder of the photos.
      target: The folder of the results; it is not searched for photos.
      outputs: Which pictures to make of each photo.

    Returns:
      Which photos were matted and which were skipped.

    Raises:
      ImageError: The folder cannot be read, or holds no picture.
      OutputError: The results cannot be written, or would lie among the photos.
    """
    start = time.monotonic()
    check_folder(target)
    if os.path.realpath(target) == os.path.realpath(folder):
        raise OutputError(
            f'{target}: expected another folder than that of the photos, or the next run would '
            'take the results for photos'
        )
    paths, others = list_folder(folder, leave_out=target)
    if not paths:
        found = f', only {describe_others(others)}' if others else ''
        raise ImageError(f'{folder}: holds no picture{found}')
    # Two photos may differ in their extension alone; their results then keep it.
    stems = Counter(path.with_suffix('') for path in paths)
    matted: list[Path] = []
    skipped: list[tuple[Path, str]] = []

    def skip(path: Path, error: ImageError) -> None:
        skipped.append((path, str(error)))
        say(f'skipped: {error}')

    def matte(path: Path) -> ImageError | None:
        name = path if stems[path.with_suffix('')] > 1 else path.with_suffix('')
        try:
            matte_file(predictor, path, target / name.relative_to(folder), outputs)
        except ImageError as error:
            return error
        return None

    ordered = _order_by_size(predictor, paths, skip)
    with predictor.preparing(ordered), ThreadPoolExecutor(_THREADS) as pool:
        results = show_progress(
            pool.map(matte, ordered), total=len(ordered), unit='photo', description='matting'
        )
        for path, error in zip(ordered, results, strict=True):
            if error:
                skip(path, error)
            else:
                matted.append(path)
    return Summary(matted, skipped, others, time.monotonic() - start)


def _order_by_size(
    predictor: Predictor, paths: Iterable[Path], skip: Callable[[Path, ImageError], None]
) -> list[Path]:
    """Sorts the photos that can be matted by the size at which the network sees them."""
    sizes = {}
    for path in paths:
        try:
            sizes[path] = predictor.network_size(*read_size(path))
        except ImageError as error:
            skip(path, error if str(path) in str(error) else ImageError(f'{path}: {error}'))
    return sorted(sizes, key=lambda path: (sizes[path], path))
