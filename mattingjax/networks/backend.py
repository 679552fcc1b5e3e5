"""A check that JAX has a backend to compute on."""

from __future__ import annotations

import os

import jax

from mattingjax.errors import ConfigError


def check_backend() -> None:
    """Raises ConfigError if JAX has no backend; calls after the first cost next to nothing.

    Without this check the first use of JAX would fail with an error whose type depends on the
    version of JAX.
    """
    try:
        jax.devices()
    except Exception as error:  # RuntimeError or AssertionError, by version
        asked = jax.config.values.get('jax_platforms') or os.environ.get('JAX_PLATFORMS')
        if asked:
            wanted = f'JAX_PLATFORMS={asked} asks for what is not installed or does not start here'
        else:
            wanted = 'it finds no device that starts'
        said = f'; JAX says: {" ".join(str(error).split())}' if str(error) else ''
        raise ConfigError(
            f'JAX has no backend: {wanted}; JAX_PLATFORMS=cpu always works{said:.150}'
        ) from error
