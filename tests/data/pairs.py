"""Folders of photos and their alphas."""

import numpy as np
import pytest

from mattingjax import MattingError
from mattingjax.data.datasets import (
    open_dataset,
)
from tests.data.pictures import picture, save


def save_pairs(images, alphas, names=('a', 'b', 'c')):
    """Lossless images and grey alphas; returns name → (image, alpha as uint8)."""
    written = {}
    for seed, name in enumerate(names):
        image, alpha = picture(seed), picture(seed + 100)[..., 0]
        save(images / f'{name}.png', image)
        save(alphas / f'{name}.png', alpha)
        written[name] = image, alpha
    return written


def check_pairs(dataset, written):
    assert len(dataset) == len(written)
    for record in dataset:
        image, alpha = written[record['name']]
        np.testing.assert_array_equal(record['image'], image)
        assert record['alpha'].dtype == np.float32
        np.testing.assert_array_equal(record['alpha'], alpha.astype(np.float32) / 255)


def fails(*arguments, **options) -> str:
    """The one line that opening this dataset ends in."""
    with pytest.raises(MattingError) as caught:
        open_dataset(*arguments, **options)
    assert '\n' not in str(caught.value)
    return str(caught.value)
