"""Photos with their alphas: from a dataset's folders, or composed of cut-outs and backgrounds."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mattingjax.data.folders import describe_clash
from mattingjax.errors import ImageError, MattingError
from mattingjax.evaluation.datasets import (
    EvaluationDataset,
    create_dataset,
    list_composites,
    list_pairs,
)
from mattingjax.images import name_key


class Sample(NamedTuple):
    """A photo with its alpha, not yet loaded.

    Attributes:
      name: Its name in the index.
      sources: The files it is made of: what each is → its path.
      load: Gives the photo, uint8 [H, W, 3] RGB, and the alpha, float32 [H, W] in [0, 1]; raises
        ImageError where a file is damaged or the two do not fit together.
    """

    name: str
    sources: dict[str, Path]
    load: Callable[[], tuple[np.ndarray, np.ndarray]]


def pair_photos(images: Path, alphas: Path, alpha_values: str = 'auto') -> list[Sample]:
    """See `mattingjax.evaluation.datasets.list_pairs`."""
    return list_samples(create_dataset(list_pairs(images, alphas), alpha_values))


def compose_photos(
    foregrounds: Path, backgrounds: Path, seed: int, alpha_values: str = 'auto'
) -> list[Sample]:
    """See `mattingjax.evaluation.datasets.list_composites`."""
    composites = list_composites(foregrounds, backgrounds, seed)
    return list_samples(create_dataset(composites, alpha_values))


def list_samples(dataset: EvaluationDataset) -> list[Sample]:
    """Records as samples; raises MattingError unless their names can be those of files."""
    seen: dict[str, Path] = {}
    for item in dataset.items:
        path = next(iter(item.files.values()))
        name = name_key(path.stem)
        if name in seen:
            raise MattingError(
                f'{describe_clash(path, seen[name])}; folders do not tell them apart'
            )
        seen[name] = path
    return [
        Sample(name, item.files, functools.partial(_load, dataset, i))
        for i, (name, item) in enumerate(zip(seen, dataset.items, strict=True))
    ]


def _load(dataset: EvaluationDataset, index: int) -> tuple[np.ndarray, np.ndarray]:
    try:
        record = dataset[index]
    except MattingError as error:
        raise ImageError(str(error)) from error
    return record['image'], record['alpha']
