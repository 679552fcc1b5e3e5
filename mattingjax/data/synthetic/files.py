"""Synthetic portraits as files, drawn once and read in every epoch."""

from __future__ import annotations

import functools
import multiprocessing
from pathlib import Path

import numpy as np
import tqdm

from mattingjax.compositing import composite, cut_out, make_sheet
from mattingjax.data.synthetic.portraits import SyntheticPortraits, render_portrait
from mattingjax.errors import MattingError
from mattingjax.files import new_folder, write_file
from mattingjax.images import encode_png, resize

KIND, OVERVIEW = 'a set of portraits', 'overview.png'
_ROWS, _COLUMNS, _SIDE = 4, 6, 160  # of the overview


def write_portraits(
    portraits: SyntheticPortraits, output: Path, *, workers: int = 1, overwrite: bool = False
) -> None:
    """Draws portraits into a folder.

    output/cutout/000000.png      the person alone, RGBA; a dataset of kind 'rgba'
    output/background/000000.png  what is behind, for `data.backgrounds`
    output/overview.png           some of them, to be looked at

    Args:
      portraits: Which ones.
      output: The folder to make.
      workers: Processes that draw, at least 1.
      overwrite: Whether such a folder is replaced.

    Raises:
      MattingError: There is no worker.
      OutputError: The folder cannot be written, or something else lies there.
    """
    if workers < 1:
        raise MattingError(f'workers: expected at least 1, got {workers}')
    with new_folder(output, KIND, OVERVIEW, overwrite=overwrite) as folder:
        write = functools.partial(_write, portraits, folder)
        # Not forked: JAX, if it was imported, has threads.
        with multiprocessing.get_context('spawn').Pool(workers) as pool:
            indices = range(len(portraits))
            drawn = pool.imap_unordered(write, indices, chunksize=8)
            for _ in tqdm.tqdm(drawn, 'drawing', total=len(indices), unit='portrait'):
                pass
        write_file(folder / OVERVIEW, encode_png(_draw_overview(portraits)))


def _write(portraits: SyntheticPortraits, folder: Path, index: int) -> None:
    portrait = render_portrait(portraits.seed, index, portraits.size)
    cutout = cut_out(portrait.foreground, portrait.alpha)
    write_file(folder / f'cutout/{index:06d}.png', encode_png(cutout))
    write_file(folder / f'background/{index:06d}.png', encode_png(portrait.background))


def _draw_overview(portraits: SyntheticPortraits) -> np.ndarray:
    pictures = [
        resize(composite(*render_portrait(portraits.seed, index, portraits.size)), _SIDE, _SIDE)
        for index in range(min(len(portraits), _ROWS * _COLUMNS))
    ]
    return make_sheet([pictures[i : i + _COLUMNS] for i in range(0, len(pictures), _COLUMNS)])
