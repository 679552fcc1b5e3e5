"""Random numbers inside of a compiled program."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

_AT_ONCE = 64  # scalars are drawn together: a generator for each would take long to compile


class Draws:
    """A sequence of random numbers that one key determines, as a NumPy generator is by its seed.

    The numbers depend on the order of the calls, which a program has once and for all when it is
    traced. Scalars are float32 or made of one, so that they have 2²³ values.

    Args:
      key: A key of `jax.random`.
    """

    def __init__(self, key: jax.Array):
        self._key, self._count = key, 0
        self._scalars: list[jax.Array] = []

    def uniform(self, low: float | jax.Array, high: float | jax.Array) -> jax.Array:
        """Draws a number from `low` to `high`."""
        if not self._scalars:
            self._scalars = list(jax.random.uniform(self._next(), (_AT_ONCE,)))
        return low + (high - low) * self._scalars.pop()

    def uniforms(self, low: float, high: float, count: int) -> jax.Array:
        """Draws so many numbers from `low` to `high`: float32 [count]."""
        return jnp.stack([self.uniform(low, high) for _ in range(count)])

    def log_uniform(self, low: float, high: float) -> jax.Array:
        """Draws a number from `low` to `high`, both over 0, its logarithm uniformly."""
        return jnp.exp(self.uniform(math.log(low), math.log(high)))

    def integer(self, low: int, high: int | jax.Array) -> jax.Array:
        """Draws an int32 number from `low` to `high`, both included."""
        number = jnp.floor(self.uniform(low, high + 1.0)).astype(jnp.int32)
        return jnp.minimum(number, high)  # the sum may have been rounded up

    def chance(self, probability: float) -> jax.Array:
        """Draws True with some probability, in [0, 1]."""
        return self.uniform(0, 1) < probability

    def normal(self, shape: tuple[int, ...] = ()) -> jax.Array:
        """Draws float32 numbers of mean 0 and standard deviation 1."""
        return jax.random.normal(self._next(), shape)

    def _next(self) -> jax.Array:
        self._count += 1
        return jax.random.fold_in(self._key, self._count)
