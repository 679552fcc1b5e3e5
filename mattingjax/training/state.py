"""What training carries from step to step: one pytree, saved and restored as a whole."""

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
      step: Steps done, int32.
      params: Those that are trained.
      frozen: Those that are not; empty unless layers are frozen.
      batch_stats: Running means and variances of batch normalisation.
      opt_state: The optimizer's.
      ema: Running averages of `params` and `batch_stats`; None without averaging.
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
        """`params` and `batch_stats` of the network, averaged ones where there are such."""
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
    """The state before the first step.

    Args:
      variables: `params` and `batch_stats`.
      optimizer: What will update the parameters.
      freeze: Patterns of parameters' paths ('backbone/*', '*/bn/*') that stay as they are.
      averaged: Whether running averages are kept.

    Raises:
      MattingError: A pattern matches nothing, or nothing is left to train.
    """
    # Copies: steps are given the state's memory to overwrite.
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
    """Parameters that are trained, and those whose path matches a pattern.

    Raises:
      MattingError: A pattern matches nothing, or nothing is left.
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
    """Undoes `split`."""
    return unflatten_dict({**flatten_dict(params), **flatten_dict(frozen)})


def frozen_norms(frozen: Any) -> frozenset[str]:
    """Paths of the batch normalisations whose parameters are frozen."""
    paths = flatten_dict(frozen, sep='/')
    return frozenset(path.removesuffix('/scale') for path in paths if path.endswith('/scale'))


def with_frozen(drawn: Variables, loaded: Variables, freeze: Sequence[str]) -> Variables:
    """`drawn`, but what stays frozen is that of `loaded`: nothing would train it.

    Normalisations come with their statistics.

    Args:
      drawn: `params` and `batch_stats`.
      loaded: The same of the same network.
      freeze: As in `create_state`.

    Raises:
      MattingError: As `split` does.
    """
    trained, _ = split(drawn['params'], freeze)
    _, frozen = split(loaded['params'], freeze)
    norms = frozen_norms(frozen)
    batch_stats = flatten_dict(drawn['batch_stats'], sep='/')
    for path, value in flatten_dict(loaded['batch_stats'], sep='/').items():
        if path.rpartition('/')[0] in norms:
            batch_stats[path] = value
    return {'params': join(trained, frozen), 'batch_stats': unflatten_dict(batch_stats, sep='/')}
