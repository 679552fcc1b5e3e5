"""How many tensors a network may store in half precision."""

from __future__ import annotations

from collections.abc import Callable


def count_within(count: int, measure: Callable[[int], float], limit: float) -> int:
    """The most tensors, the largest first, that may be rounded within a limit.

    Half precision moves MODNet's alpha by 0.1 in single pixels if its first layers' few thousand
    weights are rounded too; the large layers bear it. A binary search, which assumes that the
    difference grows with the number of tensors.

    Args:
      count: How many there are.
      measure: Function of a number of tensors that gives the largest difference of the network's
        alpha from what it should be.
      limit: The largest difference allowed.
    """
    if measure(count) <= limit:
        return count
    low, high = 0, count
    while high - low > 1:
        middle = (low + high) // 2
        if measure(middle) <= limit:
            low = middle
        else:
            high = middle
    return low
