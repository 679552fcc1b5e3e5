"""Networks of a few channels, random selections, and a way to run them that compiles quickly."""

import functools
from collections.abc import Callable

import jax
import numpy as np
import pytest
from hypothesis import strategies as st

from mattingjax.networks import apply_model, variable_shapes
from mattingjax.networks.operations import depthwise_conv
from mattingjax.networks.replacement import replace_operations
from mattingjax.pruning import channel_groups


@pytest.fixture(scope='module', autouse=True)
def _all_quickly_compiled(quickly_compiled):
    pass


def photos(count: int = 2, size: int = 64) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, (count, size, size, 3)).astype(np.float32)


def short_graphs():
    """Within it, depthwise convolutions are one operation each, which compiles in less time."""
    return replace_operations({depthwise_conv: depthwise_conv.plain})


def compile_quickly(function: Callable, *arguments) -> Callable:
    """A function compiled for arguments like these; slow to run, but every network is another."""
    with short_graphs():
        return jax.jit(lambda *args: function(*args)).lower(*arguments).compile()


@functools.lru_cache(maxsize=8)
def _compile_network(config, count: int, size: int) -> Callable:
    apply = functools.partial(apply_model, config, auxiliary=True)
    images = jax.ShapeDtypeStruct((count, size, size, 3), np.float32)
    return compile_quickly(apply, variable_shapes(config), images)


def run(config, variables, images) -> dict[str, np.ndarray]:
    """All outputs of a network."""
    compiled = _compile_network(config, *images.shape[:2])
    return {name: np.asarray(value) for name, value in compiled(variables, images).items()}


def choose(group, width: int, rng: np.random.Generator) -> np.ndarray:
    """So many channels of a group, at random; of IBNorm's halves as its rule has it."""
    if not group.is_halved:
        return rng.choice(group.width, width, replace=False)
    middle, first = group.width // 2, width // 2
    second = rng.choice(group.width - middle, width - first, replace=False)
    return np.concatenate([rng.choice(middle, first, replace=False), middle + second])


@st.composite
def selections(draw, config):
    """Keep indices of every group of a network: any number, often one or all."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    keep = {}
    for group in channel_groups(config):
        extreme = rng.choice([group.minimum, group.width])
        width = extreme if rng.random() < 0.3 else rng.integers(group.minimum, group.width + 1)
        keep[group.name] = choose(group, int(width), rng)
    return keep
