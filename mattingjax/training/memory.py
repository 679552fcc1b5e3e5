"""Whether memory is enough for a training.

The checks count only what is needed in any case, so they never refuse a training that could run.
"""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path

import jax
from ml_collections import ConfigDict

from mattingjax.errors import MattingError
from mattingjax.networks import ModelConfig, variable_shapes
from mattingjax.networks.complexity import measure_complexity

_LIMITS = ('/sys/fs/cgroup/memory.max', '/sys/fs/cgroup/memory/memory.limit_in_bytes')
# Bytes of a pixel.
_EXAMPLE_BYTES = 3 + 4 + 4  # image, alpha and trimap of a training example
_VALIDATION_BYTES = 3 + 4 + 4  # image, alpha and predicted matte of a photo to validate on
# Bytes that a network keeps of a pixel for its gradient, ten times those of the widest published
# one: a network is traced, which takes seconds, only if even that many would not fit.
_ACTIVATION_BYTES = 10_000
_BATCHES = 3  # batches on their way to the devices at once, and as many in each worker
_WORKER_BYTES = 2**27  # the least memory of a worker process
# Each parameter is held four times: at the start, now, as a gradient and by the optimizer.
_COPIES = 4


def check_network(network: ModelConfig) -> None:
    """Raises MattingError if a network's parameters and their gradients cannot fit into memory."""
    parameters = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(variable_shapes(network)))
    _check(
        'config.model.width_multiplier',
        f'{parameters:,} parameters',
        parameters * 4 * _COPIES,
        _device_memory(),
    )


def check_photos(config: ConfigDict, network: ModelConfig, validation: int) -> None:
    """Checks that batches, worker processes and the photos to validate on fit into memory.

    Args:
      config: The settings that `complete_settings` gave.
      network: The network that is trained.
      validation: The number of photos in the dataset to validate on.

    Raises:
      MattingError: Something cannot fit; the message names its setting.
    """
    size, pixels = network.input_size, network.input_size**2
    host = _host_memory()
    batch = config.batch_size // jax.process_count() * pixels
    # With on_device the host makes no batches; its workers only read the photos.
    waiting = 0 if config.data.on_device else batch * _EXAMPLE_BYTES * _BATCHES
    photos = f'{config.batch_size:,} photos of {size}x{size} pixels'
    _check('config.batch_size', photos, waiting, host)
    if batch * _ACTIVATION_BYTES > _device_memory():
        layers = measure_complexity(network)['layers']
        outputs = sum(
            math.prod(layer['output']) for layer in layers if layer['kind'] != 'batch norm'
        )
        width = 2 if config.dtype == 'bfloat16' else 4
        needed = config.batch_size // jax.process_count() * outputs * width
        _check('config.batch_size', photos, needed, _device_memory())
    workers = config.data.workers
    needed = workers * (waiting + _WORKER_BYTES)
    _check('config.data.workers', f'{workers:,} processes', needed, host)
    chosen = min(validation, config.validation.photos)
    needed = chosen * pixels * _VALIDATION_BYTES
    _check('config.validation.photos', f'{chosen:,} photos of {size}x{size} pixels', needed, host)


def photos_limit() -> float:
    """Returns the bytes that photos on the devices may take.

    Each device has a copy, and this process has two while it puts them together.
    """
    return min(_device_memory() / jax.local_device_count(), _host_memory() / 2)


def _check(setting: str, what: str, needed: float, memory: float) -> None:
    if needed > memory:
        raise MattingError(
            f'{setting}: expected what fits into the {memory / 2**30:,.0f} GiB of memory here, got '
            f'{what}, which take at least {needed / 2**30:,.0f} GiB'
        )


def _device_memory() -> float:
    """Sums up the bytes of this process's devices; the machine's where they use its memory."""
    stats = [device.memory_stats() or {} for device in jax.local_devices()]
    limits = [values.get('bytes_limit', 0) for values in stats]
    return sum(limits) if all(limits) else _host_memory()


def _host_memory() -> float:
    """Returns the bytes that processes may use here; infinity where the system does not say."""
    sizes = [math.inf]
    with contextlib.suppress(AttributeError, OSError, ValueError):  # as on Windows
        sizes.append(os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE'))
    for file in _LIMITS:  # the container's limit; 'max', which is no number, if it has none
        with contextlib.suppress(OSError, ValueError):
            sizes.append(int(Path(file).read_text()))
    return min(sizes)
