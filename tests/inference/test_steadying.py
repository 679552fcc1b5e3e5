"""Steadied mattes: what they leave alone, what they take out, and that nothing lags behind."""

import itertools

import numpy as np
import pytest

from mattingjax.errors import MattingError
from mattingjax.inference.steadying import Seen, Steadiness, steady

HEIGHT, WIDTH = 48, 96
DELAY = Steadiness()
FILTER = Steadiness(one_frame_delay=False, smoothing=0.8)
BOTH = Steadiness(smoothing=0.8)
PUBLISHED = Steadiness(threshold=0.1)
NOTHING = Steadiness(one_frame_delay=False)


def plain(values, level=100):
    """Frames of a picture that never changes, with alphas that are constant in each frame."""
    pixels = np.full((HEIGHT, WIDTH, 3), level, np.float32)
    return [Seen(pixels, np.full((HEIGHT, WIDTH), value, np.float32)) for value in values]


def steadied(frames, options):
    numbers, alphas = zip(*steady(enumerate(frames), options), strict=True)
    assert list(numbers) == list(range(len(frames)))
    for alpha, seen in zip(alphas, frames, strict=True):
        assert alpha.dtype == np.float32
        assert alpha.shape == seen.alpha.shape
        assert alpha.min() >= 0
        assert alpha.max() <= 1
    return alphas


def levels(frames, options):
    return [float(alpha[0, 0]) for alpha in steadied(frames, options)]


@pytest.mark.parametrize('options', [NOTHING, DELAY, FILTER, BOTH, PUBLISHED])
@pytest.mark.parametrize('count', [0, 1, 2, 3])
def test_as_many_come_out_as_went_in(options, count):
    frames = plain([0.5] * count)
    assert len(list(steady(enumerate(frames), options))) == count
    if count:
        assert levels(frames, options) == pytest.approx([0.5] * count)


def test_the_published_rule():
    """An outlier becomes the mean of neighbours that agree, by more than 0.1 and within 0.1."""
    values = [0.22, 0.9, 0.3, 0.35, 0.3, 0.8, 0.9, 0.3]
    expected = [0.22, 0.26, 0.3, 0.35, 0.3, 0.8, 0.9, 0.3]
    assert levels(plain(values), PUBLISHED) == pytest.approx(expected)
    # Another threshold: the step of 0.05 is an outlier too.
    expected[3] = 0.3
    finer = Steadiness(threshold=0.04)
    assert levels(plain([0.3, *values[2:]]), finer) == pytest.approx([0.3, *expected[2:]])


def test_where_the_picture_holds_still_alphas_stay_in_the_range_of_their_neighbours():
    values = [0.2, 0.9, 0.3, 0.35, 0.3, 0.8, 0.9, 0.3]
    expected = [0.2, 0.3, 0.35, 0.3, 0.35, 0.8, 0.8, 0.3]  # the medians of three
    assert levels(plain(values), DELAY) == pytest.approx(expected)


@pytest.mark.parametrize('options', [DELAY, PUBLISHED])
def test_what_rises_steadily_does_not_lag(options):
    values = np.linspace(0, 1, 8).tolist()
    assert levels(plain(values), options) == pytest.approx(values)


def test_what_is_seen_for_one_frame_stays():
    """The picture changes with the alpha: something passes. MODNet's rule would erase it."""
    before, there, after = plain([0, 1, 0])
    there = Seen(there.pixels + 24, there.alpha)
    assert levels([before, there, after], DELAY) == [0, 1, 0]
    assert levels([before, there, after], PUBLISHED) == [0, 0, 0]
    assert levels([before, there, after], BOTH) == [0, 1, 0]


def test_the_filter_is_a_running_mean_where_nothing_moves():
    assert levels(plain([0.5, 0.55, 0.55, 0.55]), FILTER) == pytest.approx(
        [0.5, 0.51, 0.518, 0.5244]
    )
    half = Steadiness(one_frame_delay=False, smoothing=0.5)
    assert levels(plain([0.5, 0.6, 0.6]), half) == pytest.approx([0.5, 0.55, 0.575])


def test_the_filter_follows_at_once_what_changes_much_or_moves():
    assert levels(plain([0, 1, 0]), FILTER) == pytest.approx([0, 1, 0])  # the alpha changes
    first, second = plain([0.5, 0.55])
    moved = Seen(second.pixels + 20, second.alpha)
    assert levels([first, moved], FILTER) == pytest.approx([0.5, 0.55])  # the picture does


def test_slow_movements_add_up():
    """A fade of 2 levels a frame is noise between two frames, and none over many."""
    frames = [
        Seen(seen.pixels + 2 * i, seen.alpha)
        for i, seen in enumerate(plain(np.linspace(0.2, 0.8, 31)))
    ]
    lag = [float(s.alpha[0, 0]) - a for s, a in zip(frames, levels(frames, FILTER), strict=True)]
    assert max(lag) < 0.05
    still = plain(np.linspace(0.2, 0.8, 31))
    assert max(s.alpha[0, 0] - a for s, a in zip(still, levels(still, FILTER), strict=True)) > 0.05


@pytest.mark.parametrize('options', [DELAY, FILTER, BOTH])
def test_a_cut_begins_anew(options):
    frames = [*plain([0.2, 0.2]), *plain([0.26, 0.3, 0.3], level=180)]
    expected = [*levels(frames[:2], options), *levels(frames[2:], options)]
    assert levels(frames, options) == expected
    assert expected[2] == pytest.approx(0.26)


@pytest.mark.parametrize('options', [DELAY, FILTER, BOTH, PUBLISHED])
def test_a_change_of_size_begins_anew(options):
    small = [Seen(seen.pixels[:32], seen.alpha[:32]) for seen in plain([0.3, 0.35])]
    assert levels([*plain([0.2, 0.2]), *small], options) == [
        *levels(plain([0.2, 0.2]), options),
        *levels(small, options),
    ]


def moving_bar(width, speed, seed=0):
    """A bar that moves before a still ground: the true alphas, and frames with noisy ones."""
    rng = np.random.default_rng(seed)
    ground = np.kron(rng.uniform(40, 120, (HEIGHT // 8, WIDTH // 8, 3)), np.ones((8, 8, 1)))
    true, frames = [], []
    for left in range(0, WIDTH - width, speed):
        alpha = np.zeros((HEIGHT, WIDTH), np.float32)
        alpha[8:40, left : left + width] = 1
        picture = np.where(alpha[..., None] > 0, [210, 160, 130], ground)
        picture = picture + rng.normal(0, 3, picture.shape)
        noisy = alpha + rng.normal(0, 0.03, alpha.shape)
        if rng.random() < 0.5:  # a flash, as networks have them
            y, x = rng.integers(0, HEIGHT - 10), rng.integers(0, WIDTH - 10)
            noisy[y : y + 10, x : x + 10] = rng.random()
        true.append(alpha)
        frames.append(Seen(picture.astype(np.float32), np.clip(noisy, 0, 1).astype(np.float32)))
    return true, frames


def mean_squares(alphas, true):
    return float(np.mean([np.square(a - b).mean() for a, b in zip(alphas, true, strict=True)]))


@pytest.mark.parametrize(('width', 'speed'), [(24, 2), (24, 8), (5, 8)])
def test_errors_of_moving_things_fall(width, speed):
    """The last is thinner than its step, so each pixel sees it once: MODNet's rule erases it."""
    true, frames = moving_bar(width, speed)
    alone = mean_squares([seen.alpha for seen in frames], true)
    assert mean_squares(steadied(frames, DELAY), true) < 0.9 * alone
    assert mean_squares(steadied(frames, FILTER), true) < 1.0 * alone
    assert mean_squares(steadied(frames, BOTH), true) < 0.9 * alone
    if width < speed:
        assert mean_squares(steadied(frames, PUBLISHED), true) > 2 * alone


def test_no_ghosts_behind_what_moves():
    """Where the bar was and is no longer, alphas differ no more from the truth than they did."""
    true, frames = moving_bar(24, 8)
    pairs = itertools.pairwise(true)
    left = [np.zeros_like(true[0], bool), *((a == 1) & (b == 0) for a, b in pairs)]
    for options in (DELAY, FILTER, BOTH):
        for alpha, seen, where in zip(steadied(frames, options), frames, left, strict=True):
            if where.any():
                assert alpha[where].mean() <= seen.alpha[where].mean() + 0.01


@pytest.mark.parametrize('options', [DELAY, BOTH, PUBLISHED])
def test_it_reads_one_frame_ahead(options):
    read = []

    def frames():
        for i, seen in enumerate(plain([0.5] * 5)):
            read.append(i)
            yield i, seen

    stream = steady(frames(), options)
    for i in range(4):
        assert next(stream)[0] == i
        assert read == list(range(i + 2))
    assert [number for number, _ in stream] == [4]


def test_the_filter_alone_waits_for_nothing():
    read = []
    stream = steady(((read.append(i), seen) for i, seen in enumerate(plain([0.5] * 3))), FILTER)
    next(stream)
    assert read == [0]


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'one_frame_delay': 1}, 'one_frame_delay: expected True or False, got 1'),
        ({'smoothing': 1}, 'smoothing: expected a number from 0 to less than 1, got 1'),
        ({'smoothing': -0.1}, 'smoothing: .* got -0.1'),
        ({'smoothing': float('nan')}, 'smoothing: .* got nan'),
        ({'smoothing': '0.5'}, "smoothing: .* got '0.5'"),
        ({'threshold': 0}, 'threshold: expected a number between 0 and 1, got 0'),
        (
            {'one_frame_delay': False, 'threshold': 0.1},
            'threshold=0.1: needs the one-frame delay',
        ),
    ],
)
def test_impossible_options(arguments, message):
    with pytest.raises(MattingError, match=message):
        Steadiness(**arguments)
