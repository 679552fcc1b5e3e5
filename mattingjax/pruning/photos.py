"""Photos as a network takes them: the middle squares, for statistics and gradients."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from mattingjax.data.records import choose_evenly
from mattingjax.errors import MattingError
from mattingjax.images import find_images, load_image, resize
from mattingjax.models import ModelConfig


def choose_photos(folder: Path | str, count: int) -> list[Path]:
    """`count` pictures of a folder at most, evenly chosen.

    Raises:
      MattingError: There is no such folder, or no picture in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise MattingError(f'{folder}: expected a folder of photos')
    photos = find_images(folder)
    if not photos:
        raise MattingError(f'{folder}: holds no picture')
    return [photos[i] for i in choose_evenly(len(photos), count)]


def load_batches(
    config: ModelConfig, photos: Sequence[Path], batch_size: int = 4
) -> Iterator[np.ndarray]:
    """Batches for `recalibrate`.

    Args:
      config: The network.
      photos: Their files.
      batch_size: Photos at once; the last few that fill no batch are left out, unless there is no
        other.

    Yields:
      float32 [N, S, S, 3] in [0, 255].

    Raises:
      ImageError: A file is no picture.
    """
    batch_size = min(batch_size, len(photos)) or 1
    for start in range(0, len(photos) - batch_size + 1, batch_size):
        batch = [load_image(path) for path in photos[start : start + batch_size]]
        squares = [load_square(image, config.input_size) for image in batch]
        yield np.stack(squares).astype(np.float32)


def load_pairs(
    config: ModelConfig, photos: Iterable[Path], alphas: Path
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Photos and their alphas, matched by the files' names without suffix, for `compute_gradients`.

    Args:
      config: The network.
      photos: Their files; those without an alpha are left out.
      alphas: Folder of alphas, grey pictures.

    Yields:
      float32 [1, S, S, 3] in [0, 255] and [1, S, S, 1] in [0, 1].

    Raises:
      MattingError: No photo has an alpha, or two alphas have one name.
    """
    by_stem: dict[str, Path] = {}
    for path in find_images(alphas):
        if (other := by_stem.setdefault(path.stem, path)) != path:
            raise MattingError(f'{path}: has the name of {other}, extensions aside')
    pairs = [(path, by_stem[path.stem]) for path in photos if path.stem in by_stem]
    if not pairs:
        raise MattingError(f'{alphas}: no picture there has the name of a photo')
    for photo, alpha in pairs:
        image = load_square(load_image(photo), config.input_size)
        grey = load_square(load_image(alpha), config.input_size)[..., :1]
        yield image[None].astype(np.float32), grey[None].astype(np.float32) / 255


def load_square(image: np.ndarray, size: int) -> np.ndarray:
    """The middle square of a picture, uint8 [H, W, 3] → [size, size, 3]."""
    side = min(image.shape[:2])
    top, left = ((length - side) // 2 for length in image.shape[:2])
    return resize(image[top : top + side, left : left + side], size, size)
