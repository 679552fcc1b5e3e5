"""Values that texts hold, as users write them in flags and arguments."""

from __future__ import annotations

import re
from fractions import Fraction

# Numbers of more would take for ever: 1e999999999 is one.
_EXACT = re.compile(r'[^e]{1,40}(e[+-]?[0-9]{1,2})?', re.IGNORECASE | re.ASCII)


def whole_number(text: str) -> int | None:
    """Reads a whole number of one to nine decimal digits, without a sign; None if it is not one."""
    return int(text) if re.fullmatch('[0-9]{1,9}', text) else None


def exact_number(text: str) -> Fraction:
    """Reads a number such as 25, 29.97, 1e-3 or 30000/1001 without rounding.

    Args:
      text: The number, of at most 40 characters and an exponent of at most two digits.

    Raises:
      ValueError: It is no such number.
    """
    if not _EXACT.fullmatch(text):
        raise ValueError(f'expected a number of at most 40 characters, got {text!r:.60}')
    try:
        return Fraction(text)
    except ZeroDivisionError as error:
        raise ValueError(f'expected a number, got {text!r}') from error
