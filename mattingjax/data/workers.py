"""The start and end of worker processes that read or draw photos."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading

import cv2
import jax


def prepare_worker(index: int = 0, count: int = 1) -> None:
    """Prepares a worker process; Grain passes the worker's index and their count."""
    del index, count
    cv2.setNumThreads(1)
    jax.config.update('jax_platforms', 'cpu')  # the accelerator belongs to the trainer
    # Ctrl-C and SIGTERM reach the whole process group, but the parent decides when workers end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Ends this worker with its parent, which it would outlive if the parent were killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
