"""Draws synthetic portraits into files, which are faster to read in every epoch than to draw."""

from __future__ import annotations

import functools
import json
import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np

from mattingjax.data.synthetic.portraits import SyntheticPortraits, render_portrait
from mattingjax.data.workers import prepare_worker
from mattingjax.errors import MattingError
from mattingjax.images import encode_png, resize
from mattingjax.images.compositing import composite, cut_out
from mattingjax.images.sheets import make_sheet
from mattingjax.process.files import new_folder, write_file
from mattingjax.process.progress import show_progress

KIND, DESCRIPTION = 'a set of portraits', 'portraits.json'
# Portraits in the overview, down and across, and their side there in pixels.
_ROWS, _COLUMNS, _SIDE = 4, 6, 160


def write_portraits(
    portraits: SyntheticPortraits, output: Path, *, workers: int = 1, overwrite: bool = False
) -> None:
    """Draws portraits into a folder.

    output/cutout/000000.png      the person alone, RGBA; a dataset of kind 'rgba'
    output/background/000000.png  the background, for `data.backgrounds`
    output/portraits.json         count, size, seed and the version of the drawings
    output/overview.png           the first portraits, to be looked at

    Args:
      portraits: The portraits to draw.
      output: The folder to make.
      workers: Number of processes that draw, at least 1. With more than one, a script needs the
        usual `if __name__ == '__main__'`.
      overwrite: Whether an earlier folder of portraits is replaced.

    Raises:
      MattingError: `workers` is less than 1, or a process that drew was killed.
      OutputError: The folder cannot be written, or something else lies there.
    """
    if workers < 1:
        raise MattingError(f'workers: expected at least 1, got {workers}')
    with new_folder(output, KIND, DESCRIPTION, overwrite=overwrite) as folder:
        write = functools.partial(_write, portraits, folder)
        drawn = _map(write, range(len(portraits)), workers)
        drawn = show_progress(drawn, total=len(portraits), unit='portrait', description='drawing')
        small = [picture for picture in drawn if picture is not None]
        sheet = [small[i : i + _COLUMNS] for i in range(0, len(small), _COLUMNS)]
        write_file(folder / 'overview.png', encode_png(make_sheet(sheet)))
        description = {'count': len(portraits), **portraits.describe()}
        write_file(folder / DESCRIPTION, json.dumps(description, indent=2).encode())


def _map(
    function: Callable[[int], np.ndarray | None], indices: Iterable[int], workers: int
) -> Iterator[np.ndarray | None]:
    if workers == 1:
        yield from map(function, indices)
        return
    # Forking is not safe once JAX has started its threads.
    spawn = multiprocessing.get_context('spawn')
    try:
        with ProcessPoolExecutor(workers, spawn, prepare_worker) as pool:
            yield from pool.map(function, indices)
    except BrokenProcessPool as error:
        raise MattingError('a process that drew was killed; fewer workers need less') from error


def _write(portraits: SyntheticPortraits, folder: Path, index: int) -> np.ndarray | None:
    """Draws a portrait into its files, and returns it small if it belongs in the overview."""
    portrait = render_portrait(portraits.seed, index, portraits.size)
    cutout = cut_out(portrait.foreground, portrait.alpha)
    write_file(folder / f'cutout/{index:06d}.png', encode_png(cutout))
    write_file(folder / f'background/{index:06d}.png', encode_png(portrait.background))
    return resize(composite(*portrait), _SIDE, _SIDE) if index < _ROWS * _COLUMNS else None
