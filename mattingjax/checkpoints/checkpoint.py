"""A network and its variables, together."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import warnings

import flax.traverse_util
import jax
import numpy as np

from mattingjax.errors import CheckpointError
from mattingjax.networks import ModelConfig, Variables, apply_compiled, check_size


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Checkpoint:
    """A network and its variables.

    Attributes:
      config: The network: everything needed to build and feed it.
      variables: `params` and `batch_stats`, as NumPy or JAX arrays.
      origin: The path or name that it was loaded from; empty if it was made in memory.
    """

    config: ModelConfig
    variables: Variables
    origin: str = ''

    def __repr__(self) -> str:
        parameters = sum(map(np.size, jax.tree.leaves(self.variables.get('params'))))
        size = sum(leaf.nbytes for leaf in jax.tree.leaves(self.variables)) / 1e6
        origin = f', from {self.origin}' if self.origin else ''
        return (
            f'Checkpoint({self.config.network}, input size {self.config.input_size}, '
            f'{parameters:,} parameters, {size:.2f} MB of variables{origin})'
        )

    def apply(self, images: jax.Array | np.ndarray) -> dict[str, jax.Array]:
        """Runs the network in inference mode, every head included; compiled once per shape.

        Args:
          images: [N, H, W, 3] RGB, float32 in [0, 255]; H and W are multiples of the network's
            stride, `config.preprocessing.multiple_of`. A warning tells of floating-point images
            that were scaled already, all in [0, 1] or with negative values; they are not changed.

        Returns:
          `alpha` [N, H, W, 1] in [0, 1]. MODNet also `semantic` [N, H/16, W/16, 1] and `detail`
          [N, H, W, 1], in [0, 1]; MMNet and DeepLab also `logits` [N, H, W, 2], MMNet
          `aux_logits` [N, H/16, W/16, 2].

        Raises:
          CheckpointError: `images` has another type or shape.
          ConfigError: H or W is no multiple of the network's stride.
        """
        if not isinstance(images, np.ndarray | jax.Array) or images.dtype.kind not in 'fiu':
            found = getattr(images, 'dtype', type(images).__name__)
            raise CheckpointError(f'images: expected an array of numbers in [0, 255], got {found}')
        if images.ndim != 4 or images.shape[-1] != 3:
            raise CheckpointError(f'images: expected shape [N, H, W, 3], got {images.shape}')
        check_size(self.config, images.shape[1], images.shape[2], where='images')
        _warn_of_range(images)
        return apply_compiled(self.config, self.variables, images, auxiliary=True)


def _warn_of_range(images: jax.Array | np.ndarray) -> None:
    """Warns of photos that were scaled already; values are unknown while JAX traces."""
    if isinstance(images, jax.core.Tracer) or images.dtype.kind != 'f' or not images.size:
        return
    least, most = float(images.min()), float(images.max())
    if least < 0 or 0 < most <= 1:
        warnings.warn(
            f'images: expected values in [0, 255], found {least:g} to {most:g}; photos in [0, 1] '
            'must be multiplied by 255, as the network scales them itself',
            stacklevel=3,
        )


def hash_checkpoint(checkpoint: Checkpoint) -> str:
    """SHA-256 of an architecture and its variables, however they are stored."""
    digest = hashlib.sha256(
        json.dumps(checkpoint.config.architecture.to_dict(), sort_keys=True).encode()
    )
    for path, value in sorted(
        flax.traverse_util.flatten_dict(checkpoint.variables, sep='/').items()
    ):
        digest.update(path.encode())
        digest.update(np.ascontiguousarray(value, '<f4').tobytes())
    return digest.hexdigest()
