"""Photos for statistics and gradients: their middle squares, at the network's input size."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from mattingjax.data.folders import open_pairs
from mattingjax.data.records import choose_evenly
from mattingjax.errors import MattingError
from mattingjax.images import find_images, load_srgb, resize
from mattingjax.networks import ModelConfig


def choose_photos(folder: Path | str, count: int) -> list[Path]:
    """Chooses at most `count` pictures of a folder evenly.

    Raises:
      MattingError: The folder does not exist, or holds no picture.
    """
    folder = Path(folder)
    if not os.path.isdir(folder):
        raise MattingError(f'{folder}: expected a folder of photos')
    photos = find_images(folder)
    if not photos:
        raise MattingError(f'{folder}: holds no picture')
    return [photos[i] for i in choose_evenly(len(photos), count)]


def load_batches(
    config: ModelConfig, photos: Sequence[Path], batch_size: int = 4
) -> Iterator[np.ndarray]:
    """Loads photos in batches for `recalibrate`.

    Args:
      config: The network.
      photos: The files of the photos.
      batch_size: The number of photos in a batch. The last photos, which fill no batch, are left
        out; fewer photos than that are one batch.

    Yields:
      Batches, float32 [N, S, S, 3] in [0, 255].

    Raises:
      ImageError: A file is not a picture that can be read.
    """
    batch_size = min(batch_size, len(photos)) or 1
    for start in range(0, len(photos) - batch_size + 1, batch_size):
        batch = [load_srgb(path) for path in photos[start : start + batch_size]]
        squares = [load_square(image, config.input_size) for image in batch]
        yield np.stack(squares).astype(np.float32)


def load_pairs(
    config: ModelConfig, images: Path, alphas: Path, count: int, *, alpha_values: str = 'auto'
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Loads photos and their alphas of the same names for `compute_gradients`.

    Args:
      config: The network.
      images: The folder of the photos; those without an alpha are left out, with a warning.
      alphas: The folder of the alphas.
      count: The largest number of photos; they are chosen evenly.
      alpha_values: What the values in the alphas mean, as
        `mattingjax.data.alpha_values.parse_alpha_values` takes it.

    Yields:
      A photo, float32 [1, S, S, 3] in [0, 255], and its alpha, float32 [1, S, S, 1] in [0, 1].

    Raises:
      MattingError: No photo has an alpha, two files have the same name, a file is damaged, or a
        photo and its alpha differ in size.
    """
    dataset = open_pairs(images, alphas, allow_unmatched=True, alpha_values=alpha_values)
    for index in choose_evenly(len(dataset), count):
        record = dataset[index]
        image = load_square(record['image'], config.input_size)
        alpha = np.clip(load_square(record['alpha'], config.input_size), 0, 1)
        yield image[None].astype(np.float32), alpha[None, ..., None]


def load_square(image: np.ndarray, size: int) -> np.ndarray:
    """Resizes the middle square of a picture, [H, W] or [H, W, C], to `size` pixels a side."""
    side = min(image.shape[:2])
    top, left = ((length - side) // 2 for length in image.shape[:2])
    return resize(image[top : top + side, left : left + side], size, size)
