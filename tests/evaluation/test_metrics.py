import math

import numpy as np
import pytest

from mattingjax.errors import MattingError
from mattingjax.evaluation.metrics import (
    compute_metrics,
    compute_region_metrics,
    connectivity_error,
    gradient_error,
    mad,
    mean_gradient_error,
    mse,
    sad,
)

NAMES = ['mad', 'mse', 'sad', 'gradient', 'mean_gradient', 'connectivity']
METRICS = [mad, mse, sad, gradient_error, mean_gradient_error, connectivity_error]
ALPHA = np.full((9, 10), 0.5)


@pytest.fixture(scope='module')
def alphas():
    """A blurred disc, and a prediction with noise, a hole and an island."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:24, :30]
    true = np.clip((10 - np.hypot(y - 11, x - 13)) / 5, 0, 1)
    pred = np.clip(true + rng.normal(0, 0.08, true.shape), 0, 1)
    pred[10:13, 12:14] = 0.2
    pred[2:6, 26:29] = 0.9
    return pred, true


def filter_weights(u, v):
    """An unscaled derivative of a Gaussian along u."""
    return -u * math.exp(-(u * u + v * v) / (2 * 1.4**2))


def slow_gradient(alpha, scale):
    """Both derivatives at every pixel, straight from the definition, the border replicated."""
    height, width = alpha.shape
    gradient = np.zeros((2, height, width))
    for i in range(height):
        for j in range(width):
            for u in range(-4, 5):
                for v in range(-4, 5):
                    value = alpha[min(max(i - u, 0), height - 1), min(max(j - v, 0), width - 1)]
                    gradient[0, i, j] += scale * filter_weights(u, v) * value
                    gradient[1, i, j] += scale * filter_weights(v, u) * value
    return gradient


def slow_components(mask):
    """4-connected components as lists of pixels, in reading order of their first one."""
    left = {(int(i), int(j)) for i, j in np.argwhere(mask)}
    components = []
    for start in sorted(left):
        if start not in left:
            continue
        left.remove(start)
        component = [start]
        for i, j in component:
            for neighbour in ((i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)):
                if neighbour in left:
                    left.remove(neighbour)
                    component.append(neighbour)
        components.append(component)
    return components


def slow_connectivity(pred, true):
    """Of alphas in whole twentieths, where every comparison is exact; the sum in twentieths."""
    level = np.full(pred.shape, -1)
    for step in range(2, 21, 2):
        components = slow_components((pred >= step) & (true >= step))
        largest = max(components, key=len, default=[])
        for pixel in np.ndindex(pred.shape):
            if pixel not in largest and level[pixel] == -1:
                level[pixel] = step - 2
    level[level == -1] = 20
    total = 0
    for pixel in np.ndindex(pred.shape):
        pred_d, true_d = pred[pixel] - level[pixel], true[pixel] - level[pixel]
        total += abs((pred_d if pred_d >= 3 else 0) - (true_d if true_d >= 3 else 0))
    return total


def test_pixelwise_by_hand():
    pred = np.array([[0.5, 0.25], [1.0, 0.0]])
    true = np.array([[0.0, 0.25], [0.0, 0.5]])
    assert mad(pred, true) == 0.5
    assert mse(pred, true) == 0.375
    assert sad(pred, true) == 0.002
    region = np.array([[True, True], [False, False]])
    assert mad(pred, true, region=region) == 0.25
    assert mse(pred, true, region=region) == 0.125
    assert sad(pred, true, region=region) == 0.0005


def test_mmnet_reference(shared):
    with np.load(shared / 'reference/losses/mmnet_losses.npz') as file:
        logits, masks = file['logits'].astype(np.float64), file['masks']
        expected_gradient, expected_mad = float(file['gradient_error']), float(file['mad'])
    pred = 1 / (1 + np.exp(logits[..., 0] - logits[..., 1]))
    errors = [mean_gradient_error(*pair) for pair in zip(pred, masks, strict=True)]
    assert np.mean(errors) == pytest.approx(expected_gradient, rel=1e-5)
    mads = [mad(*pair) for pair in zip(pred, masks, strict=True)]
    assert np.mean(mads) == pytest.approx(expected_mad, rel=1e-5)


@pytest.mark.parametrize('shape', [(3, 5), (11, 13)])
def test_gradient_error_is_its_definition(shape):
    pred, true = np.random.default_rng(0).uniform(0.2, 0.9, (2, *shape))
    square = [(u, v) for u in range(-4, 5) for v in range(-4, 5)]
    scale = 1 / math.sqrt(sum(filter_weights(*at) ** 2 for at in square))
    magnitudes = [
        np.sqrt((slow_gradient((a - a.min()) / (a.max() - a.min()), scale) ** 2).sum(0))
        for a in (pred, true)
    ]
    expected = ((magnitudes[0] - magnitudes[1]) ** 2).sum() / 1000
    assert gradient_error(pred, true) == pytest.approx(expected, rel=1e-9)


def test_mean_gradient_error_is_its_definition():
    pred, true = np.random.default_rng(1).uniform(0, 1, (2, 11, 13))
    gaussian = sum(
        math.exp(-(u * u + v * v) / (2 * 1.4**2)) for u in range(-4, 5) for v in range(-4, 5)
    )
    difference = [slow_gradient(a, 1 / (1.4**2 * gaussian))[:, 4:-4, 4:-4] for a in (pred, true)]
    expected = np.sqrt(((difference[0] - difference[1]) ** 2).sum(0)).mean()
    assert mean_gradient_error(pred, true) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
@pytest.mark.parametrize('seed', range(6))
def test_connectivity_error_is_its_definition(seed, dtype):
    # Twentieths meet every step and the threshold exactly, in real numbers if not in binary ones.
    rng = np.random.default_rng(seed)
    true = np.clip(rng.integers(0, 40, (9, 11)), 0, 20)
    pred = np.where(rng.random(true.shape) < 0.5, true, rng.integers(0, 21, true.shape))
    expected = slow_connectivity(pred, true) / 20 / 1000
    assert expected > 0
    result = connectivity_error((pred / 20).astype(dtype), (true / 20).astype(dtype))
    assert result == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ('pred', 'true', 'expected'),
    [
        ([1, 1, 1, 0, 0], [1, 1, 1, 0, 1], 1),  # an island that is missing
        ([1, 1, 0, 1, 1], [1, 1, 1, 1, 1], 1),  # a cut: the second half hangs in both
        ([0, 0, 0, 0, 0], [1, 1, 1, 1, 1], 5),  # nothing in common
        ([0, 0, 0, 0, 0], [0, 0, 0, 0, 0], 0),
        ([0.5] * 5, [0.7] * 5, 1),  # constant: connected up to 0.5, then 0.2 off
        ([0.5] * 5, [0.6] * 5, 0),  # 0.1 is tolerated
    ],
)
def test_connectivity_by_hand(pred, true, expected):
    arrays = np.array([pred], float), np.array([true], float)
    assert connectivity_error(*arrays) == pytest.approx(expected / 1000)


def test_compute_metrics(alphas):
    region = np.random.default_rng(0).random(alphas[0].shape) < 0.5
    values = compute_metrics(*alphas, region=region)
    assert list(values) == NAMES
    for metric, value in zip(METRICS, values.values(), strict=True):
        assert type(value) is float
        assert value == metric(*alphas, region=region) > 0
        assert value != metric(*alphas)


def test_perfect_prediction(alphas):
    for alpha in (*alphas, np.zeros((9, 9)), np.ones((9, 9))):
        assert set(compute_metrics(alpha, alpha).values()) == {0}


def test_neither_order_nor_orientation_matters(alphas):
    pred, true = alphas
    expected = pytest.approx(compute_metrics(pred, true))
    assert compute_metrics(true, pred) == expected
    assert compute_metrics(pred.T, true.T) == expected
    assert compute_metrics(pred[::-1], true[::-1]) == expected


def test_region_takes_part_of_the_same_errors(alphas):
    part = np.random.default_rng(1).random(alphas[0].shape) < 0.3
    whole, inside, outside = (
        compute_metrics(*alphas, region=region) for region in (None, part, ~part)
    )
    for name in ('sad', 'gradient', 'connectivity'):
        assert inside[name] + outside[name] == pytest.approx(whole[name])
    for name in ('mad', 'mse', 'mean_gradient'):
        share = (part[4:-4, 4:-4] if name == 'mean_gradient' else part).mean()
        mean = share * inside[name] + (1 - share) * outside[name]
        assert mean == pytest.approx(whole[name])
    assert compute_metrics(*alphas, region=np.ones_like(part)) == whole


def test_gradient_error_stretches(alphas):
    _, true = alphas
    assert gradient_error(true / 2 + 0.1, true) == pytest.approx(0, abs=1e-12)
    assert gradient_error(np.full_like(true, 0.3), np.full_like(true, 0.8)) == 0


@pytest.mark.parametrize('dtype', [np.float16, np.float32])
def test_narrow_types_are_computed_in_float64(alphas, dtype):
    narrow = [alpha.astype(dtype) for alpha in alphas]
    assert compute_metrics(*narrow) == compute_metrics(*(a.astype(np.float64) for a in narrow))


def test_range_is_strict_up_to_rounding():
    assert mad(ALPHA + 0.5 + 5e-7, ALPHA - 0.5 - 5e-7) == 1
    with pytest.raises(MattingError, match=r'pred_alpha: .* from 0.5 to 1.00001$'):
        mad(np.array([[0.5, 1.00001]]), np.array([[0.5, 1]]))


@pytest.mark.parametrize('metric', [*METRICS, compute_metrics])
@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'pred_alpha': ALPHA[None]}, 'pred_alpha: expected shape [H, W], got [1, 9, 10]'),
        ({'true_alpha': ALPHA[:0]}, 'true_alpha: expected shape [H, W], got [0, 10]'),
        (
            {'true_alpha': ALPHA.T},
            "true_alpha: expected pred_alpha's shape [9, 10], got [10, 9]",
        ),
        (
            {'pred_alpha': np.zeros((9, 10), np.uint8)},
            'pred_alpha: expected a floating-point array, got uint8',
        ),
        ({'true_alpha': [[0.5]]}, 'true_alpha: expected a floating-point array, got list'),
        (
            {'pred_alpha': ALPHA * 255},
            'pred_alpha: expected values in [0, 1], got values from 127.5 to 127.5',
        ),
        (
            {'true_alpha': ALPHA - 0.75},
            'true_alpha: expected values in [0, 1], got values from -0.25 to -0.25',
        ),
        (
            {'true_alpha': ALPHA * np.nan},
            'true_alpha: expected values in [0, 1], got values from nan to nan',
        ),
        ({'pred_alpha': ALPHA + np.inf}, 'expected values in [0, 1], got values from inf to inf'),
        ({'region': ALPHA}, 'region: expected a bool array, got float64'),
        ({'region': ALPHA[1:] > 0}, "region: expected the alphas' shape [9, 10], got [8, 10]"),
        ({'region': ALPHA < 0}, 'region: expected at least one pixel that counts, got none'),
    ],
)
def test_bad_input(metric, change, message):
    arguments = {'pred_alpha': ALPHA, 'true_alpha': ALPHA, **change}
    with pytest.raises(MattingError) as caught:
        metric(**arguments)
    assert message in str(caught.value)


def test_too_small_for_the_mean_gradient(alphas):
    message = 'pred_alpha: expected at least 9×9 pixels, got shape [8, 10]'
    with pytest.raises(MattingError) as caught:
        mean_gradient_error(ALPHA[1:], ALPHA[1:])
    assert message in str(caught.value)
    border = np.ones(alphas[0].shape, bool)
    border[4:-4, 4:-4] = False
    with pytest.raises(MattingError, match='region: expected a pixel at least 4 away'):
        mean_gradient_error(*alphas, region=border)


def test_regions_at_once_are_the_regions_one_by_one(alphas):
    part = np.random.default_rng(2).random(alphas[0].shape) < 0.4
    border = np.ones_like(part)
    border[4:-4, 4:-4] = False
    regions = {'all': None, 'part': part, 'border': border, 'none': np.zeros_like(part)}
    values = compute_region_metrics(*alphas, regions)
    assert list(values) == list(regions)
    assert values['all'] == compute_metrics(*alphas)
    assert values['part'] == compute_metrics(*alphas, region=part)
    assert list(values['none']) == NAMES
    assert all(map(math.isnan, values['none'].values()))
    assert math.isnan(values['border'].pop('mean_gradient'))
    assert not any(map(math.isnan, values['border'].values()))
    with pytest.raises(MattingError, match="region: expected the alphas' shape"):
        compute_region_metrics(*alphas, {'part': part.T})


def test_some_metrics_alone(alphas):
    everything = compute_metrics(*alphas)
    chosen = compute_metrics(*alphas, metrics=('sad', 'mad'))
    assert list(chosen.items()) == [('sad', everything['sad']), ('mad', everything['mad'])]
    assert compute_region_metrics(*alphas, {'all': None}, ['mse'])['all'] == {
        'mse': everything['mse']
    }
    for names, found in ((['mad', 'psnr'], "'psnr'"), ([], 'none')):
        with pytest.raises(MattingError, match=f'metrics: expected some of mad, .* got {found}'):
            compute_metrics(*alphas, metrics=names)
