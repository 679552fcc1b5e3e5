"""Flicker of alphas where the video holds still."""

import math

import numpy as np
import pytest

from mattingjax.errors import ImageError, MattingError
from mattingjax.evaluation.metrics.flicker import Flicker, still_pixels

SIZE = 20, 30


def photo(level):
    return np.full((*SIZE, 3), level, np.uint8)


def alpha(value):
    return np.full(SIZE, value, np.float32)


def test_only_still_pixels_count():
    before, after = photo(100), photo(100)
    after[:, 15:] = 160
    first, second = alpha(0.5), alpha(0.5)
    second[:, :13] += 0.1  # still
    second[:, 15:] = 1  # moves
    flicker = Flicker()
    assert all(map(math.isnan, flicker.add(before, {'a': first, 'b': first}).values()))
    values = flicker.add(after, {'a': second, 'b': first})
    # The means over 5×5 pixels reach two pixels further than the movement.
    assert values == pytest.approx({'a': 0.1, 'b': 0})
    assert flicker.values == pytest.approx(values)


def test_every_still_pixel_of_the_video_weighs_the_same():
    flicker = Flicker()
    flicker.add(photo(0), {'a': alpha(0)})
    flicker.add(photo(0), {'a': alpha(0.2)})  # all pixels
    half = photo(0)
    half[:, 17:] = 255
    assert flicker.add(half, {'a': alpha(0.8)})['a'] == pytest.approx(0.6)  # 15 columns of 30
    assert flicker.values['a'] == pytest.approx((2 * 0.2 + 0.6) / 3)


@pytest.mark.parametrize(('change', 'is_still'), [(3, True), (4, False), (-3, True), (-4, False)])
def test_noise_is_up_to_three_levels_of_any_channel(change, is_still):
    after = photo(100)
    after[..., 2] += np.uint8(change % 256)
    assert still_pixels(photo(100), after).all() == is_still
    assert still_pixels(photo(100), after).any() == is_still


def test_noise_of_single_pixels_is_averaged():
    rng = np.random.default_rng(0)
    noisy = [np.uint8(100 + rng.normal(0, 4, (*SIZE, 3)).round()) for _ in range(2)]
    assert still_pixels(*noisy).mean() > 0.9
    assert (np.abs(noisy[0].astype(int) - noisy[1]).max(axis=-1) > 3).mean() > 0.7


def test_nothing_is_known_where_nothing_holds_still():
    flicker = Flicker()
    assert flicker.values == {}
    flicker.add(photo(0), {'a': alpha(0)})
    assert math.isnan(flicker.add(photo(200), {'a': alpha(1)})['a'])
    assert math.isnan(flicker.values['a'])


def test_frames_that_do_not_fit():
    flicker = Flicker()
    with pytest.raises(
        MattingError, match=r"a: expected the photo's shape \[20, 30\], got \[20, 29\]"
    ):
        flicker.add(photo(0), {'a': alpha(0)[:, 1:]})
    with pytest.raises(MattingError, match=r'a: expected values in \[0, 1\]'):
        flicker.add(photo(0), {'a': alpha(2)})
    with pytest.raises(MattingError, match=r'photo: expected the shape of the one before'):
        still_pixels(photo(0), photo(0)[1:])
    with pytest.raises(ImageError, match='before: expected a uint8 array'):
        still_pixels(alpha(0), photo(0))
