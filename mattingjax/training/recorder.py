"""What a training leaves in its folder beside states and checkpoints."""

from __future__ import annotations

import importlib.util
import io
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from ml_collections import ConfigDict

from mattingjax.data.records import choose_evenly
from mattingjax.errors import missing_package
from mattingjax.files import write_file
from mattingjax.images import encode_png
from mattingjax.training.inputs import Example
from mattingjax.training.pictures import draw_curves, draw_mattes
from mattingjax.training.tables import Table

STEPS_FILE, FIGURES_FILE = 'metrics.csv', 'validation.csv'
_RENAMED = {'gradient': 'mean_gradient'}  # in folders of earlier versions
_SHOWN = 8  # mattes in a picture


class Recorder:
    """Tables, curves, pictures and TensorBoard's files of a training; a context that closes them.

    Args:
      workdir: The training's folder.
      config: The settings.

    Raises:
      ImportError: A package that it will need is missing.
    """

    def __init__(self, workdir: Path, config: ConfigDict):
        _require('curves.png', 'matplotlib')
        if config.tensorboard:
            _require('TensorBoard', 'tensorboardX', 'config.tensorboard=False')
        self.workdir = workdir
        self._config = config
        self._writer: Any = None
        self._clock, self._clock_step = time.perf_counter(), 0
        self._speed = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def begin(self, step: int) -> None:
        """Opens the tables after a step, -1 at the start; rows of later ones are dropped."""
        self._steps = Table(self.workdir / STEPS_FILE, step)
        self._figures = Table(self.workdir / FIGURES_FILE, step, _RENAMED)
        if self._config.tensorboard:
            from tensorboardX import SummaryWriter

            # What a killed training wrote beyond its last saved state is hidden.
            self._writer = SummaryWriter(str(self.workdir / 'tensorboard'), purge_step=step + 1)
        self.restart_clock(max(step, 0))

    def restart_clock(self, step: int) -> None:
        """Counts the time from now, after that step: what was done since is no step's."""
        self._clock, self._clock_step = time.perf_counter(), step

    def add_step(self, step: int, values: Mapping[str, float], images: int) -> float:
        """Writes a step down; returns images per second, as of the last `log_every_steps`."""
        is_logged = step % self._config.log_every_steps == 0
        if is_logged or not self._speed:
            now = time.perf_counter()
            self._speed = images * (step - self._clock_step) / (now - self._clock)
            self._clock, self._clock_step = now, step
        row = {'step': step, **values, 'images_per_second': self._speed}
        self._steps.add(row)
        if is_logged:
            self._add_scalars('train', row)
        return self._speed

    def add_figures(
        self,
        step: int,
        figures: Mapping[str, float],
        examples: Sequence[Example],
        alphas: Sequence[np.ndarray],
    ) -> None:
        """Writes a validation down: its figures, and mattes.png."""
        if figures:
            self._figures.add({'step': step, **figures})
            self._add_scalars('validation', {'step': step, **figures})
        chosen = choose_evenly(len(examples), _SHOWN)
        picture = draw_mattes(
            [examples[i]['image'] for i in chosen],
            [alphas[i] for i in chosen],
            [examples[i].get('alpha') for i in chosen],
        )
        write_file(self.workdir / 'mattes.png', encode_png(picture))
        if self._writer is not None:
            self._writer.add_image('mattes', picture, step, dataformats='HWC')
            self._writer.flush()
        self.restart_clock(step)

    def draw(self) -> None:
        """Writes curves.png."""
        draw_curves(
            self.workdir / STEPS_FILE, self.workdir / FIGURES_FILE, self.workdir / 'curves.png'
        )

    def save_batch(self, batch: Mapping[str, np.ndarray]) -> Path:
        """Writes a batch whose loss is not finite; returns the file."""
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, **batch)
        file = self.workdir / 'not_finite.npz'
        write_file(file, content.getvalue())
        return file

    def _add_scalars(self, prefix: str, values: Mapping[str, float]) -> None:
        if self._writer is not None:
            for name, value in values.items():
                if name != 'step':
                    self._writer.add_scalar(f'{prefix}/{name}', value, values['step'])


def _require(what: str, package: str, otherwise: str = '') -> None:
    if importlib.util.find_spec(package) is None:
        raise missing_package(what, package, 'train', otherwise)
