"""How many tensors a network may store in half precision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

Model = TypeVar('Model')


def compress_within(
    model: Model,
    compress: Callable[[Model, int], tuple[Model, float]],
    count: int,
    measure: Callable[[Model], float],
    limit: float,
) -> tuple[Model, float]:
    """Stores as many of a network's largest tensors in half precision as a limit allows.

    Args:
      model: The network, as `compress` takes it; it is not changed.
      compress: Function of it and a number of tensors to a copy with as many in half precision,
        the largest first, and the share of its weights that they are, in [0, 1].
      count: How many tensors there are.
      measure: Returns the largest difference of a network's alpha from what it should be.
      limit: The largest difference allowed.

    Returns:
      What `compress` returns for the number that was found.
    """
    return compress(
        model, count_within(count, lambda some: measure(compress(model, some)[0]), limit)
    )


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


def share_of_largest(sizes: Sequence[int], count: int) -> float:
    """The share of all weights that the largest tensors have, in [0, 1]; of no weights 0.

    Args:
      sizes: How many weights each tensor has, the largest first.
      count: How many tensors.
    """
    return sum(sizes[:count]) / max(1, sum(sizes))
