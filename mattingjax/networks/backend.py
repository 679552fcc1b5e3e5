"""What JAX computes on: whether there is any of it."""

from __future__ import annotations

import os

import jax

from mattingjax.errors import ConfigError


def check_backend() -> None:
    """Raises ConfigError where JAX has nothing to compute on; costs nothing from the second time.

    Everything that asks JAX for the first time would raise an error of its own, of a type that
    depends on JAX's version.
    """
    try:
        jax.devices()
    except Exception as error:  # RuntimeError, AssertionError
        asked = jax.config.values.get('jax_platforms') or os.environ.get('JAX_PLATFORMS')
        if asked:
            wanted = f'JAX_PLATFORMS={asked} asks for what is not installed or does not start here'
        else:
            wanted = 'it finds no device that starts'
        said = f'; JAX says: {" ".join(str(error).split())}' if str(error) else ''
        raise ConfigError(
            f'JAX has no backend: {wanted}; JAX_PLATFORMS=cpu always works{said:.150}'
        ) from error
