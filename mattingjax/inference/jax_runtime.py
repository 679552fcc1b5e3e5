"""JAX as a runtime: runs checkpoints, and compiles once per image size."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Any

import jax
import numpy as np

from mattingjax.checkpoints import Checkpoint, hash_checkpoint
from mattingjax.images.preprocessing import check_input_size
from mattingjax.networks import ModelConfig, Variables, apply_compiled


class JaxRuntime:
    """Runs a checkpoint with JAX; compiles once per image size.

    `mattingjax.process.compilation.keep_compiled` makes that once per machine.

    Args:
      checkpoint: The network and its variables.
      input_size: The input size in pixels; the checkpoint's own if None.

    Raises:
      ConfigError: The network cannot have that input size.
    """

    fixed_size: tuple[int, int] | None = None
    resizes = False
    name, precision = 'jax', 'f32'
    compiles = True
    parallel = 1

    def __init__(self, checkpoint: Checkpoint, input_size: int | None = None):
        self.preprocessing = checkpoint.config.preprocessing
        if input_size is not None:
            check_input_size(input_size, self.preprocessing, 'input_size')
        self.input_size = checkpoint.config.input_size if input_size is None else input_size
        self._origin = checkpoint.origin
        self._config: ModelConfig = checkpoint.config
        self._variables = jax.device_put(checkpoint.variables)
        self.device = jax.default_backend().upper()

    def __call__(self, images: np.ndarray) -> np.ndarray:
        images = np.asarray(images, np.float32)
        return np.asarray(self._program(images.shape)(self._variables, images)['alpha'])

    def prepare(self, height: int, width: int) -> None:
        self._program((1, height, width, 3))

    def describe(self) -> dict[str, Any]:
        return {
            'checkpoint': self._origin,
            'name': self._config.network,
            'sha256': hash_checkpoint(Checkpoint(self._config, self._variables)),
            'runtime': 'jax',
            'device': self.device,
            'precision': self.precision,
            'input_size': self.input_size,
        }

    def _program(self, shape: tuple[int, ...]) -> Any:
        return _PROGRAMS.get(self._config, self._variables, shape)


class _Programs:
    """Compiled networks; each is compiled once, however many threads ask for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._futures: dict[tuple[ModelConfig, tuple[int, ...]], Future[Any]] = {}

    def get(self, config: ModelConfig, variables: Variables, shape: tuple[int, ...]) -> Any:
        """A function of variables and images of that shape → what `apply_model` returns."""
        with self._lock:
            future = self._futures.get((config, shape))
            if first := future is None:
                future = self._futures[config, shape] = Future()
        if first:
            try:
                future.set_result(_compile(config, variables, shape))
            except BaseException as error:
                del self._futures[config, shape]  # the next call tries again
                future.set_exception(error)
        return future.result()


_PROGRAMS = _Programs()  # networks of one architecture share theirs: the variables are arguments


def compiler_options() -> dict[str, str | bool]:
    """What XLA is told when it compiles a network that predicts."""
    # LLVM's first level takes two thirds of the time that its default, the third, takes to compile
    # MODNet, and what it makes is as fast. But from JAX 0.8 on, a padding that is fused with what
    # it pads then reads beyond the array, which ends the process where no memory is mapped.
    if jax.default_backend() == 'cpu' and jax.version.__version_info__ < (0, 8):
        return {'xla_backend_optimization_level': '1'}
    return {}


def _compile(config: ModelConfig, variables: Variables, shape: tuple[int, ...]) -> Any:
    images = jax.ShapeDtypeStruct(shape, np.float32)
    return apply_compiled.lower(config, variables, images).compile(compiler_options())
