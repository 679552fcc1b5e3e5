"""The memory of a training: whether it fits into the machine's, and what is kept for the next step.

What is counted here is needed in any case; more will be, so that what is refused never ran.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import platform
from pathlib import Path

import jax
from ml_collections import ConfigDict

from mattingjax.errors import MattingError
from mattingjax.networks import ModelConfig, variable_shapes
from mattingjax.networks.complexity import measure_complexity

_LIMITS = ('/sys/fs/cgroup/memory.max', '/sys/fs/cgroup/memory/memory.limit_in_bytes')
_EXAMPLE, _PREDICTION = 3 + 4 + 4, 4  # bytes of a pixel: image, alpha, trimap; and of a matte
_ALPHAS = 3 + 4  # of a photo that is validated on
_BATCHES = 3  # on their way to the devices at once; as many more in each worker
_WORKER = 2**27  # bytes of a process that makes batches, at least
_COPIES = 4  # of each parameter: at the start, now, its gradient, and what an optimizer keeps
# Bytes that a network keeps of a pixel for its gradient, ten times those of the widest published
# one: below that it need not be traced, which takes seconds.
_ACTIVATIONS = 10_000

# Of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8


def check_network(network: ModelConfig) -> None:
    """Raises MattingError if the parameters and their gradients cannot fit."""
    parameters = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(variable_shapes(network)))
    _check(
        'config.model.width_multiplier',
        f'{parameters:,} parameters',
        parameters * 4 * _COPIES,
        _device_memory(),
    )


def check_photos(config: ConfigDict, network: ModelConfig, validation: int) -> None:
    """Checks that batches, the processes that make them and the photos of the validation fit.

    Args:
      config: The experiment's settings.
      network: What is trained.
      validation: How many photos there are to validate on.

    Raises:
      MattingError: One of them cannot; its setting is named.
    """
    size, pixels = network.input_size, network.input_size**2
    host = _host_memory()
    batch = config.batch_size // jax.process_count() * pixels
    photos = f'{config.batch_size:,} photos of {size}x{size} pixels'
    _check('config.batch_size', photos, batch * _EXAMPLE * _BATCHES, host)
    if batch * _ACTIVATIONS > _device_memory():
        layers = measure_complexity(network)['layers']
        outputs = sum(
            math.prod(layer['output']) for layer in layers if layer['kind'] != 'batch norm'
        )
        width = 2 if config.dtype == 'bfloat16' else 4
        needed = config.batch_size // jax.process_count() * outputs * width
        _check('config.batch_size', photos, needed, _device_memory())
    workers = config.data.workers
    each = batch * _EXAMPLE * _BATCHES + _WORKER
    _check('config.data.workers', f'{workers:,} processes', workers * each, host)
    chosen = min(validation, config.validation.photos)
    needed = chosen * pixels * (_ALPHAS + _PREDICTION)
    _check('config.validation.photos', f'{chosen:,} photos of {size}x{size} pixels', needed, host)


def _check(setting: str, what: str, needed: float, memory: float) -> None:
    if needed > memory:
        raise MattingError(
            f'{setting}: expected what fits into the {memory / 2**30:,.0f} GiB of memory here, got '
            f'{what}, which take at least {needed / 2**30:,.0f} GiB'
        )


def _device_memory() -> float:
    """Bytes of all devices of this process together; of the machine where they share its own."""
    stats = [device.memory_stats() or {} for device in jax.local_devices()]
    limits = [values.get('bytes_limit', 0) for values in stats]
    return sum(limits) if all(limits) else _host_memory()


def _host_memory() -> float:
    """Bytes that the processes here may use; without an end where the system does not say."""
    sizes = [math.inf]
    with contextlib.suppress(AttributeError, OSError, ValueError):  # as on Windows
        sizes.append(os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE'))
    for file in _LIMITS:  # of a container; 'max' where there is none
        with contextlib.suppress(OSError, ValueError):
            sizes.append(int(Path(file).read_text()))
    return min(sizes)


def keep_freed_memory() -> bool:
    """Has the C library keep the memory that this process frees, for its next allocations.

    XLA:CPU allocates what a step works on anew in every step. glibc gives blocks of that size back
    to the system each time, which then clears every page of them again. For a process that does
    the same all the time, before it starts threads; it stays as large as it ever was.

    Returns:
      Whether the C library is glibc and took the settings; other ones are left alone.
    """
    if platform.libc_ver()[0] != 'glibc':
        return False
    mallopt = ctypes.CDLL(None).mallopt
    settings = {_M_ARENA_MAX: 1, _M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: -1}  # -1: never
    taken = [mallopt(name, value) == 1 for name, value in settings.items()]
    return all(taken)
