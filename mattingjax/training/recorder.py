"""Tables, curves and pictures: what a training writes beside saved states and checkpoints."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from mattingjax.data.records import choose_evenly
from mattingjax.images import encode_png
from mattingjax.process.files import output_errors, write_file
from mattingjax.process.packages import require_package
from mattingjax.training.pictures import draw_curves, draw_mattes
from mattingjax.training.tensorboard import TensorBoard
from mattingjax.training.validation import Example

STEPS_FILE, FIGURES_FILE = 'metrics.csv', 'validation.csv'
_RENAMED = {'gradient': 'mean_gradient'}  # columns that earlier versions wrote, by their names now
_SHOWN = 8  # the largest number of photos in mattes.png


class Recorder:
    """Writes the tables, pictures and TensorBoard files of a training; a context that closes them.

    Args:
      workdir: The folder of the training.
      log_every_steps: The number of steps between two measurements of the speed, and between two
        points in TensorBoard.
      tensorboard: Whether TensorBoard files are written.
      process: The number of this process of the training. The first, 0, alone writes; others
        measure the speed, and write nothing but their share of a batch that failed.

    Raises:
      ImportError: matplotlib, or tensorboardX if `tensorboard` is set, is not installed.
    """

    def __init__(self, workdir: Path, *, log_every_steps: int, tensorboard: bool, process: int = 0):
        require_package('curves.png', 'matplotlib', 'train')
        if tensorboard:
            require_package('TensorBoard', 'tensorboardX', 'train', 'config.tensorboard=False')
        self.workdir, self._process = workdir, process
        self._log_every_steps, self._has_tensorboard = log_every_steps, tensorboard
        self._tensorboard: TensorBoard | None = None
        self._clock, self._clock_step = time.perf_counter(), 0
        self._speed = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._tensorboard is not None:
            self._tensorboard.close()

    def begin(self, step: int) -> None:
        """Opens the tables after a step, -1 at the start; rows of later steps are dropped."""
        self.restart_clock(max(step, 0))
        if self._process:
            return
        self._steps = Table(self.workdir / STEPS_FILE, step)
        self._figures = Table(self.workdir / FIGURES_FILE, step, _RENAMED)
        if self._has_tensorboard:
            self._tensorboard = TensorBoard(self.workdir / 'tensorboard', step + 1)

    def restart_clock(self, step: int) -> None:
        """Measures the speed from now on, with the steps after this one."""
        self._clock, self._clock_step = time.perf_counter(), step

    def measure_speed(self, step: int, images: int) -> float:
        """Returns the speed in images per second, measured anew every `log_every_steps`.

        Args:
          step: The number of steps done, and of which `add_step` is told next.
          images: The number of photos in a batch.
        """
        every = self._log_every_steps
        if step // every > self._clock_step // every or not self._speed:
            now = time.perf_counter()
            self._speed = images * (step - self._clock_step) / (now - self._clock)
            self._clock, self._clock_step = now, step
        return self._speed

    def add_step(self, step: int, values: Mapping[str, float]) -> None:
        """Writes a row for a step.

        Args:
          step: The number of steps done.
          values: The loss, its terms and other numbers of the step, by column.
        """
        if self._process:
            return
        row = {'step': step, **values, 'images_per_second': self._speed}
        self._steps.add(row)
        if step % self._log_every_steps == 0:
            self._add_numbers('train', row)

    def add_figures(
        self,
        step: int,
        figures: Mapping[str, float],
        examples: Sequence[Example],
        alphas: Sequence[np.ndarray],
    ) -> None:
        """Writes the figures of a validation, and mattes.png.

        Args:
          step: The number of steps done.
          figures: What was measured, by column; empty if the photos have no alphas.
          examples: The photos of the validation.
          alphas: The predicted alphas, float32 [S, S] in [0, 1], one per photo.
        """
        if self._process:
            self.restart_clock(step)
            return
        if figures:
            self._figures.add({'step': step, **figures})
            self._add_numbers('validation', {'step': step, **figures})
        chosen = choose_evenly(len(examples), _SHOWN)
        picture = draw_mattes(
            [examples[i]['image'] for i in chosen],
            [alphas[i] for i in chosen],
            [examples[i].get('alpha') for i in chosen],
        )
        write_file(self.workdir / 'mattes.png', encode_png(picture))
        if self._tensorboard is not None:
            self._tensorboard.add_picture(step, 'mattes', picture)
        self.restart_clock(step)

    def draw(self) -> None:
        """Draws curves.png from the tables."""
        if self._process:
            return
        tables = (read_table(self.workdir / name) for name in (STEPS_FILE, FIGURES_FILE))
        write_file(self.workdir / 'curves.png', draw_curves(*tables))

    def save_batch(self, batch: Mapping[str, np.ndarray]) -> Path:
        """Writes a batch whose loss or gradient is not finite; returns the file."""
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, **batch)
        file = self.workdir / f'not_finite{f"_{self._process}" if self._process else ""}.npz'
        write_file(file, content.getvalue())
        return file

    def _add_numbers(self, prefix: str, values: Mapping[str, float]) -> None:
        if self._tensorboard is not None:
            numbers = {f'{prefix}/{name}': values[name] for name in values if name != 'step'}
            self._tensorboard.add_numbers(int(values['step']), numbers)


class Table:
    """A CSV file that grows by a row for each step.

    Rows after `step` are dropped: a killed training had gone on beyond its latest saved state.

    Args:
      path: The file, which need not exist.
      step: The number of steps done.
      renamed: The names of today by the names that older files have for the same columns.
    """

    def __init__(self, path: Path, step: int, renamed: Mapping[str, str] | None = None):
        self.path = path
        names = renamed or {}
        rows = [
            {names.get(name, name): value for name, value in row.items()}
            for row in read_table(path)
            if row['step'] <= step
        ]
        self._columns = list(rows[0]) if rows else []
        if path.exists():
            write_file(path, _format_rows(rows, self._columns).encode() if rows else b'')

    def add(self, values: Mapping[str, float]) -> None:
        """Appends a row; `step` is one of its columns, and the first row fixes the columns.

        Raises:
          OutputError: It cannot be written; a part of it may be, which is not read.
        """
        header = not self._columns
        if header:
            self._columns = list(values)
        row = {name: values.get(name, '') for name in self._columns}
        with (
            output_errors(self.path),
            self.path.open('a', encoding='utf-8', newline='') as file,
        ):
            file.write(_format_rows([row], self._columns, header=header))


def read_table(path: Path) -> list[dict[str, float]]:
    """Reads the rows of a `Table`; an incomplete last row of a killed process is left out."""
    if not path.is_file():
        return []
    text = path.read_text(encoding='utf-8')
    lines = csv.DictReader(io.StringIO(text[: text.rfind('\n') + 1]))
    return [{name: float(value or 'nan') for name, value in row.items()} for row in lines]


def _format_rows(rows: Sequence[Mapping[str, Any]], columns: list[str], header: bool = True) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator='\n')
    if header:
        writer.writeheader()
    for row in rows:
        # Nine digits determine a float32 exactly.
        writer.writerow({k: f'{v:.9g}' if isinstance(v, float) else v for k, v in row.items()})
    return text.getvalue()
