"""Elements made one after another by Grain, in this process or in others."""

from __future__ import annotations

from typing import Any

from absl import flags

from mattingjax.data.mixtures import import_grain
from mattingjax.data.workers import prepare_worker


def iterate(elements: Any, workers: int) -> Any:
    """Makes the elements of a `grain.MapDataset` one after another, a few of them ahead.

    Args:
      elements: The elements; with workers they come in shared memory (/dev/shm).
      workers: Number of processes that make them; with 0 a thread of this process does.

    Returns:
      An iterator, whose method `close` ends the processes.
    """
    grain = import_grain()
    # With more threads per process, elements beyond the next ones would take up memory.
    reading = grain.ReadOptions(num_threads=1, prefetch_buffer_size=1 if workers else 2)
    made = elements.to_iter_dataset(reading)
    if workers:
        if not flags.FLAGS.is_parsed():
            flags.FLAGS.mark_as_parsed()  # else Grain cannot read its own flags
        processes = grain.multiprocessing.MultiprocessingOptions(workers, 2)
        made = made.mp_prefetch(processes, worker_init_fn=prepare_worker)
    return iter(made)
