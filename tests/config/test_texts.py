"""Numbers that people type."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mattingjax.config.texts import exact_number


@pytest.mark.parametrize(
    ('text', 'number'),
    [
        ('25', 25), ('29.97', Fraction(2997, 100)), ('30000/1001', Fraction(30000, 1001)),
        ('-1', -1), ('1e-3', Fraction(1, 1000)), ('1E2', 100), (' 7 ', 7), ('.5', Fraction(1, 2)),
    ],
)  # fmt: skip
def test_exact_numbers(text, number):
    assert exact_number(text) == number


@given(st.fractions(max_denominator=10**9) | st.floats(1e-9, 1e9).map(Fraction.from_float))
def test_numbers_come_back_from_their_texts(number):
    text = str(number)
    if len(text) <= 40:
        assert exact_number(text) == number
    assert exact_number(str(float(number))) == Fraction(str(float(number)))


@pytest.mark.parametrize(
    'text',
    [
        '',
        'x',
        '1/0',
        'nan',
        'inf',
        '1e',
        '1e999999999',
        '1e-999',
        '1/1e999999999',
        '9' * 41,
        '1_' * 30,
    ],
)
def test_what_is_none(text):
    with pytest.raises(ValueError, match=r'number|Invalid'):
        exact_number(text)
