"""The state of a training: one pytree that goes from step to step and is saved as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.traverse_util import flatten_dict, unflatten_dict

from mattingjax.errors import MattingError
from mattingjax.networks import Variables


class TrainState(flax.struct.PyTreeNode):
    """Everything that a step changes.

    Attributes:
      step: The number of steps done, an int32 scalar.
      params: The parameters that are trained, nested dictionaries of float32 arrays.
      frozen: The parameters that are not trained, likewise nested; empty unless some are frozen.
      batch_stats: The running means and variances of batch normalisation.
      opt_state: The state of the optimizer.
      ema: Exponential moving averages of `params` and `batch_stats`, a dictionary with these two
        names; None without averaging.
    """

    step: jax.Array
    params: Any
    frozen: Any
    batch_stats: Any
    opt_state: Any
    ema: Any

    def __repr__(self) -> str:
        count = sum(map(np.size, jax.tree.leaves((self.params, self.frozen))))
        size = sum(getattr(leaf, 'nbytes', 0) for leaf in jax.tree.leaves(self)) / 1e6
        return f'TrainState(step {self.step}, {count:,} parameters, {size:.2f} MB in all)'

    def variables(self, *, averaged: bool = True) -> Variables:
        """Returns the network's `params` and `batch_stats`: the averages if wanted and kept."""
        source = self.ema if averaged and self.ema is not None else self
        params = source['params'] if source is self.ema else self.params
        batch_stats = source['batch_stats'] if source is self.ema else self.batch_stats
        return {'params': join(params, self.frozen), 'batch_stats': batch_stats}


def create_state(
    variables: Variables,
    optimizer: optax.GradientTransformation,
    *,
    freeze: Sequence[str] = (),
    averaged: bool = False,
) -> TrainState:
    """Makes the state before the first step.

    Args:
      variables: The network's `params` and `batch_stats`.
      optimizer: The optimizer that will update the parameters.
      freeze: Patterns of the paths of parameters that are not trained, such as 'backbone/*' or
        '*/bn/*'.
      averaged: Whether moving averages are kept.

    Raises:
      MattingError: A pattern matches no parameter, or no parameter is left to train.
    """
    # Copied, since a step overwrites the memory of the state that it is given.
    variables = jax.tree.map(lambda value: jnp.array(value, jnp.float32), variables)
    params, frozen = split(variables['params'], freeze)
    batch_stats = variables['batch_stats']
    ema = {'params': params, 'batch_stats': batch_stats} if averaged else None
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        frozen=frozen,
        batch_stats=batch_stats,
        opt_state=optimizer.init(params),
        ema=jax.tree.map(jnp.copy, ema),
    )


def split(params: Any, freeze: Sequence[str]) -> tuple[Any, Any]:
    """Splits parameters into those that are trained and those whose path matches a pattern.

    Args:
      params: A network's parameters as nested dictionaries.
      freeze: Patterns of the paths of parameters that are not trained.

    Returns:
      The trained parameters and the frozen ones, each as nested dictionaries.

    Raises:
      MattingError: A pattern matches no parameter, or no parameter is left to train.
    """
    leaves = flatten_dict(params, sep='/')
    for pattern in freeze:
        if not any(fnmatchcase(path, pattern) for path in leaves):
            raise MattingError(f'config.model.freeze: {pattern}: no parameter has such a path')
    frozen = {path for path in leaves if any(fnmatchcase(path, pattern) for pattern in freeze)}
    if len(frozen) == len(leaves):
        raise MattingError(f'config.model.freeze: {", ".join(freeze)}: nothing is left to train')
    trained = {path: leaf for path, leaf in leaves.items() if path not in frozen}
    kept = {path: leaf for path, leaf in leaves.items() if path in frozen}
    return unflatten_dict(trained, sep='/'), unflatten_dict(kept, sep='/')


def join(params: Any, frozen: Any) -> Any:
    """Joins trained and frozen parameters again, which `split` has separated."""
    return unflatten_dict({**flatten_dict(params), **flatten_dict(frozen)})


def frozen_norms(frozen: Any) -> frozenset[str]:
    """Finds the paths of the batch normalisations whose parameters are frozen."""
    paths = flatten_dict(frozen, sep='/')
    return frozenset(path.removesuffix('/scale') for path in paths if path.endswith('/scale'))


def with_frozen(drawn: Variables, loaded: Variables, freeze: Sequence[str]) -> Variables:
    """Puts the frozen parameters of trained variables into variables that were drawn at random.

    Frozen batch normalisations also get their running statistics.

    Args:
      drawn: Random `params` and `batch_stats`.
      loaded: Trained `params` and `batch_stats` of the same network.
      freeze: Patterns of the paths of parameters that are not trained.

    Raises:
      MattingError: A pattern matches no parameter, or no parameter is left to train.
    """
    trained, _ = split(drawn['params'], freeze)
    _, frozen = split(loaded['params'], freeze)
    norms = frozen_norms(frozen)
    batch_stats = flatten_dict(drawn['batch_stats'], sep='/')
    for path, value in flatten_dict(loaded['batch_stats'], sep='/').items():
        if path.rpartition('/')[0] in norms:
            batch_stats[path] = value
    return {'params': join(trained, frozen), 'batch_stats': unflatten_dict(batch_stats, sep='/')}
