"""Averages of networks that were trained from one another."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import jax

from mattingjax.checkpoints import Checkpoint, hash_checkpoint
from mattingjax.errors import CheckpointError


def average_checkpoints(
    checkpoints: Sequence[Checkpoint], weights: Sequence[float] | None = None
) -> Checkpoint:
    """The weighted mean of every variable, batch statistics included.

    Between a network and the same one after further training, the mean often keeps what the first
    did well and has what the second learned. Networks trained apart have nothing in common: their
    mean is useless.

    Args:
      checkpoints: Two or more networks of one architecture and preprocessing.
      weights: A number of 0 or more for each; they are divided by their sum. If None, all weigh
        the same.

    Returns:
      A checkpoint with the configuration of the last; its provenance lists the weights and the
      hashes of all.

    Raises:
      CheckpointError: There are fewer than two, they are different networks, or the weights are
        too few, negative or all 0.

    References:
      Wortsman et al., Robust Fine-Tuning of Zero-Shot Models (https://arxiv.org/abs/2109.01903).
    """
    weights = [1.0] * len(checkpoints) if weights is None else list(weights)
    if len(checkpoints) < 2:
        raise CheckpointError(f'checkpoints: expected at least two, got {len(checkpoints)}')
    if len(weights) != len(checkpoints):
        raise CheckpointError(f'weights: expected {len(checkpoints)}, got {len(weights)}')
    if not all(0 <= weight < math.inf for weight in weights) or not sum(weights):
        raise CheckpointError(f'weights: expected 0 or more, one of them over 0, got {weights}')
    config = checkpoints[-1].config
    for i, checkpoint in enumerate(checkpoints):
        for name in ('network', 'architecture', 'preprocessing'):
            found, expected = getattr(checkpoint.config, name), getattr(config, name)
            if found != expected:
                raise CheckpointError(
                    f'checkpoint {i + 1}: its {name} is not that of the last: '
                    f'expected {expected}, got {found}'
                )
    shares = [weight / sum(weights) for weight in weights]
    variables = jax.tree.map(
        lambda *leaves: sum(share * leaf for share, leaf in zip(shares, leaves, strict=True)),
        *(checkpoint.variables for checkpoint in checkpoints),
    )
    averaged = [
        {'share': share, 'sha256': hash_checkpoint(checkpoint)}
        for share, checkpoint in zip(shares, checkpoints, strict=True)
    ]
    provenance = config.provenance | {'averaged': averaged}
    return Checkpoint(dataclasses.replace(config, provenance=provenance), variables)
