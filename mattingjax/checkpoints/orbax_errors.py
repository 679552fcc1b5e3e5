"""Errors of Orbax and TensorStore, which have types and words of their own."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import re
import sys
from collections.abc import Iterator
from typing import Any

from absl.logging import get_absl_logger

from mattingjax.errors import unwrapped

_ORBAX = f'{os.sep}orbax{os.sep}checkpoint{os.sep}'  # in the path of every module of it
_STORE = ' in OCDBT database at '  # in TensorStore's errors


def explain_failure(error: Exception) -> str:
    """An error of Orbax or TensorStore as a part of a line."""
    if found := re.search(r"\[os_error_code='(\d+)'\]", str(error)):
        return os.strerror(int(found[1]))
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    # TensorStore's messages end with the whole request.
    text = str(error).split(' [tensorstore_spec=')[0]
    return f'{type(error).__name__}: {unwrapped(text)}'


@contextlib.contextmanager
def quiet_failures() -> Iterator[None]:
    """Keeps tracebacks of errors from the terminal that are raised as well."""
    _ignore_late_ones()

    def is_wanted(record: logging.LogRecord) -> bool:
        return not (record.exc_info and _ORBAX in record.pathname)

    logger = get_absl_logger()
    logger.addFilter(is_wanted)
    try:
        yield
    finally:
        logger.removeFilter(is_wanted)


@functools.cache
def _ignore_late_ones() -> None:
    """Ignores, from now on, what is told of a failed write when the first error has been raised.

    Where several arrays cannot be written, TensorStore tells all errors but the first to an event
    loop of Orbax's that is closed, or asyncio tells them when their tasks are collected.
    """
    show = sys.unraisablehook

    def show_others(unraisable: Any) -> None:
        trace = unraisable.exc_traceback
        name = trace.tb_frame.f_code.co_name if trace else ''
        is_late = name == 'call_soon_threadsafe' and 'is closed' in str(unraisable.exc_value)
        if unraisable.object is not None or not is_late:
            show(unraisable)

    def is_wanted(record: logging.LogRecord) -> bool:
        said = record.getMessage()
        is_theirs = _ORBAX in said or _STORE in said
        return not (is_theirs and 'exception was never retrieved' in said)

    sys.unraisablehook = show_others
    logging.getLogger('asyncio').addFilter(is_wanted)
