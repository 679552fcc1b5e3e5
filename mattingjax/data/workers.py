"""How processes that make photos for another begin and end."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading

import cv2
import jax


def prepare_worker(index: int = 0, count: int = 1) -> None:
    """Runs first in each worker process; the arguments, which Grain gives, are not needed."""
    del index, count
    cv2.setNumThreads(1)
    os.environ['NUMBA_NUM_THREADS'] = '1'
    jax.config.update('jax_platforms', 'cpu')  # The accelerator is the trainer's.
    # Ctrl-C and SIGTERM go to the whole group of processes: the parent decides when to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Workers would outlive a parent that is killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
