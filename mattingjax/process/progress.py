"""Progress on standard error: a bar in a terminal, now and then a line elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any, Self

import tqdm

SECONDS_PER_LINE = 10.0  # without a terminal: a log should have few lines
_is_quiet = False


def show_progress(
    iterable: Iterable[Any] | None = None,
    *,
    total: int | None = None,
    initial: int = 0,
    unit: str,
    description: str | None = None,
) -> Any:
    """Shows progress while the result is iterated over, or whenever its `update` is called.

    In a terminal this is tqdm's bar. Elsewhere it is a plain line every ten seconds and one at the
    end; nothing is shown of what takes less time.

    Args:
      iterable: The items to go through; without it, `update` counts.
      total: The number of items, if `iterable` has no length.
      initial: The number of items that were done before.
      unit: What one item is called.
      description: What is done to the items.

    Returns:
      An iterable and a context with the methods `update`, `set_postfix` and `set_description_str`
      of `tqdm.tqdm`.
    """
    if total is None and hasattr(iterable, '__len__'):
        total = len(iterable)  # type: ignore[arg-type]
    has_bar = sys.stderr is not None and sys.stderr.isatty() and not _is_quiet
    kind = tqdm.tqdm if has_bar else _Lines
    return kind(
        iterable,
        total=total,
        initial=initial,
        unit=unit,
        desc=description,
        dynamic_ncols=True,
        file=sys.stderr,
    )


def be_quiet() -> None:
    """Has this process show and say nothing from now on: another one of its job does."""
    global _is_quiet
    _is_quiet = True


def say(text: str) -> None:
    """Writes a line to standard error, if anybody reads it, above the bar if there is one."""
    if _is_quiet:
        return
    with contextlib.suppress(BrokenPipeError):
        tqdm.tqdm.write(text, file=sys.stderr)


@contextlib.contextmanager
def announced(what: str, done: str) -> Iterator[None]:
    """Says what the block begins to do, and then how long it took.

    Args:
      what: What the block does, such as 'compiling'.
      done: What it has done, such as 'compiled'.
    """
    say(f'{what} ...')
    start = time.monotonic()
    yield
    say(f'{done} in {time.monotonic() - start:.0f} s')


class _Lines:
    """The part of `tqdm.tqdm` that is used here, with lines instead of a bar."""

    def __init__(
        self,
        iterable: Iterable[Any] | None,
        *,
        total: int | None,
        initial: int,
        unit: str,
        desc: str | None,
        **_: object,
    ) -> None:
        self._iterable = iterable
        self._total, self._initial, self._unit, self._description = total, initial, unit, desc
        self._done = initial
        self._postfix = ''
        self._start = self._last = time.monotonic()
        self._written: int | None = None

    def __iter__(self) -> Iterator[Any]:
        assert self._iterable is not None
        for item in self._iterable:
            yield item
            self.update()
        self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        if kind is None:
            self._end()

    def update(self, count: int = 1) -> None:
        """Adds to the number of items that are done."""
        self._done += count
        if time.monotonic() - self._last >= SECONDS_PER_LINE:
            self._write()

    def set_postfix(self, values: dict[str, str], **_: object) -> None:
        """Sets what lines end with."""
        self._postfix = ', '.join(f'{name}={value}' for name, value in values.items())

    def set_description_str(self, text: str) -> None:
        """Sets what lines begin with."""
        self._description = text

    def _end(self) -> None:
        if self._written not in (None, self._done):
            self._write()

    def _write(self) -> None:
        self._last, self._written = time.monotonic(), self._done
        line = tqdm.tqdm.format_meter(
            self._done,
            self._total,
            self._last - self._start,
            initial=self._initial,
            unit=self._unit,
            prefix=f'{self._description}: ' if self._description else '',
            postfix=self._postfix,
            bar_format='{desc}{n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}{postfix}]',
        )
        say(line)
