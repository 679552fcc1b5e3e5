"""Values that texts hold, as users write them in flags and arguments."""

from __future__ import annotations

import re


def whole_number(text: str) -> int | None:
    """Reads a whole number of one to nine decimal digits, without a sign; None if it is not one."""
    return int(text) if re.fullmatch('[0-9]{1,9}', text) else None
