import numpy as np
import pytest

from mattingjax import MattingError
from mattingjax.data.alpha_values import (
    GREY,
    MASK,
    AlphaValues,
    Doubt,
    guess_alpha_values,
    parse_alpha_values,
)


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('auto', None),
        ('grey', GREY),
        ('grey:255', AlphaValues(top=255)),
        ('labels:1', MASK),
        ('labels:0', AlphaValues(labels=((0, 1.0),))),
        ('labels:1,2=0.5', AlphaValues(labels=((1, 1.0), (2, 0.5)))),
        ('labels:15,7=.25', AlphaValues(labels=((15, 1.0), (7, 0.25)))),
    ],
)
def test_settings(text, expected):
    assert parse_alpha_values(text) == expected
    if expected:
        assert parse_alpha_values(str(expected)) == expected


@pytest.mark.parametrize(
    'text',
    ['', 'gray', 'grey:', 'grey:0', 'grey:99999', 'labels', 'labels:', 'labels:-1', 'labels:1,1',
     'labels:1=2', 'labels:1=', 'labels:1;2', 'labels:a', 'labels:1,', '1', 'labels:1=nan'],
)  # fmt: skip
def test_what_is_no_setting_is_refused(text):
    with pytest.raises(MattingError, match=f'alpha_values: expected auto, .* got {text!r}'):
        parse_alpha_values(text)


def test_numbers_become_alphas():
    numbers = np.array([[0, 1, 2, 255]], np.uint8)
    np.testing.assert_array_equal(GREY.apply(numbers), numbers.astype(np.float32) / 255)
    np.testing.assert_array_equal(MASK.apply(numbers), [[0, 1, 0, 0]])
    half = parse_alpha_values('labels:1,2=0.5')
    np.testing.assert_array_equal(half.apply(numbers.astype(np.uint16)), [[0, 1, 0.5, 0]])
    np.testing.assert_array_equal(
        AlphaValues(top=255).apply(numbers.astype(float)), GREY.apply(numbers)
    )
    assert GREY.apply(np.float64([[0.5]])).dtype == np.float32
    for wrong in (np.array([[np.nan]]), np.array([[1.5]]), np.array([[-0.1]])):
        with pytest.raises(MattingError, match=r'expected values in \[0, 1\], found'):
            GREY.apply(wrong)


def test_faint_mattes_are_greys():
    """Of many levels, whose brightest are few."""
    x = np.linspace(-1, 1, 200)
    matte = np.maximum(0, 1 - np.hypot(x[:, None], x))
    assert guess_alpha_values((matte * 200).astype(np.uint8)) == GREY
    assert guess_alpha_values((matte * 40000).astype(np.uint16)) == GREY
    saturated = (np.minimum(matte, 0.5) * 200).astype(np.uint8)
    assert guess_alpha_values(saturated) == Doubt.AMBIGUOUS


def test_black_could_be_either():
    black = np.zeros((100, 100), np.uint8)
    assert guess_alpha_values(black) == Doubt.EMPTY
    black[5:9, 5:9] = 1
    assert guess_alpha_values(black) == Doubt.EMPTY
    black[20:60, 20:60] = 1
    assert guess_alpha_values(black) == MASK
